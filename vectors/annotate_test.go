package vectors_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
)

// meanings says what stands at a place in a mapping. A place is a path of
// array indexes and map keys; "c" is the payload, "h" a protected header.
var meanings = map[string]string{
	"/0": "protected header of the body: empty",
	"/1": "unprotected header of the body: empty",
	"/2": "payload: the claims, one CBOR item inside a byte string",
	"/3": "signatures",

	"/3/0": "the holder's signature", "/3/1": "the MSP's signature", "/3/2": "the DP's signature",
	"/3/n/0": "protected header, one CBOR item inside a byte string",
	"/3/n/1": "unprotected header: empty",
	"/3/n/2": "Ed25519 signature",

	"h": "protected header", "h/1": "alg", "h/1=": "Ed25519 (RFC 9864)", "h/2": "crit", "h/2/0": "the parameters",
	"h/4": "kid", "h/4=": "first 16 bytes of SHA-256(COSE_Key)", "h/-65537": "parameters",
	"h/-65537/1": "role", "h/-65537/2": "time", "h/-65537/3": "good until", "h/-65537/4": "found", "h/-65537/5": "admitted",

	"c": "claims", "c/1": "iss: the DP", "c/2": "sub: the CSI", "c/4": "exp: expires", "c/6": "iat: issued, the time of the holder's signature",
	"c/7": "cti: the mapping's id", "c/8": "cnf: the holder's key", "c/8/1": "COSE_Key",
	"c/8/1/1": "kty", "c/8/1/1=": "OKP", "c/8/1/-1": "crv", "c/8/1/-1=": "Ed25519", "c/8/1/-2": "x",
	"c/-65537": "whither: what CWT has no claim for", "c/-65537/0": "version", "c/-65537/1": "entries", "c/-65537/1/0": "the one MSP",
	"c/-65537/1/0/0": "provider", "c/-65537/1/0/1": "URI", "c/-65537/1/0/2": "tags", "c/-65537/1/0/3": "the MSP's nonce",
	"c/-65537/2": "lineage", "c/-65537/5": "first", "c/-65537/9": "re-proves within so many days when asked",
	"c/-65537/10": "the DP's nonce", "c/-65537/11": "SHA-256 of each receipt",
	"c/-65537/11/0": "of the mail reply's receipt", "c/-65537/11/1": "of its witness's",
}

// times are the places where an integer is a time in seconds since 1970.
var times = map[string]bool{"c/4": true, "c/6": true, "h/-65537/2": true, "h/-65537/3": true, "h/-65537/5": true}

// roles are the values of the role parameter.
var roles = map[uint64]string{1: "holder", 2: "MSP", 3: "DP"}

// annotator writes CBOR byte by byte.
type annotator struct {
	t   *testing.T
	b   []byte
	at  int
	out strings.Builder
}

// annotate explains a mapping at one MSP.
func annotate(t *testing.T, b mapping.Bundle) []byte {
	a := &annotator{t: t, b: b.Mapping}
	fmt.Fprintf(&a.out, "The vector \"one MSP\" of accept.json, byte by byte: offset, bytes, meaning.\n\n")
	a.row(0, 2, "tag 98: COSE_Sign (RFC 9052 section 4.1)")
	a.item("", 0, false)
	if a.at != len(a.b) {
		t.Fatalf("%d of %d bytes explained", a.at, len(a.b))
	}
	a.signed()
	return []byte(a.out.String())
}

// row writes the next n bytes with a comment, and moves on.
func (a *annotator) row(depth, n int, comment string) {
	const width = 16
	for first := true; n > 0; first = false {
		k := min(n, width)
		if !first {
			comment = ""
		}
		line := fmt.Sprintf("%4d  %-*s  %s%s", a.at, 3*width-1, spaced(a.b[a.at:a.at+k]), strings.Repeat("  ", depth), comment)
		a.out.WriteString(strings.TrimRight(line, " ") + "\n")
		a.at, n = a.at+k, n-k
	}
}

func spaced(b []byte) string {
	s := make([]string, len(b))
	for i, x := range b {
		s[i] = hex.EncodeToString([]byte{x})
	}
	return strings.Join(s, " ")
}

// head reads the head of the item at a.at without moving on.
func (a *annotator) head() (major byte, arg uint64, size int) {
	first := a.b[a.at]
	major = first >> 5
	switch low := first & 31; {
	case low < 24:
		return major, uint64(low), 1
	case low == 24:
		return major, uint64(a.b[a.at+1]), 2
	case low == 25:
		return major, uint64(binary.BigEndian.Uint16(a.b[a.at+1:])), 3
	case low == 26:
		return major, uint64(binary.BigEndian.Uint32(a.b[a.at+1:])), 5
	default:
		a.t.Fatalf("head %x", first)
		return 0, 0, 0
	}
}

// meaning is the comment for a place; which of several signatures does not
// matter below it.
func meaning(place string) string {
	if m, ok := meanings[place]; ok {
		return m
	}
	if rest, ok := strings.CutPrefix(place, "/3/"); ok {
		if _, below, ok := strings.Cut(rest, "/"); ok {
			return meanings["/3/n/"+below]
		}
	}
	return ""
}

