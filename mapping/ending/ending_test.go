package ending_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/mapping/ending"
	"whither/registry"
)

// scene is a mapping with two MSPs, and what is said about it.
type scene struct {
	*worldtest.Federation
	t *testing.T
	v mapping.Verified
}

func newScene(t *testing.T) scene {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.Key(t, "bob")
	c := f.Claims(id, holder.Public(), "two", worldtest.MSPA, worldtest.MSPB)
	u := f.Propose(c, holder, f.MailReceipts(id, holder.Public(), f.Now))
	return scene{f, t, f.Finish(u, mapping.FoundFirst)}
}

func (s scene) subject() ending.Subject {
	return ending.Subject{ID: s.v.Claims().ID, Payload: s.v.Digest()}
}

func (s scene) sign(of ending.Subject, provider, signer string, at time.Time) ending.End {
	s.t.Helper()
	b, err := ending.Sign(of, ending.Signed{Provider: worldtest.Party(s.t, provider)}, worldtest.Key(s.t, signer), at)
	if err != nil {
		s.t.Fatal(err)
	}
	e, err := ending.Parse(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// verified reads a bundle anew, as an asker does.
func (s scene) verified(b mapping.Bundle, at time.Time) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	return mapping.PolicyAt(s.Snapshot(), at).Verify(u)
}

func providers(v mapping.Verified) (out []registry.PartyID) {
	for _, e := range v.Living() {
		out = append(out, e.Provider)
	}
	return out
}

// TestR09EntriesDieOneByOne: an MSP ends its own entry, the other one stays, and
// whoever gets the mapping sees that without asking anybody.
func TestR09EntriesDieOneByOne(t *testing.T) {
	s := newScene(t)
	a := worldtest.Party(t, worldtest.MSPA)
	endB := s.sign(s.subject(), worldtest.MSPB, worldtest.MSPB, s.Now)
	v, err := s.v.End(endB)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = s.verified(v.Bundle(), s.Now); err != nil || len(providers(v)) != 1 || providers(v)[0] != a {
		t.Fatalf("after one end: %v, %v", providers(v), err)
	}
	if len(s.v.Living()) != 2 {
		t.Error("an end changed the mapping that it was added to")
	}
	again, err := v.End(s.sign(s.subject(), worldtest.MSPB, worldtest.MSPB, s.Now.Add(time.Minute)))
	if err != nil || len(again.Bundle().Ends) != 1 || !bytes.Equal(again.Bundle().Ends[0], endB.Bytes()) {
		t.Errorf("a second end of one entry: %v", err)
	}
	if v, err = v.End(s.sign(s.subject(), worldtest.MSPA, worldtest.MSPA, s.Now)); err != nil {
		t.Fatal(err)
	}
	if v, err = s.verified(v.Bundle(), s.Now); err != nil || len(v.Living()) != 0 || len(v.Claims().Entries) != 2 {
		t.Errorf("after both: %v, %v", providers(v), err)
	}
	renewed, err := v.Renew(worldtest.Key(t, worldtest.DP), s.Now, s.Now.Add(time.Hour))
	if err != nil || len(renewed.Bundle().Ends) != 2 {
		t.Errorf("a renewal lost ends: %v", err)
	}
}

// TestRefused: only the MSP itself, for this payload alone, in time and in order.
func TestRefused(t *testing.T) {
	s := newScene(t)
	other := s.subject()
	other.Payload[0] ^= 1
	another := s.subject()
	another.ID[0] ^= 1
	a := s.sign(s.subject(), worldtest.MSPA, worldtest.MSPA, s.Now)
	b := s.sign(s.subject(), worldtest.MSPB, worldtest.MSPB, s.Now)
	for _, c := range []struct {
		name string
		ends []ending.End
		at   time.Time
		want error
	}{
		{"in order", []ending.End{a, b}, s.Now, nil},
		{"out of order", []ending.End{b, a}, s.Now, ending.ErrForeign},
		{"twice", []ending.End{a, a}, s.Now, ending.ErrForeign},
		{"by another MSP", []ending.End{s.sign(s.subject(), worldtest.MSPA, worldtest.MSPB, s.Now)}, s.Now, ending.ErrForeign},
		{"by the DP", []ending.End{s.sign(s.subject(), worldtest.MSPA, worldtest.DP, s.Now)}, s.Now, ending.ErrForeign},
		{"by the holder", []ending.End{s.sign(s.subject(), worldtest.MSPA, "bob", s.Now)}, s.Now, ending.ErrForeign},
		{"by an MSP without an entry", []ending.End{s.sign(s.subject(), "msp-c.example", "msp-c.example", s.Now)}, s.Now, ending.ErrForeign},
		{"for another payload", []ending.End{s.sign(other, worldtest.MSPA, worldtest.MSPA, s.Now)}, s.Now, ending.ErrForeign},
		{"for another mapping", []ending.End{s.sign(another, worldtest.MSPA, worldtest.MSPA, s.Now)}, s.Now, ending.ErrForeign},
		{"before the MSP signed", []ending.End{s.sign(s.subject(), worldtest.MSPA, worldtest.MSPA, s.Now.Add(-time.Second))}, s.Now, ending.ErrForeign},
		{"from the future", []ending.End{a}, s.Now.Add(-registry.MaxSkew - time.Second), ending.ErrFuture},
		{"a clock behind", []ending.End{a}, s.Now.Add(-registry.MaxSkew), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, err := mapping.Parse(s.v.Bundle())
			if err != nil {
				t.Fatal(err)
			}
			if err := ending.Check(s.Snapshot(), c.at, s.subject(), u.Signed(), c.ends); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	bundle := s.v.Bundle()
	bundle.Ends = [][]byte{b.Bytes(), a.Bytes(), a.Bytes()}
	if _, err := mapping.Parse(bundle); !errors.Is(err, ending.ErrForeign) {
		t.Errorf("more ends than entries: %v", err)
	}
	bundle.Ends = bundle.Ends[:2]
	if _, err := s.verified(bundle, s.Now); !errors.Is(err, ending.ErrForeign) {
		t.Errorf("a mapping with ends out of order: %v", err)
	}
}

// TestAnew: a signature brings an entry back only if it is newer than the end.
func TestAnew(t *testing.T) {
	s := newScene(t)
	a := s.sign(s.subject(), worldtest.MSPA, worldtest.MSPA, s.Now)
	for after, want := range map[time.Duration]error{-time.Second: ending.ErrEnded, 0: ending.ErrEnded, time.Second: nil} {
		following := []ending.Signed{{Provider: worldtest.Party(t, worldtest.MSPA), Time: s.Now.Add(after)}}
		if err := ending.Anew([]ending.End{a}, following); !errors.Is(err, want) {
			t.Errorf("signed %s after the end: %v, want %v", after, err, want)
		}
	}
	if err := ending.Anew([]ending.End{a}, []ending.Signed{{Provider: worldtest.Party(t, worldtest.MSPB)}}); err != nil {
		t.Errorf("another MSP's entry: %v", err)
	}
}

// TestForm refuses what only looks like an end.
func TestForm(t *testing.T) {
	s := newScene(t)
	good := s.sign(s.subject(), worldtest.MSPA, worldtest.MSPA, s.Now).Bytes()
	message, err := cose.Parse1(good, ending.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	msp := worldtest.Key(t, worldtest.MSPA)
	for name, p := range map[string]cose.Params{"role": {Role: 1, Time: 1}, "until": {Role: 2, Time: 1, Until: 2}} {
		b, err := cose.Sign1(key.LabelEntryEnd, message.Payload, msp, true, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ending.Parse(b); !errors.Is(err, ending.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "trailing": append(bytes.Clone(good), 0), "large": make([]byte, ending.MaxSize+1)} {
		if _, err := ending.Parse(b); !errors.Is(err, ending.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ending.Sign(s.subject(), ending.Signed{Provider: worldtest.Party(t, worldtest.MSPA), Time: s.Now.Add(time.Hour)}, msp, s.Now); !errors.Is(err, ending.ErrFuture) {
		t.Errorf("an entry signed in the future: %v", err)
	}
}

// FuzzParse: what is read is in its one form, and no change of it is by the MSP.
func FuzzParse(f *testing.F) {
	federation := worldtest.New(f)
	msp := worldtest.Key(f, worldtest.MSPA)
	entry := ending.Signed{Provider: worldtest.Party(f, worldtest.MSPA), Time: federation.Now}
	good, err := ending.Sign(ending.Subject{ID: [16]byte{1}, Payload: [32]byte{2}}, entry, msp, federation.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	snapshot := federation.Snapshot()
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ending.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Bytes(), b) {
			t.Error("read bytes are others than those given")
		}
		err = ending.Check(snapshot, federation.Now, e.Subject, []ending.Signed{{Provider: e.Provider}}, []ending.End{e})
		if err == nil && !bytes.Equal(b, good) {
			t.Error("something else than the MSP's statement verifies")
		}
	})
}
