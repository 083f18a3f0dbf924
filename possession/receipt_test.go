package possession_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/observe"
)

// body is a receipt's payload, written anew so that cases can bend it and so
// that two encoders must agree.
type body map[int64]any

// good is the payload of a receipt by a good prover.
func good(t testing.TB) body {
	id, holder := worldtest.CSI(t, "mailto:alice@example.org"), worldtest.Key(t, "alice").Public()
	subject := possession.SubjectOf(id, holder)
	return body{
		1: 1, 2: subject[:], 3: 1, 4: 4, 5: bytes.Repeat([]byte{5}, 32), 6: bytes.Repeat([]byte{6}, 32), 7: int64(1_793_534_400),
	}
}

// sign signs a payload as a prover, with parameters that cases can bend.
func sign(t testing.TB, payload any, l key.Label, named bool, p cose.Params) []byte {
	t.Helper()
	b, ok := payload.([]byte)
	if !ok {
		var err error
		if b, err = canon.Marshal(payload); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cose.Sign1(l, b, worldtest.Key(t, worldtest.ProverA), named, p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var params = cose.Params{Role: 1, Time: 1_793_534_460}

// TestReceiptBytes: what Sign writes is what the spec says, and Parse reads the
// same back.
func TestReceiptBytes(t *testing.T) {
	want := possession.Receipt{
		Purpose: possession.PurposeEnrol,
		Subject: possession.SubjectOf(worldtest.CSI(t, "mailto:alice@example.org"), worldtest.Key(t, "alice").Public()),
		Kind:    possession.MailReply, Level: possession.Level4,
		Artefact: [32]byte(bytes.Repeat([]byte{5}, 32)), KeySeen: [32]byte(bytes.Repeat([]byte{6}, 32)),
		Evidence: time.Unix(1_793_534_400, 0), Signed: time.Unix(1_793_534_460, 0),
	}
	b, err := want.Sign(worldtest.Key(t, worldtest.ProverA))
	if err != nil {
		t.Fatal(err)
	}
	if other := sign(t, good(t), key.LabelReceipt, true, params); !bytes.Equal(b, other) {
		t.Errorf("two encoders differ:\n%x\n%x", b, other)
	}
	u, err := possession.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, u.Claims()); d != "" {
		t.Error(d)
	}
	if u.Digest() != possession.Digest(b) {
		t.Error("digest")
	}
	if len(b) > 235 {
		t.Errorf("%d bytes", len(b))
	}
	want.KeySeen = [32]byte{}
	short, err := want.Sign(worldtest.Key(t, worldtest.ProverA))
	if err != nil {
		t.Fatal(err)
	}
	if len(short) != len(b)-35 {
		t.Errorf("%d bytes without a key seen, %d with one", len(short), len(b))
	}
	if u, err := possession.Parse(short); err != nil || u.Claims() != want {
		t.Errorf("%+v, %v", u.Claims(), err)
	}
}

// malformed bends one member of a receipt at a time.
func malformed(t testing.TB) map[string][]byte {
	bend := func(f func(body)) []byte {
		b := good(t)
		f(b)
		return sign(t, b, key.LabelReceipt, true, params)
	}
	header := func(p cose.Params) []byte { return sign(t, good(t), key.LabelReceipt, true, p) }
	whole := bend(func(body) {})
	if _, err := possession.Parse(whole); err != nil {
		t.Fatalf("unbent: %v", err)
	}
	return map[string][]byte{
		"nothing":                  {},
		"one byte less":            whole[:len(whole)-1],
		"one byte more":            append(bytes.Clone(whole), 0),
		"untagged":                 whole[1:],
		"tag of COSE_Sign":         append([]byte{0xd8, 98}, whole[1:]...),
		"too large":                append(bytes.Clone(whole), make([]byte, possession.MaxReceipt)...),
		"no purpose":               bend(func(b body) { delete(b, 1) }),
		"purpose 0":                bend(func(b body) { b[1] = 0 }),
		"purpose 3":                bend(func(b body) { b[1] = 3 }),
		"purpose 257":              bend(func(b body) { b[1] = 257 }),
		"no subject":               bend(func(b body) { delete(b, 2) }),
		"short subject":            bend(func(b body) { b[2] = make([]byte, 31) }),
		"long subject":             bend(func(b body) { b[2] = make([]byte, 33) }),
		"subject as text":          bend(func(b body) { b[2] = string(bytes.Repeat([]byte{'a'}, 32)) }),
		"kind 256":                 bend(func(b body) { b[3] = 256 }),
		"negative kind":            bend(func(b body) { b[3] = -1 }),
		"level 0":                  bend(func(b body) { b[4] = 0 }),
		"level 5":                  bend(func(b body) { b[4] = 5 }),
		"no artefact":              bend(func(b body) { delete(b, 5) }),
		"short artefact":           bend(func(b body) { b[5] = []byte{1} }),
		"short key seen":           bend(func(b body) { b[6] = []byte{1} }),
		"empty key seen":           bend(func(b body) { b[6] = []byte{} }),
		"zero key seen":            bend(func(b body) { b[6] = make([]byte, 32) }),
		"no evidence time":         bend(func(b body) { delete(b, 7) }),
		"evidence in 1970":         bend(func(b body) { b[7] = 0 }),
		"evidence before 1970":     bend(func(b body) { b[7] = -1 }),
		"fraction of a second":     bend(func(b body) { b[7] = 1793534400.5 }),
		"unknown member":           bend(func(b body) { b[8] = 1 }),
		"member of another type":   bend(func(b body) { b[4] = "4" }),
		"payload is a list":        sign(t, []int{1}, key.LabelReceipt, true, params),
		"payload is empty":         sign(t, []byte{}, key.LabelReceipt, true, params),
		"payload not canonical":    sign(t, notShortest(t), key.LabelReceipt, true, params),
		"payload with a tail":      sign(t, append(encode(t, good(t)), 0), key.LabelReceipt, true, params),
		"member twice":             sign(t, twice(t), key.LabelReceipt, true, params),
		"without a kid":            sign(t, good(t), key.LabelReceipt, false, params),
		"another role":             header(cose.Params{Role: 2, Time: params.Time}),
		"no role":                  header(cose.Params{Time: params.Time}),
		"good until":               header(cose.Params{Role: 1, Time: params.Time, Until: 1}),
		"with what a DP found":     header(cose.Params{Role: 1, Time: params.Time, Found: 1}),
		"with a time of admission": header(cose.Params{Role: 1, Time: params.Time, Admitted: 1}),
	}
}

// TestParseRefuses: what is not a receipt in its one form is none.
func TestParseRefuses(t *testing.T) {
	for name, b := range malformed(t) {
		t.Run(name, func(t *testing.T) {
			if u, err := possession.Parse(b); !errors.Is(err, possession.ErrReceipt) {
				t.Errorf("got %+v, %v", u.Claims(), err)
			}
		})
	}
	// The label is no part of the bytes; whoever verifies supplies it.
	if _, err := possession.Parse(sign(t, good(t), key.LabelMapping, true, params)); err != nil {
		t.Errorf("another label: %v", err)
	}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := canon.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// notShortest writes the level, 4, in two bytes.
func notShortest(t testing.TB) []byte {
	return bytes.Replace(encode(t, good(t)), []byte{0x04, 0x04, 0x05}, []byte{0x04, 0x18, 0x04, 0x05}, 1)
}

// twice writes the level twice.
func twice(t testing.TB) []byte {
	b := bytes.Replace(encode(t, good(t)), []byte{0x04, 0x04, 0x05}, []byte{0x04, 0x04, 0x04, 0x04, 0x05}, 1)
	b[0]++
	return b
}

// TestHashes pins the two hashes that tie evidence to a CSI and a key.
func TestHashes(t *testing.T) {
	id, holder := worldtest.CSI(t, "mailto:alice@example.org"), worldtest.Key(t, "alice").Public()
	var nonce [possession.NonceSize]byte
	for i := range nonce {
		nonce[i] = byte(i)
	}
	subject, response := possession.SubjectOf(id, holder), possession.Response(id, holder, nonce)
	// The same, encoded by hand: array, label, CSI, COSE_Key, nonce.
	wantSubject := concat(t, "83", text("whither/v1/subject"), text("mailto:alice@example.org"), holder.COSEKey())
	wantResponse := concat(t, "84", text("whither/v1/response"), text("mailto:alice@example.org"), holder.COSEKey(), []byte{0x58, 48}, nonce[:])
	if subject != possession.Digest(wantSubject) || response != possession.Digest(wantResponse) {
		t.Errorf("subject %x, response %x", subject, response)
	}
	others := map[string][32]byte{
		"subject":               subject,
		"response":              response,
		"subject of bob":        possession.SubjectOf(worldtest.CSI(t, "mailto:bob@example.org"), holder),
		"subject, other key":    possession.SubjectOf(id, worldtest.Key(t, "bob").Public()),
		"response of bob":       possession.Response(worldtest.CSI(t, "mailto:bob@example.org"), holder, nonce),
		"response, other key":   possession.Response(id, worldtest.Key(t, "bob").Public(), nonce),
		"response, other nonce": possession.Response(id, holder, [possession.NonceSize]byte{47: 1}),
	}
	seen := make(map[[32]byte]string)
	for name, h := range others {
		if other, twice := seen[h]; twice {
			t.Errorf("%s and %s are one", name, other)
		}
		seen[h] = name
	}
}

// text encodes a CBOR text of up to 255 bytes.
func text(s string) []byte {
	if len(s) < 24 {
		return append([]byte{0x60 | byte(len(s))}, s...)
	}
	return append([]byte{0x78, byte(len(s))}, s...)
}

func concat(t testing.TB, head string, parts ...[]byte) []byte {
	t.Helper()
	out, err := hex.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// FuzzReceiptCanonical: what is read as a receipt has no second spelling. From
// the claims and the signature alone, another encoder makes the same bytes.
func FuzzReceiptCanonical(f *testing.F) {
	f.Add(sign(f, good(f), key.LabelReceipt, true, params))
	b := good(f)
	delete(b, 6)
	f.Add(sign(f, b, key.LabelReceipt, true, params))
	f.Add(sign(f, notShortest(f), key.LabelReceipt, true, params))
	f.Add(sign(f, twice(f), key.LabelReceipt, true, params))
	f.Add(sign(f, good(f), key.LabelReceipt, false, params))
	w := newScene(f, address)
	f.Add(w.wordOf(wordBy(observerC, observe.DKIM)))
	f.Add(w.excerpt(observerC, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := possession.Parse(b)
		if err != nil {
			if !errors.Is(err, possession.ErrReceipt) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if _, word := u.Word(); word {
			return // read by package observe, and fuzzed there
		}
		c, kid := u.Claims(), b[len(b)-64:]
		m, err := cose.Parse1(b, possession.MaxReceipt)
		if err != nil {
			t.Fatal(err)
		}
		payload := body{1: c.Purpose, 2: c.Subject[:], 3: c.Kind, 4: c.Level, 5: c.Artefact[:], 7: c.Evidence.Unix()}
		if c.KeySeen != [32]byte{} {
			payload[6] = c.KeySeen[:]
		}
		header := encode(t, map[int64]any{
			1: -19, 2: []int64{-65537}, 4: m.Signature.KID[:], -65537: map[int64]any{1: 1, 2: c.Signed.Unix()},
		})
		again := append([]byte{0xd2}, encode(t, []any{header, map[int64]any{}, encode(t, payload), kid})...)
		if !bytes.Equal(b, again) {
			t.Errorf("read %x, wrote %x", b, again)
		}
	})
}

// paramsAt are the parameters of a receipt signed at a time.
func paramsAt(at time.Time) cose.Params { return cose.Params{Role: 1, Time: at.Unix()} }
