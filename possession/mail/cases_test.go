package mail_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/possession/mail"
)

const (
	domain      = "example.org"
	address     = "alice@example.org"
	replyTo     = "check@prover.example"
	fingerprint = "5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4"
)

var (
	now   = time.Unix(1_800_000_000, 0).UTC()
	part1 = mail.Token([mail.TokenSize]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24})
)

func digest() (d [32]byte) {
	for i := range d {
		d[i] = byte(0xa0 + i)
	}
	return d
}

// signedFields are what the providers of the cases sign: RFC 8823's list.
func signedFields() []string {
	return []string{
		"From", "Sender", "Reply-To", "To", "CC", "Subject", "Date", "In-Reply-To", "References", "Message-ID",
		"Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
	}
}

// draft is a reply that is about to be sent. The zero edit gives a good one.
type draft struct {
	fields  []string // header fields in order
	body    string
	signers []signing
	records map[string][]string // by selector
	want    mail.Want
	raw     string // set by build; edits of it come after signing
}

func newDraft(t testing.TB) *draft {
	return &draft{
		fields: []string{
			"From: Alice <alice@example.org>",
			"To: check@prover.example",
			"Subject: Re: Whither: " + part1,
			"Date: Fri, 15 Jan 2027 07:59:58 +0000",
			"Message-ID: <m1@example.org>",
			"In-Reply-To: <c1@prover.example>",
			"References: <c1@prover.example>",
			"MIME-Version: 1.0",
			"Content-Type: text/plain; charset=utf-8",
			"Content-Transfer-Encoding: 7bit",
			"User-Agent: Mail/1.0",
		},
		body: crlf(mail.Response(digest(), fingerprint)),
		signers: []signing{{
			key: "rsa2048", domain: domain, selector: "s1", fields: signedFields(), canonical: "relaxed", tags: " t=1799999999;",
		}},
		records: map[string][]string{
			"s1": {txtRecord(t, "rsa2048")},
			"e1": {txtRecord(t, "ed25519")},
			"w1": {txtRecord(t, "rsa1024")},
		},
		want: mail.Want{
			Address: address, ReplyTo: replyTo, Part1: part1, Response: digest(), Fingerprint: fingerprint, Now: now,
		},
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// set replaces the field of that name, or adds it.
func (d *draft) set(name, value string) {
	for i, f := range d.fields {
		if n, _, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			d.fields[i] = name + ": " + value
			return
		}
	}
	d.add(name + ": " + value)
}

func (d *draft) add(field string) { d.fields = append(d.fields, field) }

func (d *draft) remove(name string) {
	d.fields = slices.DeleteFunc(d.fields, func(f string) bool {
		n, _, _ := strings.Cut(f, ":")
		return strings.EqualFold(n, name)
	})
}

// unsign takes a name out of h=.
func (d *draft) unsign(name string) {
	d.signers[0].fields = slices.DeleteFunc(slices.Clone(d.signers[0].fields), func(n string) bool {
		return strings.EqualFold(n, name)
	})
}

func (d *draft) record(old, new string) {
	d.records["s1"] = []string{strings.Replace(d.records["s1"][0], old, new, 1)}
}

// sendAs makes the whole reply one from another address.
func (d *draft) sendAs(address string) {
	_, d.signers[0].domain, _ = strings.Cut(address, "@")
	d.set("From", address)
	d.want.Address = address
}

// vectorCase is a reply and what must be said of it.
type vectorCase struct {
	name   string
	expect error
	edit   func(*draft)        // before signing
	tamper func(string) string // after signing
}

// build composes and signs the reply.
func (c vectorCase) build(t testing.TB) *draft {
	t.Helper()
	d := newDraft(t)
	if c.edit != nil {
		c.edit(d)
	}
	d.raw = strings.Join(d.fields, "\r\n") + "\r\n\r\n" + d.body
	for _, s := range d.signers {
		d.raw = s.sign(t, d.raw)
	}
	if c.tamper != nil {
		before := d.raw
		if d.raw = c.tamper(d.raw); d.raw == before {
			t.Fatalf("%s: tampering changed nothing", c.name)
		}
	}
	return d
}

func replace(old, new string) func(string) string {
	return func(raw string) string { return strings.Replace(raw, old, new, 1) }
}

func quotedPrintable(s string) string {
	return strings.NewReplacer("=", "=3D", "I let", "=49 let", "answer for", "answer =\r\nfor").Replace(s)
}

func base64Lines(s string) string {
	text := base64.StdEncoding.EncodeToString([]byte(s))
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(text), 76) {
		b.Write(chunk)
		b.WriteString("\r\n")
	}
	return b.String()
}

