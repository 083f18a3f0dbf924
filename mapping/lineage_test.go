package mapping_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
)

// statement makes a complete statement.
func statement(t testing.TB, kind mapping.StatementKind, l mapping.Lineage, older, newer string, at time.Time) []byte {
	t.Helper()
	b, err := mapping.Propose(kind, worldtest.CSI(t, "mailto:bob@example.org"), l, worldtest.Key(t, older), worldtest.Key(t, newer).Public(), at)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mapping.ParseProposal(b)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = s.Accept(worldtest.Key(t, newer), at); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestR06LineageVerifiesOffline: a mapping of a second app rests on the first
// app's receipts, and everybody can see why.
func TestR06LineageVerifiesOffline(t *testing.T) {
	f := worldtest.New(t)
	id, bob, tablet := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.Key(t, "bob"), worldtest.Key(t, "tablet")
	c := f.Claims(id, tablet.Public(), "second", worldtest.MSPA)
	c.First = false
	u, err := c.Sign(tablet, f.MailReceipts(id, bob.Public(), f.Now), f.Now, statement(t, mapping.Join, c.Lineage, "bob", "tablet", f.Now))
	if err != nil {
		t.Fatal(err)
	}
	if u, err = u.AddMSP(worldtest.Key(t, worldtest.MSPA), f.Now); err != nil {
		t.Fatal(err)
	}
	v := f.Finish(u, mapping.FoundSuccessor)
	if n := len(v.Bundle().Lineage); n != 1 {
		t.Fatalf("%d statements travel", n)
	}
	back, err := mapping.Parse(v.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	policy := mapping.PolicyAt(f.Snapshot(), f.Now)
	if _, err := policy.Verify(back); err != nil {
		t.Error(err)
	}
	if a, err := policy.Standing(back); err != nil || a.Level != possession.Level4 {
		t.Errorf("standing %d, %v", a.Level, err)
	}
	renewed, err := v.Renew(worldtest.Key(t, worldtest.DP), f.Now.Add(time.Hour), f.Now.Add(2*time.Hour))
	if err != nil || len(renewed.Bundle().Lineage) != 1 {
		t.Errorf("renewed: %d statements, %v", len(renewed.Bundle().Lineage), err)
	}
	alone := v.Bundle()
	alone.Lineage = nil
	if back, err = mapping.Parse(alone); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Verify(back); !errors.Is(err, possession.ErrForeign) {
		t.Errorf("without its statement: %v", err)
	}
}

func TestStatementsNeedBothKeys(t *testing.T) {
	now, l := time.Unix(1_800_000_000, 0), mapping.Lineage{1}
	id, bob, tablet := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.Key(t, "bob"), worldtest.Key(t, "tablet")
	half, err := mapping.Propose(mapping.Join, id, l, bob, tablet.Public(), now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mapping.ParseStatement(half); !errors.Is(err, mapping.ErrStatement) {
		t.Errorf("half a statement: %v", err)
	}
	s, err := mapping.ParseProposal(half)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(bob, now); !errors.Is(err, mapping.ErrStatement) {
		t.Errorf("accepted by another key: %v", err)
	}
	whole, err := s.Accept(tablet, now)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := mapping.ParseStatement(whole); err != nil || s.Kind != mapping.Join || s.Lineage != l || !s.Time().Equal(now) {
		t.Errorf("%+v, %v", s, err)
	}
	for i := range whole {
		bad := bytes.Clone(whole)
		bad[i] ^= 1
		if _, err := mapping.ParseStatement(bad); err == nil {
			t.Fatalf("byte %d changed, and nobody noticed", i)
		}
	}
	if _, err := mapping.Propose(mapping.Join, id, l, bob, bob.Public(), now); err == nil {
		t.Error("a key joined itself")
	}
	// A join is no hand-over, though its bytes differ in one digit.
	swapped := bytes.Replace(whole, []byte{0xa5, 0x01, 0x01}, []byte{0xa5, 0x01, 0x02}, 1)
	if bytes.Equal(swapped, whole) {
		t.Fatal("nothing was changed")
	}
	if _, err := mapping.ParseStatement(swapped); !errors.Is(err, key.ErrSignature) {
		t.Errorf("a join was taken for a hand-over: %v", err)
	}
}

// prove makes receipts for a re-proof of bob's.
func prove(f *worldtest.Federation, holder key.Public, at time.Time, purpose possession.Purpose) [][]byte {
	id := worldtest.CSI(f.T, "mailto:bob@example.org")
	var out [][]byte
	for i, kind := range []possession.Kind{possession.MailReply, possession.MailWitness} {
		r := f.Receipt(id, holder, kind, at)
		r.Purpose = purpose
		out = append(out, f.SignReceipt(r, []string{worldtest.ProverA, worldtest.ProverB}[i]))
	}
	return out
}

func TestR19ReproofAndQuestionAreTheHoldersAlone(t *testing.T) {
	f := worldtest.New(t)
	v := f.Mapping("bob@example.org", "bob", worldtest.MSPA)
	other := f.Mapping("bob@example.org", "bob", worldtest.MSPB)
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := mapping.Parse(other.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	bob, mallory := worldtest.Key(t, "bob"), worldtest.Key(t, "mallory")
	now := f.Now.Add(time.Hour)
	policy := mapping.PolicyAt(f.Snapshot(), now)
	for _, test := range []struct {
		name     string
		of       mapping.Unverified
		signer   key.Private
		receipts [][]byte
		want     error
	}{
		{"hers", u, bob, prove(f, bob.Public(), now, possession.PurposeReprove), nil},
		{"signed by somebody else", u, mallory, prove(f, bob.Public(), now, possession.PurposeReprove), mapping.ErrReproof},
		{"of another mapping", elsewhere, bob, prove(f, bob.Public(), now, possession.PurposeReprove), mapping.ErrReproof},
		{"receipts of an enrolment", u, bob, prove(f, bob.Public(), now, possession.PurposeEnrol), mapping.ErrReproof},
		{"receipts of another key", u, bob, prove(f, mallory.Public(), now, possession.PurposeReprove), possession.ErrForeign},
	} {
		statement, err := test.of.Reprove(test.signer, test.receipts, now)
		if err != nil {
			t.Fatal(err)
		}
		r, err := mapping.ParseReproof(statement, test.receipts)
		if err != nil {
			t.Fatal(err)
		}
		a, err := policy.VerifyReproof(r, u)
		if !errors.Is(err, test.want) || err == nil && a.Level != possession.Level4 {
			t.Errorf("%s: level %d, %v", test.name, a.Level, err)
		}
		if _, err := mapping.ParseReproof(statement, test.receipts[:1]); !errors.Is(err, mapping.ErrReceiptSet) {
			t.Errorf("%s: with a receipt less: %v", test.name, err)
		}
	}
	for _, test := range []struct {
		name   string
		id     mapping.ID
		signer key.Private
		at     time.Time
		want   error
	}{
		{"hers", v.Claims().ID, bob, now, nil},
		{"somebody else's", v.Claims().ID, mallory, now, mapping.ErrQuestion},
		{"of another mapping", other.Claims().ID, bob, now, mapping.ErrQuestion},
		{"old", v.Claims().ID, bob, now.Add(-3 * time.Minute), mapping.ErrQuestion},
		{"of tomorrow", v.Claims().ID, bob, now.Add(24 * time.Hour), mapping.ErrQuestion},
	} {
		b, err := mapping.Ask(test.id, test.signer, test.at)
		if err != nil {
			t.Fatal(err)
		}
		q, err := mapping.ParseQuestion(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Authorises(u, now); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func FuzzStatement(f *testing.F) {
	b := statement(f, mapping.HandOver, mapping.Lineage{7}, "bob", "phone", time.Unix(1_800_000_000, 0))
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := mapping.ParseStatement(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Bytes(), raw) || len(raw) > mapping.MaxStatement || s.Older == s.Newer {
			t.Errorf("%x", raw)
		}
	})
}

func FuzzAnswers(f *testing.F) {
	world := worldtest.New(f)
	bob := worldtest.Key(f, "bob")
	v := world.Mapping("bob@example.org", "bob", worldtest.MSPA)
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		f.Fatal(err)
	}
	receipts := prove(world, bob.Public(), world.Now, possession.PurposeReprove)
	statement, err := u.Reprove(bob, receipts, world.Now)
	if err != nil {
		f.Fatal(err)
	}
	question, err := mapping.Ask(v.Claims().ID, bob, world.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(statement)
	f.Add(question)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := mapping.ParseReproof(raw, receipts); err == nil && (len(raw) > mapping.MaxReproof || r.Time.Unix() < 0) {
			t.Errorf("%x", raw)
		}
		if q, err := mapping.ParseQuestion(raw); err == nil && (len(raw) > mapping.MaxQuestion || q.Time.Unix() < 0) {
			t.Errorf("%x", raw)
		}
	})
}
