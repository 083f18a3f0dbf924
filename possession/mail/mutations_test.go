package mail_test

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"whither/internal/world/worldtest"
	"whither/possession/mail"
)

// meaning is what the domain signed of a reply: the fields that have to be
// signed, in any order, and the body, without what relaxed canonicalization
// (RFC 6376 section 3.4) lets pass.
func meaning(raw []byte) string {
	header, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	var signed []string
	for _, f := range strings.Split(foldMarks.ReplaceAllString(header, "$1"), "\r\n") {
		name, value, _ := strings.Cut(f, ":")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		if slices.ContainsFunc(signedFields(), func(s string) bool { return strings.EqualFold(s, name) }) {
			signed = append(signed, name+":"+strings.Trim(blanks.ReplaceAllString(value, " "), " "))
		}
	}
	slices.Sort(signed)
	body = blanks.ReplaceAllString(lineEnds.ReplaceAllString(body, "$1"), " ")
	return strings.Join(signed, "\n") + "\n\n" + strings.TrimRight(body, "\r\n ")
}

var blanks = regexp.MustCompile(`[ \t]+`)

// TestR05MutatedReplies changes good replies at random, whole fields and single
// bytes, with pieces of what others sent under the same domain: what is accepted
// has the meaning that the domain signed, and answers its own question alone.
// 5,000 replies, 500,000 with WHITHER_LONG=1.
func TestR05MutatedReplies(t *testing.T) {
	other := mail.Token([mail.TokenSize]byte{23: 1})
	edits := []func(*draft){
		func(*draft) {},
		func(d *draft) {
			d.signers[0].canonical, d.signers[0].key, d.signers[0].selector = "simple", "ed25519", "e1"
		},
		// Of others: another person of the domain, another key, another challenge,
		// another prover, another domain.
		func(d *draft) { d.sendAs("mallory@example.org") },
		func(d *draft) {
			d.want.Response[0]++
			d.body = crlf(mail.Response(d.want.Response, fingerprint))
		},
		func(d *draft) {
			d.want.Part1 = other
			d.set("Subject", "Re: Whither: "+other)
		},
		func(d *draft) {
			d.want.ReplyTo = "check@other.example"
			d.set("To", d.want.ReplyTo)
		},
		func(d *draft) { d.sendAs("alice@example.net") },
	}
	var made []*draft
	var raws [][]byte
	for _, edit := range edits {
		d := vectorCase{edit: edit}.build(t)
		if _, err := mail.Verify([]byte(d.raw), d.want, lookup(d.records)); err != nil {
			t.Fatal(err)
		}
		made, raws = append(made, d), append(raws, []byte(d.raw))
	}
	worldtest.Mutations(t, 11, func(m worldtest.Mutator) worldtest.Outcome {
		i := m.IntN(2)
		asked := i
		if m.IntN(3) == 0 {
			asked = m.IntN(len(made)) // whoever hands it over may claim anything
		}
		raw := raws[i]
		if m.IntN(2) == 0 {
			raw = moveFields(m, raw, worldtest.Pick(m, raws))
		} else {
			raw = m.Bend(raw, raws...)
		}
		report, err := mail.Verify(raw, made[asked].want, lookup(made[asked].records))
		if err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		for j, d := range made {
			if d.want == made[asked].want && report.Domain == d.signers[0].domain && meaning(raw) == meaning(raws[j]) {
				return worldtest.Same
			}
		}
		t.Logf("accepted by %s: %q", report.Selector, raw)
		return worldtest.Forged
	})
}

// moveFields takes fields out, doubles them, moves them, or takes them from
// another reply; or takes its body.
func moveFields(m worldtest.Mutator, raw, from []byte) []byte {
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	otherHeader, otherBody, _ := bytes.Cut(from, []byte("\r\n\r\n"))
	fields, others := fieldsOf(header), fieldsOf(otherHeader)
	for range 1 + m.IntN(3) {
		i := m.IntN(len(fields))
		switch m.IntN(6) {
		case 0:
			fields = slices.Insert(fields, i, worldtest.Pick(m, others))
		case 1:
			fields[i] = worldtest.Pick(m, others)
		case 2:
			fields = slices.Insert(fields, i, worldtest.Pick(m, fields))
		case 3:
			if len(fields) > 1 {
				fields = slices.Delete(fields, i, i+1)
			}
		case 4:
			fields[i] = m.Bend(fields[i], others...)
		default:
			body = otherBody
		}
	}
	return slices.Concat(bytes.Join(fields, []byte("\r\n")), []byte("\r\n\r\n"), body)
}

// fieldsOf splits a header into its fields, folded ones whole.
func fieldsOf(header []byte) [][]byte {
	var out [][]byte
	for _, line := range bytes.Split(header, []byte("\r\n")) {
		if len(out) > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			out[len(out)-1] = slices.Concat(out[len(out)-1], []byte("\r\n"), line)
			continue
		}
		out = append(out, bytes.Clone(line))
	}
	return out
}