func setField(name, value string) func(*draft) { return func(d *draft) { d.set(name, value) } }
func addField(field string) func(*draft)       { return func(d *draft) { d.add(field) } }
func setBody(body string) func(*draft)         { return func(d *draft) { d.body = crlf(body) } }
func setTags(tags string) func(*draft)         { return func(d *draft) { d.signers[0].tags = tags } }

// good is the text of a good reply.
func good() string { return mail.Response(digest(), fingerprint) }

func accepted() []vectorCase {
	return []vectorCase{
		{name: "plain"},
		{name: "ed25519", edit: func(d *draft) { d.signers[0].key, d.signers[0].selector = "ed25519", "e1" }},
		{name: "simple-canonicalization", edit: func(d *draft) { d.signers[0].canonical = "simple" }},
		{name: "two-good-signatures", edit: func(d *draft) {
			d.signers = append(d.signers, d.signers[0])
			d.signers[1].key, d.signers[1].selector = "ed25519", "e1"
		}},
		{name: "list-of-other-signatures", edit: func(d *draft) {
			other := d.signers[0]
			other.domain, other.key = "forwarder.example", "ed25519"
			old := other
			old.domain, old.selector = domain, "unknown"
			d.signers = append(d.signers, other, old, other)
		}},
		{name: "weak-second-signature", edit: func(d *draft) {
			weak := d.signers[0]
			weak.key, weak.selector = "rsa1024", "w1"
			d.signers = append(d.signers, weak)
		}},
		{name: "address-alone", edit: setField("From", address)},
		{name: "address-in-brackets", edit: setField("From", "<"+address+">")},
		{name: "address-in-capitals", edit: setField("From", `"Doe, Alice" <Alice@Example.ORG>`)},
		{name: "name-with-dots", edit: setField("From", "Alice B. Doe <alice@example.org>")},
		{name: "name-encoded", edit: setField("From", "=?utf-8?q?Al=C3=AFce?= <alice@example.org>")},
		{name: "name-folded", edit: setField("From", "Alice\r\n\tDoe\r\n <alice@example.org>")},
		{name: "name-that-is-an-address", edit: setField("From", `"bob@example.net" <alice@example.org>`)},
		{name: "signature-domain-in-capitals", edit: func(d *draft) { d.signers[0].domain = "Example.ORG" }},
		{name: "signed-names-in-capitals", edit: func(d *draft) {
			for i, name := range d.signers[0].fields {
				d.signers[0].fields[i] = strings.ToUpper(name)
			}
		}},
		{name: "field-names-in-capitals", edit: func(d *draft) { d.remove("From"); d.add("FROM: alice@example.org") }},
		{name: "idn", edit: func(d *draft) { d.sendAs("alice@xn--bcher-kva.example") }},
		{name: "local-part-with-plus-and-dots", edit: func(d *draft) { d.sendAs("a.b+c@example.org") }},
		{name: "sender-the-same", edit: addField("Sender: ALICE@example.org")},
		{name: "copy-to-others", edit: addField("CC: bob@example.net, carol@example.net")},
		{name: "reply-to", edit: addField("Reply-To: bob@example.net")},
		{name: "recipient-with-name", edit: setField("To", `"prover.example" <Check@prover.example>`)},
		{name: "subject-alone", edit: setField("Subject", "Whither: "+part1)},
		{name: "subject-german", edit: setField("Subject", "AW: Whither: "+part1)},
		{name: "subject-many-prefixes", edit: setField("Subject", "RE: Re[2]: SV:Antw: Whither: "+part1)},
		{name: "subject-folded", edit: setField("Subject", "Re: Whither:\r\n "+part1)},
		{name: "no-mime", edit: func(d *draft) {
			for _, name := range []string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding"} {
				d.remove(name)
			}
		}},
		{name: "us-ascii", edit: setField("Content-Type", `Text/Plain; charset="US-ASCII"`)},
		{name: "flowed-and-wrapped", edit: func(d *draft) {
			d.set("Content-Type", "text/plain; charset=UTF-8; format=flowed")
			d.body = strings.Replace(d.body, "this address", "this \r\naddress", 1)
		}},
		{name: "quoted-printable", edit: func(d *draft) {
			d.set("Content-Transfer-Encoding", "quoted-printable")
			d.body = quotedPrintable(d.body)
		}},
		{name: "base64", edit: func(d *draft) {
			d.set("Content-Transfer-Encoding", "BASE64")
			d.body = base64Lines(d.body)
		}},
		{name: "8bit", edit: setField("Content-Transfer-Encoding", "8bit")},
		{name: "white-space-at-ends", edit: func(d *draft) { d.body = strings.ReplaceAll(d.body, "\r\n", " \t\r\n") + "\r\n \r\n" }},
		{name: "digest-in-two-lines", edit: func(d *draft) { d.body = strings.Replace(d.body, "oKGi", "oKGi\r\n", 1) }},
		{name: "no-last-line-end", edit: func(d *draft) { d.body = strings.TrimRight(d.body, "\r\n") }},
		{name: "auto-submitted-no", edit: addField("Auto-Submitted: No")},
		{name: "trace-fields-on-top", tamper: func(raw string) string {
			return "Return-Path: <alice@example.org>\r\nReceived: from a by b;\r\n\tFri, 15 Jan 2027 08:00:00 +0000\r\n" + raw
		}},
		{name: "no-time", edit: setTags("")},
		{name: "time-within-skew", edit: setTags(" t=1800000120;")},
		{name: "expires-now", edit: setTags(" t=1799999999; x=1800000000;")},
		{name: "unknown-tags", edit: setTags(" t=1799999999; z=From:alice; r=y;")},
		{name: "record-with-white-space", edit: func(d *draft) { d.record("p=MIIB", "n=text; p= MI IB\t") }},
		{name: "record-without-version", edit: func(d *draft) { d.record("v=DKIM1; k=rsa; ", "") }},
		{name: "record-strict", edit: func(d *draft) { d.record("k=rsa", "k=rsa; t=s; h=sha256; s=email") }},
	}
}

