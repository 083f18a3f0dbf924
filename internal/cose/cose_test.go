package cose_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	gocose "github.com/veraison/go-cose"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
)

func testKey(t testing.TB, b byte) key.Private {
	t.Helper()
	k, err := key.Generate(bytes.NewReader(bytes.Repeat([]byte{b}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func message(t testing.TB) []byte {
	t.Helper()
	m := cose.Message{Payload: []byte("payload")}
	for i, named := range []bool{false, true, true} {
		var err error
		m, err = m.With(key.LabelMapping, testKey(t, byte(i+1)), named, cose.Params{Role: uint8(i + 1), Time: 1800000000})
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignVerify(t *testing.T) {
	m, err := cose.Parse(message(t), 1024)
	if err != nil {
		t.Fatal(err)
	}
	if m.Signatures[0].HasKID || !m.Signatures[1].HasKID || m.Signatures[1].KID != testKey(t, 2).Public().ID() {
		t.Error("kid")
	}
	for i := range m.Signatures {
		pub := testKey(t, byte(i+1)).Public()
		if err := m.Verify(i, key.LabelMapping, pub); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		if err := m.Verify(i, key.LabelRenewal, pub); !errors.Is(err, key.ErrSignature) {
			t.Errorf("%d under another label: %v", i, err)
		}
		if err := m.Verify(i, key.LabelMapping, testKey(t, 9).Public()); !errors.Is(err, key.ErrSignature) {
			t.Errorf("%d by another key: %v", i, err)
		}
	}
	short := m.Without(1)
	if len(short.Signatures) != 2 || len(m.Signatures) != 3 {
		t.Error("Without changed its receiver or kept the signature")
	}
}

// oracle verifies with another implementation of COSE: it proves that the
// bytes are those of RFC 9052, not only of this package.
type oracle struct{ pub ed25519.PublicKey }

func (o oracle) Algorithm() gocose.Algorithm { return -19 }
func (o oracle) Verify(content, signature []byte) error {
	if !ed25519.Verify(o.pub, content, signature) {
		return gocose.ErrVerification
	}
	return nil
}

func TestOtherImplementationVerifies(t *testing.T) {
	m := cose.Message{Payload: []byte("payload")}
	m, err := m.With(key.LabelMapping, testKey(t, 1), true, cose.Params{Role: 1, Time: 1800000000})
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	var foreign gocose.SignMessage
	if err := foreign.UnmarshalCBOR(b); err != nil {
		t.Fatal(err)
	}
	if err := foreign.Verify([]byte(key.LabelMapping), oracle{testKey(t, 1).Public().Bytes()}); err != nil {
		t.Errorf("COSE_Sign: %v", err)
	}
	b, err = cose.Sign1(key.LabelReceipt, []byte("payload"), testKey(t, 2), true, cose.Params{Role: 4, Time: 1800000000})
	if err != nil {
		t.Fatal(err)
	}
	var foreign1 gocose.Sign1Message
	if err := foreign1.UnmarshalCBOR(b); err != nil {
		t.Fatal(err)
	}
	if err := foreign1.Verify([]byte(key.LabelReceipt), oracle{testKey(t, 2).Public().Bytes()}); err != nil {
		t.Errorf("COSE_Sign1: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := message(t)
	if _, err := cose.Parse(good, len(good)-1); !errors.Is(err, canon.ErrTooLarge) {
		t.Errorf("size: %v", err)
	}
	if _, err := cose.Parse1(good, 1024); !errors.Is(err, cose.ErrTag) {
		t.Errorf("tag: %v", err)
	}
	// Algorithm −19 is 0x32; −8 (EdDSA) would be 0x27.
	if _, err := cose.Parse(bytes.Replace(good, []byte{0x01, 0x32}, []byte{0x01, 0x27}, 1), 1024); !errors.Is(err, cose.ErrHeader) {
		t.Errorf("algorithm: %v", err)
	}
	// The first signature's unprotected map (0xa0, then a 64-byte string).
	at := bytes.Index(good, []byte{0xa0, 0x58, 0x40})
	if at < 0 {
		t.Fatal("no unprotected map found")
	}
	filled := append(bytes.Clone(good[:at]), 0xa1, 0x01, 0x01)
	filled = append(filled, good[at+1:]...)
	if _, err := cose.Parse(filled, 1024); err == nil {
		t.Error("an unprotected header was accepted")
	}
}

// TestTimesAreBounded: time.Unix wraps around on what an int64 can hold, so that
// a signature from the end of time would pass for one from its beginning.
func TestTimesAreBounded(t *testing.T) {
	for name, p := range map[string]cose.Params{
		"time": {Role: 1, Time: 1<<63 - 1}, "until": {Role: 1, Until: 253402300800}, "admitted": {Role: 1, Admitted: 1 << 62},
		"past": {Role: 1, Time: -1},
	} {
		b, err := cose.Sign1(key.LabelReceipt, []byte("payload"), testKey(t, 1), true, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cose.Parse1(b, 1024); !errors.Is(err, cose.ErrHeader) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryBitCounts flips each bit of a COSE_Sign: parsing or one of the
// signatures must fail.
func TestEveryBitCounts(t *testing.T) {
	good := message(t)
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		m, err := cose.Parse(bad, 1024)
		if err != nil {
			continue
		}
		ok := len(m.Signatures) == 3
		for j := range m.Signatures {
			ok = ok && m.Verify(j, key.LabelMapping, testKey(t, byte(j+1)).Public()) == nil
		}
		// A kid is not checked here but by the caller, who looks the key up.
		if ok && m.Signatures[1].KID == testKey(t, 2).Public().ID() {
			t.Fatalf("bit %d does not count", i)
		}
	}
}

func FuzzParseCanonical(f *testing.F) {
	f.Add(message(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := cose.Parse(b, 4096)
		if err != nil {
			return
		}
		again, err := m.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("parse then marshal gives %x, %v", again, err)
		}
	})
}

func FuzzParse1(f *testing.F) {
	b, err := cose.Sign1(key.LabelReceipt, []byte("payload"), testKey(f, 2), true, cose.Params{Role: 4, Time: 1800000000})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := cose.Parse1(b, 4096); err == nil && m.Verify(key.LabelWithdrawal, testKey(t, 2).Public()) == nil {
			t.Error("a signature verifies under another label")
		}
	})
}
