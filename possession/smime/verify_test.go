package smime_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/possession/smime"
)

// TestWant: nothing is verified against half a question.
func TestWant(t *testing.T) {
	m := vectorCase{}.build(t)
	for name, edit := range map[string]func(*smime.Want){
		"no CSI":               func(w *smime.Want) { w.CSI = csi.ID{} },
		"a number":             func(w *smime.Want) { w.CSI = parseCSI(t, "tel:+14085550123") },
		"a handle":             func(w *smime.Want) { w.CSI = parseCSI(t, "acct:alice@example.org") },
		"no response":          func(w *smime.Want) { w.Response = [32]byte{} },
		"no fingerprint":       func(w *smime.Want) { w.Fingerprint = "" },
		"fingerprint of words": func(w *smime.Want) { w.Fingerprint = "a b" },
		"no roots":             func(w *smime.Want) { w.Roots = nil }, // not those of the machine
		"no status":            func(w *smime.Want) { w.Status = nil },
		"no time":              func(w *smime.Want) { w.Now = time.Time{} },
	} {
		want := m.wanted(t)
		edit(&want)
		if _, err := smime.Verify(m.signature, want); !errors.Is(err, smime.ErrWant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestR05SignatureAnswersOneQuestion: a signature answers the question that was
// asked and no other.
func TestR05SignatureAnswersOneQuestion(t *testing.T) {
	m := vectorCase{}.build(t)
	for name, c := range map[string]struct {
		edit   func(*smime.Want)
		expect error
	}{
		"address":        {func(w *smime.Want) { w.CSI = parseCSI(t, "mailto:bob@example.org") }, smime.ErrAddress},
		"key":            {func(w *smime.Want) { w.Response = response(t, "mailto:"+address, 'm', 1) }, smime.ErrContent},
		"challenge":      {func(w *smime.Want) { w.Response = response(t, "mailto:"+address, 'a', 2) }, smime.ErrContent},
		"fingerprint":    {func(w *smime.Want) { w.Fingerprint += "0" }, smime.ErrContent},
		"two days later": {func(w *smime.Want) { w.Now = w.Now.Add(48 * time.Hour) }, smime.ErrStale},
		"an hour before": {func(w *smime.Want) { w.Now = w.Now.Add(-time.Hour) }, smime.ErrFuture},
	} {
		want := m.wanted(t)
		c.edit(&want)
		if _, err := smime.Verify(m.signature, want); !errors.Is(err, c.expect) {
			t.Errorf("another %s: %v, want %v", name, err, c.expect)
		}
	}
}

// TestStatus: the status is asked for each certificate below the root with its
// issuer, after everything else, and its own words are not repeated.
func TestStatus(t *testing.T) {
	for _, c := range append(accepted(), refused()...) {
		m := c.build(t)
		want := m.wanted(t)
		var asked []string
		want.Status = func(certificate, issuer *x509.Certificate) error {
			if certificate.CheckSignatureFrom(issuer) != nil {
				t.Errorf("%s: asked with another issuer", c.name)
			}
			asked = append(asked, certificate.SerialNumber.String())
			return nil
		}
		_, err := smime.Verify(m.signature, want)
		late := errors.Is(c.expect, smime.ErrRevoked) || errors.Is(c.expect, smime.ErrStatus)
		if late != (err == nil && c.expect != nil) {
			t.Errorf("%s: %v without a status", c.name, err)
		}
		if (err == nil) != (len(asked) > 0) {
			t.Errorf("%s: asked for %v", c.name, asked)
		}
	}
	m := vectorCase{}.build(t)
	want := m.wanted(t)
	for cause, expect := range map[error]error{
		fmt.Errorf("%w: alice@example.org", smime.ErrRevoked): smime.ErrRevoked,
		errors.New("no answer for alice@example.org"):         smime.ErrStatus,
	} {
		want.Status = func(_, _ *x509.Certificate) error { return cause }
		_, err := smime.Verify(m.signature, want)
		if !errors.Is(err, expect) {
			t.Errorf("%v, want %v", err, expect)
		}
		checkError(t, err)
	}
}

func TestCRLsRefuses(t *testing.T) {
	root := certify(t, authorityTemplate("Example Root", 1), authorityTemplate("Example Root", 1), "root", "root")
	good := list(t, root, "root", nil)
	for name, lists := range map[string][][]byte{
		"malformed":     {good[:20]},
		"no list":       {nil},
		"trailing byte": {append(bytes.Clone(good), 0)},
		"too many":      slices.Repeat([][]byte{good}, 65),
		"too large":     {make([]byte, 16<<20+1)},
	} {
		if _, err := smime.CRLs(now, lists...); !errors.Is(err, smime.ErrStatus) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestR05NoByteCanBeChanged tries every change of one bit.
func TestR05NoByteCanBeChanged(t *testing.T) {
	m := vectorCase{}.build(t)
	want := m.wanted(t)
	if _, err := smime.Verify(m.signature, want); err != nil {
		t.Fatal(err)
	}
	for i := range m.signature {
		for bit := range 8 {
			changed := bytes.Clone(m.signature)
			changed[i] ^= 1 << bit
			if _, err := smime.Verify(changed, want); err == nil {
				t.Errorf("accepted with bit %d of byte %d changed", bit, i)
			}
		}
	}
}

// TestR05MutatedSignatures changes, drops, doubles and moves bytes and whole
// elements of good signatures: nothing that results is accepted, save for one
// that was made, or one whose certificates are in another order. 5,000 of them,
// 500,000 with WHITHER_LONG=1.
func TestR05MutatedSignatures(t *testing.T) {
	var all []made
	var raws, elements [][]byte
	for _, c := range accepted()[:5] {
		m := c.build(t)
		all, raws = append(all, m), append(raws, m.signature)
		elements = append(elements, elementsOf(m.signature)...)
	}
	wants := make([]smime.Want, len(all))
	for i, m := range all {
		wants[i] = m.wanted(t)
	}
	worldtest.Mutations(t, 8, func(m worldtest.Mutator) worldtest.Outcome {
		i := m.IntN(len(all))
		raw := bytes.Clone(raws[i])
		if m.IntN(2) == 0 {
			raw = m.Bend(raw, raws...)
		}
		for range m.IntN(3) { // an element in the place of another of its size
			own := elementsOf(raw)
			if len(own) == 0 {
				break
			}
			if e, old := worldtest.Pick(m, elements), worldtest.Pick(m, own); len(e) == len(old) {
				raw = bytes.Replace(raw, old, e, 1)
			}
		}
		if bytes.Equal(raw, raws[i]) {
			raw = m.Bend(raw)
		}
		if _, err := smime.Verify(raw, wants[i]); err != nil {
			checkError(t, err)
			return worldtest.Refused
		}
		if !slices.ContainsFunc(raws, func(o []byte) bool { return bytes.Equal(o, raw) }) {
			t.Logf("accepted %x", raw)
			return worldtest.Forged
		}
		return worldtest.Same
	})
}

// elementsOf lists the DER elements in b at any depth, of up to 200 bytes.
func elementsOf(b []byte) [][]byte {
	var out [][]byte
	for len(b) >= 2 {
		header, n := 2, int(b[1])
		switch {
		case n == 0x81 && len(b) > 2:
			header, n = 3, int(b[2])
		case n == 0x82 && len(b) > 3:
			header, n = 4, int(b[2])<<8|int(b[3])
		case n > 0x80:
			return out
		}
		if header+n > len(b) {
			return out
		}
		if header+n <= 200 {
			out = append(out, b[:header+n])
		}
		if b[0]&0x20 != 0 {
			out = append(out, elementsOf(b[header:header+n])...)
		}
		b = b[header+n:]
	}
	return out
}

// FuzzVerify looks for a panic, for an error that tells something of a person,
// and for a signature that verifies and is none of those that were made.
func FuzzVerify(f *testing.F) {
	made := make(map[string]bool)
	for _, v := range readVectors(f) {
		made[v.Signature] = true
		if len(v.Signature) < 8<<10 { // large seeds only cost time
			f.Add(unhex(f, v.Signature))
		}
	}
	want := vectorCase{}.build(f).wanted(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := smime.Verify(raw, want); err != nil {
			checkError(t, err)
		} else if !made[hex.EncodeToString(raw)] {
			t.Errorf("forged: %x", raw)
		}
	})
}

// FuzzCRLs looks for a panic, and for a list that speaks for a certificate and
// was not made by its authority.
func FuzzCRLs(f *testing.F) {
	root := certify(f, authorityTemplate("Example Root", 1), authorityTemplate("Example Root", 1), "root", "root")
	good := list(f, root, "root", nil, 5)
	f.Add(good)
	c := parsed(f, root)
	f.Fuzz(func(t *testing.T, der []byte) {
		status, err := smime.CRLs(now, der)
		if err != nil {
			checkError(t, err)
			return
		}
		if err := status(c, c); err == nil && !bytes.Equal(der, good) {
			t.Errorf("forged: %x", der)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range accepted()[:2] {
		b.Run(c.name, func(b *testing.B) {
			m := c.build(b)
			want := m.wanted(b)
			b.SetBytes(int64(len(m.signature)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := smime.Verify(m.signature, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The app writes this to a file; the person signs it with the key of her
// certificate.
func ExampleContent() {
	text := smime.Content([32]byte{1, 2, 3}, fingerprint)
	fmt.Print(strings.ReplaceAll(string(text), "\r\n", "\n"))
	// Output:
	// I let key 5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4 answer for this address.
	//
	// -----BEGIN WHITHER RESPONSE-----
	// AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
	// -----END WHITHER RESPONSE-----
}

func nothingRevoked(_, _ *x509.Certificate) error { return nil }