func refused() []vectorCase {
	return slices.Concat(refusedPeople(), refusedContent(), refusedSignature())
}

func refusedPeople() []vectorCase {
	cases := []vectorCase{
		{name: "from-another", expect: mail.ErrWrongSender, edit: setField("From", "mallory@example.org")},
		{name: "from-another-domain", expect: mail.ErrWrongSender, edit: setField("From", "alice@example.net")},
		{name: "from-subdomain", expect: mail.ErrWrongSender, edit: setField("From", "alice@mail.example.org")},
		{name: "from-only-in-name", expect: mail.ErrWrongSender, edit: setField("From", `"alice@example.org" <mallory@example.org>`)},
		{name: "from-plus", expect: mail.ErrWrongSender, edit: setField("From", "alice+x@example.org")},
		{name: "from-dots", expect: mail.ErrWrongSender, edit: setField("From", "a.lice@example.org")},
		{name: "from-encoded-address", expect: mail.ErrWrongSender, edit: setField("From", "=?utf-8?q?alice?=@example.org")},
		{name: "from-two-addresses", expect: mail.ErrSecondFrom, edit: setField("From", "alice@example.org, mallory@example.org")},
		{name: "from-two-fields", expect: mail.ErrSecondFrom, edit: addField("From: mallory@example.org")},
		{name: "from-two-equal-fields", expect: mail.ErrSecondFrom, edit: addField("from: alice@example.org")},
		{name: "from-none", expect: mail.ErrSecondFrom, edit: func(d *draft) { d.remove("From") }},
		{name: "sender-another", expect: mail.ErrWrongSender, edit: addField("Sender: mallory@example.org")},
		{name: "sender-two", expect: mail.ErrRepeatedHeader, edit: func(d *draft) {
			d.add("Sender: alice@example.org")
			d.add("Sender: alice@example.org")
		}},
		{name: "to-another", expect: mail.ErrWrongRecipient, edit: setField("To", "check@other.example")},
		{name: "to-two", expect: mail.ErrWrongRecipient, edit: setField("To", replyTo+", bob@example.net")},
		{name: "to-two-fields", expect: mail.ErrWrongRecipient, edit: addField("To: check@prover.example")},
		{name: "to-none", expect: mail.ErrWrongRecipient, edit: func(d *draft) { d.remove("To") }},
		{name: "date-none", expect: mail.ErrRepeatedHeader, edit: func(d *draft) { d.remove("Date") }},
		{name: "date-twice", expect: mail.ErrRepeatedHeader, edit: addField("Date: Fri, 15 Jan 2027 07:59:58 +0000")},
		{name: "date-empty", expect: mail.ErrRepeatedHeader, edit: setField("Date", "")},
		{name: "message-id-none", expect: mail.ErrRepeatedHeader, edit: func(d *draft) { d.remove("Message-ID") }},
		{name: "subject-twice", expect: mail.ErrRepeatedHeader, edit: addField("Subject: other")},
		{name: "content-type-twice", expect: mail.ErrRepeatedHeader, edit: addField("Content-Type: text/plain")},
		{name: "encoding-twice", expect: mail.ErrRepeatedHeader, edit: addField("Content-Transfer-Encoding: base64")},
		{name: "references-twice", expect: mail.ErrRepeatedHeader, edit: addField("References: <x@y>")},
	}
	obscure := map[string]string{
		"comment":           "alice@example.org (Alice)",
		"comment-inside":    "alice@(x)example.org",
		"group":             "Friends: alice@example.org;",
		"empty-group":       "undisclosed-recipients:;",
		"route":             "<@example.net:alice@example.org>",
		"quoted-local-part": `"alice"@example.org`,
		"literal":           "alice@[192.0.2.1]",
		"two-at":            "mallory@example.net@example.org",
		"blank-in-address":  "alice @example.org",
		"folded-address":    "alice@\r\n example.org",
		"unquoted-address":  "alice@example.org <mallory@example.org>",
		"two-brackets":      "<alice@example.org> <mallory@example.org>",
		"after-brackets":    "<alice@example.org> mallory",
		"open-bracket":      "alice@example.org>",
		"open-quote":        `"Alice <alice@example.org>`,
		"empty-part":        "alice@example.org,",
		"no-domain":         "alice",
		"dot-at-end":        "alice.@example.org",
		"root-domain":       "alice@example.org.",
		"escape":            "alice@example.org\x1b",
		"idn-in-unicode":    "alice@bücher.example",
		"confusable":        "alicе@example.org",
	}
	for _, name := range slices.Sorted(maps.Keys(obscure)) {
		cases = append(cases, vectorCase{name: "from-" + name, expect: mail.ErrMalformed, edit: setField("From", obscure[name])})
	}
	return append(cases,
		vectorCase{name: "header-bare-lf", expect: mail.ErrMalformed, tamper: replace("User-Agent", "X: 1\nFrom: mallory@example.org\r\nUser-Agent")},
		vectorCase{name: "header-bare-cr", expect: mail.ErrMalformed, tamper: replace("User-Agent", "X: 1\rUser-Agent")},
		vectorCase{name: "header-nul", expect: mail.ErrMalformed, tamper: replace("User-Agent: ", "User-Agent: \x00")},
		vectorCase{name: "header-8bit", expect: mail.ErrMalformed, tamper: replace("User-Agent: ", "User-Agent: \xe9")},
		vectorCase{name: "header-blank-before-colon", expect: mail.ErrMalformed, edit: addField("From : mallory@example.org")},
		vectorCase{name: "header-blank-fold", expect: mail.ErrMalformed, edit: addField("X: 1\r\n \r\n y")},
		vectorCase{name: "header-no-end", expect: mail.ErrMalformed, tamper: func(raw string) string { return raw[:strings.Index(raw, "\r\n\r\n")+2] }},
		vectorCase{name: "body-bare-lf", expect: mail.ErrMalformed, tamper: func(raw string) string { return raw + "\n" }},
		vectorCase{name: "body-nul", expect: mail.ErrMalformed, tamper: func(raw string) string { return raw + "\x00" }},
		vectorCase{name: "empty", expect: mail.ErrMalformed, tamper: func(string) string { return "" }},
	)
}

