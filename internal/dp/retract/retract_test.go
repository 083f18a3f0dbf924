package retract_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/dp/directory"
	"whither/internal/dp/retract"
	"whither/internal/offer"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/mapping/ending"
)

// scene is a DP over a real store.
type scene struct {
	*worldtest.Federation
	t     *testing.T
	d     *directory.Directory
	fault sqlstore.Fault // of the next writes
}

func newScene(t *testing.T) *scene {
	s := &scene{Federation: worldtest.New(t), t: t}
	dir := t.TempDir()
	keys, err := sqlstore.MakeKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.OpenDirectory(t.Context(), sqlstore.Options{
		Path: filepath.Join(dir, "dp.db"), Keys: keys, Fault: func(string) sqlstore.Fault { return s.fault },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s.d, err = directory.New(directory.Config{
		Party: worldtest.Party(t, worldtest.DP), Key: worldtest.Key(t, worldtest.DP), Store: store, Snapshot: s.Snapshot,
		Offers: offer.NewMaker(worldtest.Party(t, worldtest.DP), [32]byte{7}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// submit makes a mapping at both MSPs and submits it; it follows old, unless that
// is nil.
func (s *scene) submit(old *mapping.Verified, signed time.Time, msps ...string) (mapping.Verified, error) {
	s.t.Helper()
	id, k := worldtest.CSI(s.t, "mailto:bob@example.org"), worldtest.Key(s.t, "bob")
	terms, err := s.d.Offer(id, k.Public(), s.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.Claims(id, k.Public(), "mapping", msps...)
	c.DPNonce = offer.Nonce(terms.Offer)
	if old != nil {
		c.Sequence, c.Predecessor, c.First = old.Claims().Sequence+1, old.Digest(), false
	}
	u, err := c.Sign(k, s.MailReceipts(id, k.Public(), s.Now), signed)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range msps {
		if u, err = u.AddMSP(worldtest.Key(s.t, name), signed); err != nil {
			s.t.Fatal(err)
		}
	}
	r, err := s.d.Submit(s.t.Context(), terms.Offer, u.Bundle(), signed.Add(time.Minute))
	if err != nil {
		return mapping.Verified{}, err
	}
	if u, err = mapping.Parse(r.Bundle); err != nil {
		s.t.Fatal(err)
	}
	v, err := mapping.PolicyAt(s.Snapshot(), signed.Add(time.Minute)).Verify(u)
	if err != nil {
		s.t.Fatal(err)
	}
	return v, nil
}

func (s *scene) end(v mapping.Verified, msp string, at time.Time) []byte {
	s.t.Helper()
	of := ending.Subject{ID: v.Claims().ID, Payload: v.Digest()}
	b, err := ending.Sign(of, ending.Signed{Provider: worldtest.Party(s.t, msp)}, worldtest.Key(s.t, msp), at)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *scene) living(v mapping.Verified, at time.Time, want int) {
	s.t.Helper()
	stored, err := s.d.Store.ByID(s.t.Context(), v.Claims().ID, at)
	if err != nil || len(stored.Living()) != want {
		s.t.Errorf("%d entries live, %v; want %d", len(stored.Living()), err, want)
	}
}

// TestR21EndOfAnEntryStands: whatever becomes of the writes, an end that was
// answered is there; it comes again without effect; and only a signature that the
// MSP makes after it brings the entry back.
func TestR21EndOfAnEntryStands(t *testing.T) {
	s := newScene(t)
	v, err := s.submit(nil, s.Now, worldtest.MSPA, worldtest.MSPB)
	if err != nil {
		t.Fatal(err)
	}
	at := s.Now.Add(time.Hour)
	end := s.end(v, worldtest.MSPA, at)
	s.fault = sqlstore.FailBefore
	if _, err := retract.Take(t.Context(), s.d, end, at); err == nil {
		t.Error("a failed write was answered")
	}
	s.living(v, at, 2)
	s.fault = sqlstore.FailAfter
	if _, err := retract.Take(t.Context(), s.d, end, at); err == nil {
		t.Error("a failed write was answered")
	}
	s.fault = sqlstore.RunTwice
	for _, again := range [][]byte{end, end, s.end(v, worldtest.MSPA, at.Add(time.Minute))} {
		if since, err := retract.Take(t.Context(), s.d, again, at); err != nil || !since.Equal(at) {
			t.Errorf("again: %s, %v", since, err)
		}
	}
	s.fault = sqlstore.NoFault
	s.living(v, at, 1)

	if _, err := s.submit(&v, at.Add(-time.Minute), worldtest.MSPA); !errors.Is(err, ending.ErrEnded) {
		t.Errorf("a signature from before the end: %v", err)
	}
	next, err := s.submit(&v, at.Add(time.Minute), worldtest.MSPA)
	if err != nil {
		t.Fatalf("a signature from after the end: %v", err)
	}
	later := at.Add(time.Hour)
	s.living(next, later, 1)
	if _, err := retract.Take(t.Context(), s.d, end, later); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("the end of what was replaced, replayed: %v", err)
	}
	s.living(next, later, 1)
}

// TestTakeRefuses: nobody ends another's entry, and nothing that is not there.
func TestTakeRefuses(t *testing.T) {
	s := newScene(t)
	v, err := s.submit(nil, s.Now, worldtest.MSPA)
	if err != nil {
		t.Fatal(err)
	}
	at := s.Now.Add(time.Hour)
	for _, c := range []struct {
		name      string
		statement []byte
		want      error
	}{
		{"not a statement", []byte{1}, ending.ErrMalformed},
		{"by an MSP without an entry", s.end(v, worldtest.MSPB, at), ending.ErrForeign},
		{"from the future", s.end(v, worldtest.MSPA, at.Add(time.Hour)), ending.ErrFuture},
		{"from before the MSP signed", s.end(v, worldtest.MSPA, s.Now.Add(-time.Hour)), ending.ErrForeign},
	} {
		if _, err := retract.Take(t.Context(), s.d, c.statement, at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	good := s.end(v, worldtest.MSPA, at)
	if err := s.d.Store.Withdraw(t.Context(), v.Claims().ID, v.Digest(), at); err != nil {
		t.Fatal(err)
	}
	if _, err := retract.Take(t.Context(), s.d, good, at); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("of what was withdrawn: %v", err)
	}
}
