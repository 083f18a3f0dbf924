package slot_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/slot"
)

func key(b byte) (k slot.Key) {
	copy(k[:], bytes.Repeat([]byte{b}, len(k)))
	return k
}

func sealer(t testing.TB, id pir.Identity, size int, k slot.Key) *slot.Sealer {
	t.Helper()
	s, err := slot.NewSealer(&id, size, &k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealAndOpen(t *testing.T) {
	id := pir.Identity{DP: "dp.example", Table: 1, Epoch: 2}
	for _, size := range []int{16, 32, 64, 68, 1536} {
		s := sealer(t, id, size, key(1))
		for _, n := range []int{0, 1, slot.MaxValue(size)} {
			for _, fill := range []byte{0, 0x80, 7} {
				value, b := bytes.Repeat([]byte{fill}, n), make([]byte, size)
				s.Seal(b, value)
				if got := s.Open(b); got == nil || !bytes.Equal(got, value) {
					t.Fatalf("%d bytes of %#x in %d: %x", n, fill, size, got)
				}
				for at := range b {
					b[at] ^= 0x10
					if s.Open(b) != nil {
						t.Fatalf("byte %d altered", at)
					}
					b[at] ^= 0x10
				}
			}
		}
		b := make([]byte, size)
		s.Seal(b, nil)
		for name, other := range map[string]*slot.Sealer{
			"key":   sealer(t, id, size, key(2)),
			"table": sealer(t, pir.Identity{DP: id.DP, Table: 2, Epoch: 2}, size, key(1)),
			"epoch": sealer(t, pir.Identity{DP: id.DP, Table: 1, Epoch: 3}, size, key(1)),
		} {
			if other.Open(b) != nil {
				t.Errorf("another %s opens it", name)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	if err := slot.Check(32, make([]byte, slot.MaxValue(32))); err != nil {
		t.Error(err)
	}
	if err := slot.Check(32, make([]byte, slot.MaxValue(32)+1)); !errors.Is(err, slot.ErrValue) {
		t.Errorf("too long: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(f, pir.Identity{}, 32, key(1))
	b := make([]byte, 32)
	s.Seal(b, []byte("value"))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 32 {
			return
		}
		v := s.Open(b)
		if v == nil {
			return
		}
		again := make([]byte, 32)
		s.Seal(again, v)
		if !bytes.Equal(again, b) {
			t.Error("two slots for one value")
		}
	})
}

func TestKeysAreRedacted(t *testing.T) {
	k := key(5)
	text := fmt.Sprintf("%v %+v %#v %x %s", k, k, k, k.String(), k.LogValue())
	if strings.Contains(text, fmt.Sprint(k[0], " ", k[1])) || strings.Contains(text, fmt.Sprintf("%x", k[:4])) {
		t.Error("shows the key")
	}
}