func refusedContent() []vectorCase {
	block := strings.SplitN(good(), "\n\n", 2)[1]
	sentence := mail.Sentence(fingerprint)
	otherDigest := digest()
	otherDigest[31]++
	return []vectorCase{
		{name: "subject-another-token", expect: mail.ErrWrongToken, edit: setField("Subject", "Re: Whither: "+strings.Repeat("A", 32))},
		{name: "subject-no-token", expect: mail.ErrWrongToken, edit: setField("Subject", "Re: Whither:")},
		{name: "subject-padded", expect: mail.ErrWrongToken, edit: setField("Subject", "Re: Whither: "+part1+"=")},
		{name: "subject-more", expect: mail.ErrWrongToken, edit: setField("Subject", "Re: Whither: "+part1+" x")},
		{name: "subject-forward", expect: mail.ErrWrongToken, edit: setField("Subject", "Fwd: Whither: "+part1)},
		{name: "subject-another-prefix", expect: mail.ErrWrongToken, edit: setField("Subject", "Out of office: Whither: "+part1)},
		{name: "subject-other-case", expect: mail.ErrWrongToken, edit: setField("Subject", "Re: whither: "+part1)},
		{name: "auto-replied", expect: mail.ErrAutomatic, edit: addField("Auto-Submitted: auto-replied")},
		{name: "auto-generated", expect: mail.ErrAutomatic, edit: addField("Auto-Submitted: auto-generated; type=whither")},
		{name: "auto-submitted-empty", expect: mail.ErrAutomatic, edit: addField("Auto-Submitted: ")},
		{name: "list-id", expect: mail.ErrAutomatic, edit: addField("List-Id: <list.example.org>")},
		{name: "list-unsubscribe", expect: mail.ErrAutomatic, edit: addField("LIST-Unsubscribe: <mailto:x@example.org>")},
		{name: "precedence-bulk", expect: mail.ErrAutomatic, edit: addField("Precedence: bulk")},
		{name: "precedence-list", expect: mail.ErrAutomatic, edit: addField("Precedence: List")},
		{name: "precedence-junk", expect: mail.ErrAutomatic, edit: addField("Precedence: junk")},
		{name: "bounce-path", expect: mail.ErrAutomatic, tamper: func(raw string) string { return "Return-Path: <>\r\n" + raw }},
		{name: "bounce", expect: mail.ErrAutomatic, edit: setField("Content-Type", "multipart/report; report-type=delivery-status; boundary=x")},
		{name: "html", expect: mail.ErrContentType, edit: setField("Content-Type", "text/html; charset=utf-8")},
		{name: "multipart", expect: mail.ErrContentType, edit: setField("Content-Type", "multipart/alternative; boundary=x")},
		{name: "content-type-unreadable", expect: mail.ErrContentType, edit: setField("Content-Type", "text/plain; charset=utf-8; charset=utf-7")},
		{name: "charset-utf-7", expect: mail.ErrContentType, edit: setField("Content-Type", "text/plain; charset=utf-7")},
		{name: "charset-utf-16", expect: mail.ErrContentType, edit: setField("Content-Type", "text/plain; charset=utf-16")},
		{name: "encoding-unknown", expect: mail.ErrContentType, edit: setField("Content-Transfer-Encoding", "uuencode")},
		{name: "encoding-binary", expect: mail.ErrContentType, edit: setField("Content-Transfer-Encoding", "binary")},
		{name: "quoted-printable-broken", expect: mail.ErrMalformed, edit: func(d *draft) {
			d.set("Content-Transfer-Encoding", "quoted-printable")
			d.body = "\x01\r\n"
		}},
		{name: "base64-broken", expect: mail.ErrMalformed, edit: setField("Content-Transfer-Encoding", "base64")},
		{name: "quoted", expect: mail.ErrQuoted, edit: setBody("> " + strings.ReplaceAll(strings.TrimSpace(good()), "\n", "\n> ") + "\n")},
		{name: "quote-below", expect: mail.ErrQuoted, edit: setBody(good() + "\nOn Friday, prover.example wrote:\n> Hello\n")},
		{name: "quote-above", expect: mail.ErrQuoted, edit: setBody("> Hello\n\n" + good())},
		{name: "greeting", expect: mail.ErrExtraContent, edit: setBody("Hello,\n\n" + good())},
		{name: "signature", expect: mail.ErrExtraContent, edit: setBody(good() + "-- \nAlice\n")},
		{name: "text-below", expect: mail.ErrExtraContent, edit: setBody(good() + "Regards\n")},
		{name: "text-between", expect: mail.ErrExtraContent, edit: setBody(sentence + "\n\nnot\n" + block)},
		{name: "text-in-sentence", expect: mail.ErrExtraContent, edit: setBody("Do not believe that " + good())},
		{name: "two-blocks", expect: mail.ErrExtraContent, edit: setBody(good() + block)},
		{name: "empty-line-above", expect: mail.ErrExtraContent, edit: setBody("\n" + good())},
		{name: "two-empty-lines", expect: mail.ErrExtraContent, edit: setBody(sentence + "\n\n\n" + block)},
		{name: "no-empty-line", expect: mail.ErrExtraContent, edit: setBody(sentence + "\n" + block)},
		{name: "no-sentence", expect: mail.ErrExtraContent, edit: setBody(block)},
		{name: "acme-block", expect: mail.ErrExtraContent, edit: setBody(strings.ReplaceAll(good(), "WHITHER", "ACME"))},
		{name: "byte-order-mark", expect: mail.ErrExtraContent, edit: setBody("\ufeff" + good())},
		{name: "no-break-space", expect: mail.ErrExtraContent, edit: setBody(strings.Replace(good(), "I let", "I\u00a0let", 1))},
		{name: "body-empty", expect: mail.ErrExtraContent, edit: setBody("")},
		{name: "no-block", expect: mail.ErrNoResponse, edit: setBody(sentence + "\n")},
		{name: "block-does-not-end", expect: mail.ErrNoResponse, edit: setBody(strings.Replace(good(), "-----END WHITHER RESPONSE-----\n", "", 1))},
		{name: "response-another", expect: mail.ErrWrongResponse, edit: setBody(mail.Response(otherDigest, fingerprint))},
		{name: "response-padded", expect: mail.ErrWrongResponse, edit: setBody(strings.Replace(good(), "\n-----END", "=\n-----END", 1))},
		{name: "response-short", expect: mail.ErrWrongResponse, edit: setBody(strings.Replace(good(), "oKGi", "", 1))},
		{name: "response-empty", expect: mail.ErrWrongResponse, edit: setBody(sentence + "\n\n-----BEGIN WHITHER RESPONSE-----\n-----END WHITHER RESPONSE-----\n")},
		{name: "response-blank-inside", expect: mail.ErrWrongResponse, edit: setBody(strings.Replace(good(), "oKGi", "oK Gi", 1))},
		{name: "response-spare-bits", expect: mail.ErrWrongResponse, edit: setBody(strings.Replace(good(), "vr8\n", "vr9\n", 1))},
		{name: "key-another", expect: mail.ErrWrongResponse, edit: setBody(mail.Response(digest(), "0"+fingerprint[1:]))},
		{name: "too-large", expect: mail.ErrTooLarge, edit: func(d *draft) { d.body += strings.Repeat(" \r\n", mail.MaxSize/3) }},
	}
}