// item writes the item at a.at, which stands at a place. What a map's key has
// explained is not said again.
func (a *annotator) item(place string, depth int, explained bool) {
	a.t.Helper()
	major, arg, size := a.head()
	note := func(kind string) string {
		if m := meaning(place + "="); m != "" {
			return kind + ": " + m
		}
		if m := meaning(place); m != "" && !explained {
			return kind + ": " + m
		}
		return kind
	}
	switch major {
	case 0, 1:
		a.row(depth, size, a.integer(place, major, arg, note))
	case 2:
		a.row(depth, size, note(fmt.Sprintf("byte string of %d", arg)))
		switch {
		case place == "/2":
			a.item("c", depth+1, false)
		case strings.HasPrefix(place, "/3/") && strings.HasSuffix(place, "/0"):
			a.item("h", depth+1, false)
		case arg > 0:
			a.row(depth+1, int(arg), "")
		}
	case 3:
		a.row(depth, size, note(fmt.Sprintf("text of %d", arg)))
		a.row(depth+1, int(arg), fmt.Sprintf("%q", a.b[a.at:a.at+int(arg)]))
	case 4:
		a.row(depth, size, note(fmt.Sprintf("array of %d", arg)))
		for i := range arg {
			a.item(fmt.Sprintf("%s/%d", place, i), depth+1, false)
		}
	case 5:
		a.row(depth, size, note(fmt.Sprintf("map of %d", arg)))
		for range arg {
			a.pair(place, depth+1)
		}
	default:
		a.row(depth, size, map[uint64]string{20: "false", 21: "true"}[arg])
	}
}

func (a *annotator) integer(place string, major byte, arg uint64, note func(string) string) string {
	n := int64(arg)
	if major == 1 {
		n = -1 - n
	}
	switch {
	case times[place]:
		return fmt.Sprintf("%d: %s", n, time.Unix(n, 0).UTC().Format(time.RFC3339))
	case place == "h/-65537/1":
		return fmt.Sprintf("%d: %s", n, roles[arg])
	case place == "h/-65537/4":
		return fmt.Sprintf("%d: no live lineage anywhere", n)
	default:
		return note(fmt.Sprint(n))
	}
}

// pair writes a key and its value.
func (a *annotator) pair(place string, depth int) {
	major, arg, size := a.head()
	n := int64(arg)
	if major == 1 {
		n = -1 - n
	}
	below := fmt.Sprintf("%s/%d", place, n)
	m := meaning(below)
	if m == "" {
		a.t.Errorf("no meaning for %s", below)
	}
	a.row(depth, size, fmt.Sprintf("key %d, %s", n, m))
	a.item(below, depth+1, true)
}

// signed says what each signature is made over.
func (a *annotator) signed() {
	m, err := cose.Parse(a.b, mapping.MaxSize)
	if err != nil {
		a.t.Fatal(err)
	}
	var s coseSign
	if err := unmarshal(a.b[2:], &s); err != nil {
		a.t.Fatal(err)
	}
	fmt.Fprintf(&a.out, `
Each signature is made over the Sig_structure of RFC 9052 section 4.4, here with
the label %q as external_aad:

  85                            array of 5
  69 53 69 67 6e 61 74 75 72 65 text of 9: "Signature"
  40                            the body's protected header: empty
  58 ..                         the signature's protected header, as it stands above
  %x 77 .. 67                   byte string of %d: the label
  59 .. ..                      the payload, as it stands above

`, key.LabelMapping, 0x40+len(key.LabelMapping), len(key.LabelMapping))
	for i, who := range []string{worldtest.Key(a.t, holder).Public().String(), mspName, worldtest.DP} {
		tbs := newMaker(a.t).marshal([]any{"Signature", []byte{}, s.Signatures[i].Protected, []byte(key.LabelMapping), m.Payload})
		if !bytes.HasPrefix(tbs, []byte{0x85, 0x69}) {
			a.t.Fatal("Sig_structure")
		}
		fmt.Fprintf(&a.out, "of %s: %d bytes, SHA-256\n  %x\n", who, len(tbs), sha256.Sum256(tbs))
	}
	digest := sha256.Sum256(m.Payload)
	fmt.Fprintf(&a.out, "\nThe digest by which a successor or a withdrawal names this mapping, SHA-256 of\nthe payload:\n  %x\n", digest)
}

// sizes measures what docs/spec/mapping.md tells.
func sizes(t *testing.T) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "%-28s %8s %9s %7s\n", "bytes", "mapping", "receipts", "all")
	for _, c := range accepted() {
		switch c.name {
		case "one MSP", "telephone", "no MSP", "two MSPs", "eight MSPs", "every optional claim", "renewed", "three receipts", "signed by a carrier", "observed", "observed by a list":
			b := c.make(newMaker(t))
			fmt.Fprintf(&out, "%-28s %8d %9d %7d\n", c.name, len(b.Mapping), b.Size()-len(b.Mapping), b.Size())
		}
	}
	m := newMaker(t)
	for _, c := range withdrawals(m, m.draft(mspName).bundle()) {
		if c.name == "good" {
			fmt.Fprintf(&out, "%-28s %8d\n", "withdrawal", len(c.statement))
		}
	}
	return []byte(out.String())
}