func refusedSignature() []vectorCase {
	cases := []vectorCase{
		{name: "no-signature", expect: mail.ErrNoSignature, edit: func(d *draft) { d.signers = nil }},
		{name: "six-signatures", expect: mail.ErrTooManySignatures, edit: func(d *draft) { d.signers = slices.Repeat(d.signers, 6) }},
		{name: "signature-of-another-domain", expect: mail.ErrMisaligned, edit: func(d *draft) { d.signers[0].domain = "example.net" }},
		{name: "signature-of-parent-domain", expect: mail.ErrMisaligned, edit: func(d *draft) {
			d.sendAs("alice@mail.example.org")
			d.signers[0].domain = domain
		}},
		{name: "signature-of-subdomain", expect: mail.ErrMisaligned, edit: func(d *draft) { d.signers[0].domain = "mail.example.org" }},
		{name: "signature-two-domains", expect: mail.ErrBadSignature, edit: setTags(" t=1; d=example.net;")},
		{name: "signature-unreadable", expect: mail.ErrBadSignature, edit: setTags(" ;;")},
		{name: "signature-version-2", expect: mail.ErrBadSignature, tamper: replace("v=1;", "v=2;")},
		{name: "signature-agent-elsewhere", expect: mail.ErrBadSignature, edit: setTags(" i=@example.net;")},
		{name: "signature-stripped", expect: mail.ErrBadSignature, tamper: func(raw string) string {
			from := strings.Index(raw, "\tb=") + 3
			return raw[:from] + raw[strings.Index(raw, "From:")-2:]
		}},
		{name: "body-length", expect: mail.ErrBodyLength, edit: setTags(" l=170;")},
		{name: "sha-1", expect: mail.ErrWeakKey, edit: func(d *draft) { d.signers[0].algorithm = "rsa-sha1" }},
		{name: "rsa-1024", expect: mail.ErrWeakKey, edit: func(d *draft) { d.signers[0].key, d.signers[0].selector = "rsa1024", "w1" }},
		{name: "expired", expect: mail.ErrExpired, edit: setTags(" t=1799990000; x=1799999999;")},
		{name: "from-the-future", expect: mail.ErrFuture, edit: setTags(" t=1800000121;")},
		{name: "another-key", expect: mail.ErrBadSignature, edit: func(d *draft) {
			d.signers[0].key, d.signers[0].selector = "ed25519", "e1"
			d.records["e1"] = []string{"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
		}},
		{name: "body-changed", expect: mail.ErrBadSignature, tamper: replace("\r\n\r\nI let key", "\r\n\r\nI let\r\nkey")},
		{name: "from-changed", expect: mail.ErrBadSignature, tamper: replace("From: Alice", "From: Bob")},
		{name: "date-changed", expect: mail.ErrBadSignature, tamper: replace("Date: Fri", "Date: Sat")},
		{name: "time-changed", expect: mail.ErrBadSignature, tamper: replace("t=1799999999", "t=1799999998")},
		{name: "field-added-under-oversigning", expect: mail.ErrBadSignature, tamper: replace("User-Agent", "Reply-To: mallory@example.net\r\nUser-Agent")},
		{name: "record-missing", expect: mail.ErrKeyLookup, edit: func(d *draft) { d.signers[0].selector = "none" }},
		{name: "record-testing", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.record("k=rsa", "k=rsa; t=y") }},
		{name: "record-revoked", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.records["s1"] = []string{"v=DKIM1; p="} }},
		{name: "record-none", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.records["s1"] = []string{} }},
		{name: "record-two", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.records["s1"] = slices.Repeat(d.records["s1"], 2) }},
		{name: "record-version-late", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.record("v=DKIM1; k=rsa", "k=rsa; v=DKIM1") }},
		{name: "record-other-service", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.record("k=rsa", "k=rsa; s=other") }},
		{name: "record-other-hash", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.record("k=rsa", "k=rsa; h=sha1") }},
		{name: "record-other-type", expect: mail.ErrKeyRecord, edit: func(d *draft) { d.records["s1"] = d.records["e1"] }},
		{name: "record-strict-agent-below", expect: mail.ErrKeyRecord, edit: func(d *draft) {
			d.signers[0].tags = " i=@mail.example.org;"
			d.record("k=rsa", "k=rsa; t=s")
		}},
	}
	for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Content-Type", "Content-Transfer-Encoding"} {
		cases = append(cases, vectorCase{
			name: "unsigned-" + strings.ToLower(name), expect: mail.ErrUnsignedHeader, edit: func(d *draft) { d.unsign(name) },
		})
	}
	for name, value := range map[string]string{"Sender": address, "Reply-To": address, "CC": "bob@example.net", "Auto-Submitted": "no"} {
		cases = append(cases, vectorCase{
			name: "unsigned-" + strings.ToLower(name), expect: mail.ErrUnsignedHeader,
			edit: func(d *draft) { d.unsign(name); d.add(name + ": " + value) },
		})
	}
	slices.SortStableFunc(cases, func(a, b vectorCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// kinds names the errors in the vectors.
func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "too-large": mail.ErrTooLarge, "malformed": mail.ErrMalformed, "second-from": mail.ErrSecondFrom,
		"wrong-sender": mail.ErrWrongSender, "wrong-recipient": mail.ErrWrongRecipient, "repeated-header": mail.ErrRepeatedHeader,
		"automatic": mail.ErrAutomatic, "wrong-token": mail.ErrWrongToken, "content-type": mail.ErrContentType,
		"quoted": mail.ErrQuoted, "extra-content": mail.ErrExtraContent, "no-response": mail.ErrNoResponse,
		"wrong-response": mail.ErrWrongResponse, "no-signature": mail.ErrNoSignature,
		"too-many-signatures": mail.ErrTooManySignatures, "bad-signature": mail.ErrBadSignature, "misaligned": mail.ErrMisaligned,
		"unsigned-header": mail.ErrUnsignedHeader, "weak-key": mail.ErrWeakKey, "body-length": mail.ErrBodyLength,
		"key-record": mail.ErrKeyRecord, "key-lookup": mail.ErrKeyLookup, "expired": mail.ErrExpired, "future": mail.ErrFuture,
	}
}

func kindOf(t testing.TB, err error) string {
	t.Helper()
	all := kinds()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if errors.Is(err, all[name]) {
			return name
		}
	}
	t.Fatalf("no kind for %v", err)
	return ""
}

// lookup returns the records of a case, as a resolver would.
func lookup(records map[string][]string) func(string, string) ([]string, error) {
	return func(_, selector string) ([]string, error) {
		txt, ok := records[selector]
		if !ok {
			return nil, fmt.Errorf("lookup %s._domainkey.example.org: no such host", selector)
		}
		return txt, nil
	}
}
