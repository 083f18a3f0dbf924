package cosigner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// accounts is an account store in memory: token → CSIs.
type accounts struct {
	t testing.TB

	mu   sync.Mutex
	has  map[string][]csi.ID
	fail error
}

func (a *accounts) Link(ctx context.Context, token string, id csi.ID) (cosigner.Link, error) {
	if token == "" || id.IsZero() || ctx == nil {
		a.t.Error("contract: asked without a token, a CSI or a context")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return cosigner.Linked, a.fail // the error counts, not the link
	}
	ids, ok := a.has[token]
	if !ok {
		return cosigner.NoAccount, nil
	}
	for _, have := range ids {
		if have.Equal(id) {
			return cosigner.Linked, nil
		}
	}
	return cosigner.NotLinked, nil
}

func (a *accounts) set(token string, ids ...csi.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.has[token] = ids
}

// used remembers in memory, and can break.
type used struct {
	t testing.TB

	mu     sync.Mutex
	uses   map[mapping.Nonce]cosigner.Use
	broken error // returned instead of a result
	lost   bool  // … after the use was recorded
}

func (u *used) Use(_ context.Context, n cosigner.Use) (time.Time, error) {
	if n.Signed.Nanosecond() != 0 || !n.Signed.Before(n.Until) || n.Digest == (mapping.Digest{}) || n.Nonce == (mapping.Nonce{}) {
		u.t.Errorf("contract: %+v", n)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.broken != nil && !u.lost {
		return time.Time{}, u.broken
	}
	old, ok := u.uses[n.Nonce]
	if !ok {
		u.uses[n.Nonce], old = n, n
	}
	switch {
	case old.Digest != n.Digest:
		return time.Time{}, cosigner.ErrOfferUsed
	case u.broken != nil:
		return time.Time{}, u.broken
	default:
		return old.Signed, nil
	}
}

// scene is a cosigner with the federation around it.
type scene struct {
	*worldtest.Federation
	t        *testing.T
	now      time.Time
	snapshot *registry.Snapshot
	accounts *accounts
	used     *used
	config   cosigner.Config
	msp      *cosigner.Cosigner
	id       csi.ID
	holder   key.Private
}

// aliceToken signs alice in, who has scene.id.
const aliceToken = "token of alice"

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		Federation: worldtest.New(t), t: t, accounts: &accounts{t: t, has: make(map[string][]csi.ID)},
		used: &used{t: t, uses: make(map[mapping.Nonce]cosigner.Use)},
		id:   worldtest.CSI(t, "mailto:alice@example.org"), holder: worldtest.Key(t, "alice"),
	}
	s.now, s.snapshot = s.Now, s.Snapshot()
	s.accounts.set(aliceToken, s.id)
	s.config = cosigner.Config{
		Provider: worldtest.Party(t, worldtest.MSPA), Key: worldtest.Key(t, worldtest.MSPA), Secret: cosigner.Secret{1, 2, 3},
		Snapshot: func() *registry.Snapshot { return s.snapshot }, Accounts: s.accounts, Used: s.used,
		Now: func() time.Time { return s.now },
	}
	s.msp = s.cosigner()
	return s
}

func (s *scene) cosigner() *cosigner.Cosigner {
	s.t.Helper()
	c, err := cosigner.New(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *scene) offer() wire.MSPOffer {
	s.t.Helper()
	o, err := s.msp.Offer(s.t.Context(), aliceToken, s.id, s.holder.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// claims takes an offer over into a mapping's claims, among other MSPs.
func (s *scene) claims(o wire.MSPOffer, name string, msps ...string) mapping.Claims {
	c := s.Claims(s.id, s.holder.Public(), name, msps...)
	for i := range c.Entries {
		if c.Entries[i].Provider == o.Provider {
			c.Entries[i].URI, c.Entries[i].Nonce = o.URI, mapping.Nonce(o.Nonce)
		}
	}
	return c
}

// signed is c under the holder's signature.
func (s *scene) signed(c mapping.Claims) mapping.Unverified {
	s.t.Helper()
	u, err := c.Sign(s.holder, s.MailReceipts(c.CSI, s.holder.Public(), s.now), s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *scene) sign(o wire.MSPOffer, u mapping.Unverified) ([]byte, error) {
	return s.msp.Sign(s.t.Context(), aliceToken, o.Offer, u.Bundle())
}

func (s *scene) parse(b []byte, u mapping.Unverified) mapping.Unverified {
	s.t.Helper()
	out, err := mapping.Parse(mapping.Bundle{Mapping: b, Receipts: u.Bundle().Receipts})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func TestR02OfferedAndSigned(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	u := s.signed(s.claims(o, "x", worldtest.MSPA))
	b, err := s.sign(o, u)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Finish(s.parse(b, u), mapping.FoundFirst)
	if v.Digest() != u.Digest() {
		t.Error("the payload was changed")
	}
	if !time.Unix(o.Expires, 0).Equal(s.Now.Add(24 * time.Hour)) {
		t.Errorf("the offer stands until %s", time.Unix(o.Expires, 0))
	}
}

func TestTagsAreTheHoldersChoice(t *testing.T) {
	s := newScene(t)
	for _, tags := range [][]string{nil, {mapping.TagDefault}, {mapping.TagBusiness, mapping.TagPersonal, worldtest.MSPA}} {
		o := s.offer()
		c := s.claims(o, fmt.Sprint(tags), worldtest.MSPA)
		c.Entries[0].Tags = tags
		if _, err := s.sign(o, s.signed(c)); err != nil {
			t.Errorf("%v: %v", tags, err)
		}
	}
}

func TestEmptySetIsNoMSPsBusiness(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	if _, err := s.sign(o, s.signed(s.claims(o, "x"))); !errors.Is(err, cosigner.ErrForeign) {
		t.Errorf("got %v", err)
	}
}

// TestR02OfferRefused: no offer without an account that has the CSI.
func TestR02OfferRefused(t *testing.T) {
	s := newScene(t)
	s.accounts.set("token of bob", worldtest.CSI(t, "mailto:bob@example.org"))
	broken := errors.New("account store is down")
	for _, test := range []struct {
		name, token string
		fail        error
		want        error
	}{
		{"nobody signed in", "", nil, cosigner.ErrNoToken},
		{"a token that signs nobody in", "guess", nil, cosigner.ErrNoAccount},
		{"an account without this CSI", "token of bob", nil, cosigner.ErrNotLinked},
		{"accounts out of reach", aliceToken, broken, broken},
	} {
		s.accounts.fail = test.fail
		if _, err := s.msp.Offer(t.Context(), test.token, s.id, s.holder.Public()); !errors.Is(err, test.want) {
			t.Errorf("%s: offer: %v", test.name, err)
		}
		s.accounts.fail = nil
		o := s.offer()
		u := s.signed(s.claims(o, "x", worldtest.MSPA))
		s.accounts.fail = test.fail
		if _, err := s.msp.Sign(t.Context(), test.token, o.Offer, u.Bundle()); !errors.Is(err, test.want) {
			t.Errorf("%s: signature: %v", test.name, err)
		}
	}
	if len(s.used.uses) != 0 {
		t.Error("an offer was spent")
	}
}

// TestR02CSIRemovedBetweenOfferAndSignature: what counts is what the account
// has when the MSP signs.
func TestR02CSIRemovedBetweenOfferAndSignature(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	u := s.signed(s.claims(o, "x", worldtest.MSPA))
	s.accounts.set(aliceToken)
	if _, err := s.sign(o, u); !errors.Is(err, cosigner.ErrNotLinked) {
		t.Errorf("got %v", err)
	}
}

func TestR02SignRefused(t *testing.T) {
	carol := worldtest.CSI(t, "mailto:carol@example.org")
	tests := []struct {
		name string
		run  func(s *scene) error
		want error
	}{
		{"entry of another MSP alone", func(s *scene) error {
			o := s.offer()
			_, err := s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPB)))
			return err
		}, cosigner.ErrForeign},
		{"another MSP's turn", func(s *scene) error {
			o := s.offer()
			_, err := s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPB, worldtest.MSPA)))
			return err
		}, cosigner.ErrTurn},
		{"signed by it already", func(s *scene) error {
			o := s.offer()
			u := s.signed(s.claims(o, "x", worldtest.MSPA))
			b, err := s.sign(o, u)
			if err != nil {
				return err
			}
			_, err = s.sign(o, s.parse(b, u))
			return err
		}, cosigner.ErrSigned},
		{"signed by it already, others still to sign", func(s *scene) error {
			o := s.offer()
			u := s.signed(s.claims(o, "x", worldtest.MSPA, worldtest.MSPB))
			b, err := s.sign(o, u)
			if err != nil {
				return err
			}
			_, err = s.sign(o, s.parse(b, u))
			return err
		}, cosigner.ErrSigned},
		{"signed by the DP already", func(s *scene) error {
			o := s.offer()
			u := s.signed(s.claims(o, "x", worldtest.MSPA))
			b, err := s.sign(o, u)
			if err != nil {
				return err
			}
			v := s.Finish(s.parse(b, u), mapping.FoundFirst)
			_, err = s.msp.Sign(s.t.Context(), aliceToken, o.Offer, v.Bundle())
			return err
		}, mapping.ErrNotProposal},
		{"offer of another secret", func(s *scene) error {
			s.config.Secret = cosigner.Secret{9}
			o, err := s.cosigner().Offer(s.t.Context(), aliceToken, s.id, s.holder.Public())
			if err != nil {
				return err
			}
			_, err = s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPA)))
			return err
		}, cosigner.ErrOfferUnknown},
		{"offer of another MSP", func(s *scene) error {
			s.config.Provider, s.config.Key = worldtest.Party(s.t, worldtest.MSPB), worldtest.Key(s.t, worldtest.MSPB)
			o, err := s.cosigner().Offer(s.t.Context(), aliceToken, s.id, s.holder.Public())
			if err != nil {
				return err
			}
			c := s.Claims(s.id, s.holder.Public(), "x", worldtest.MSPA)
			c.Entries[0].Nonce = mapping.Nonce(o.Nonce)
			_, err = s.sign(o, s.signed(c))
			return err
		}, cosigner.ErrOfferUnknown},
		{"offer for another CSI", func(s *scene) error {
			s.accounts.set(aliceToken, s.id, carol)
			o, err := s.msp.Offer(s.t.Context(), aliceToken, carol, s.holder.Public())
			if err != nil {
				return err
			}
			_, err = s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPA)))
			return err
		}, cosigner.ErrOfferUnknown},
		{"offer for another key", func(s *scene) error {
			o, err := s.msp.Offer(s.t.Context(), aliceToken, s.id, worldtest.Key(s.t, "mallory").Public())
			if err != nil {
				return err
			}
			_, err = s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPA)))
			return err
		}, cosigner.ErrOfferUnknown},
		{"no offer", func(s *scene) error {
			o := s.offer()
			u := s.signed(s.claims(o, "x", worldtest.MSPA))
			o.Offer = nil
			_, err := s.sign(o, u)
			return err
		}, cosigner.ErrOfferUnknown},
		{"offer run out", func(s *scene) error {
			o := s.offer()
			s.now = s.now.Add(24 * time.Hour)
			_, err := s.sign(o, s.signed(s.claims(o, "x", worldtest.MSPA)))
			return err
		}, cosigner.ErrOfferExpired},
		{"another nonce than offered", func(s *scene) error {
			o := s.offer()
			c := s.claims(o, "x", worldtest.MSPA)
			c.Entries[0].Nonce[0] ^= 1
			_, err := s.sign(o, s.signed(c))
			return err
		}, cosigner.ErrOfferNonce},
		{"CSI that the account does not have", func(s *scene) error {
			o := s.offer()
			c := s.claims(o, "x", worldtest.MSPA)
			c.CSI = carol
			_, err := s.sign(o, s.signed(c))
			return err
		}, cosigner.ErrNotLinked},
		{"malformed", func(s *scene) error {
			o := s.offer()
			b := s.signed(s.claims(o, "x", worldtest.MSPA)).Bundle()
			_, err := s.msp.Sign(s.t.Context(), aliceToken, o.Offer, mapping.Bundle{Mapping: b.Mapping[:20], Receipts: b.Receipts})
			return err
		}, mapping.ErrMalformed},
		{"receipts of another mapping", func(s *scene) error {
			o := s.offer()
			b := s.signed(s.claims(o, "x", worldtest.MSPA)).Bundle()
			_, err := s.msp.Sign(s.t.Context(), aliceToken, o.Offer, mapping.Bundle{Mapping: b.Mapping, Receipts: b.Receipts[:1]})
			return err
		}, mapping.ErrReceiptSet},
		{"one prover alone", func(s *scene) error {
			o := s.offer()
			u, err := s.claims(o, "x", worldtest.MSPA).Sign(s.holder, s.MailReceipts(s.id, s.holder.Public(), s.now)[:1], s.now)
			if err != nil {
				return err
			}
			_, err = s.sign(o, u)
			return err
		}, mapping.ErrLevel},
		{"receipts for another key", func(s *scene) error {
			o := s.offer()
			u, err := s.claims(o, "x", worldtest.MSPA).Sign(s.holder, s.MailReceipts(s.id, worldtest.Key(s.t, "mallory").Public(), s.now), s.now)
			if err != nil {
				return err
			}
			_, err = s.sign(o, u)
			return err
		}, possession.ErrForeign},
		{"holder in the future", func(s *scene) error {
			o := s.offer()
			later := s.now.Add(3 * time.Minute)
			u, err := s.claims(o, "x", worldtest.MSPA).Sign(s.holder, s.MailReceipts(s.id, s.holder.Public(), s.now), later)
			if err != nil {
				return err
			}
			_, err = s.sign(o, u)
			return err
		}, mapping.ErrFuture},
		{"expired", func(s *scene) error {
			o := s.offer()
			c := s.claims(o, "x", worldtest.MSPA)
			c.Expires = s.now.Add(time.Minute)
			u := s.signed(c)
			s.now = s.now.Add(2 * time.Minute)
			_, err := s.sign(o, u)
			return err
		}, mapping.ErrExpired},
		{"lives too long", func(s *scene) error {
			o := s.offer()
			c := s.claims(o, "x", worldtest.MSPA)
			c.Expires = s.now.Add(mapping.MaxLife + time.Minute)
			_, err := s.sign(o, s.signed(c))
			return err
		}, mapping.ErrLife},
		{"DP that is in no registry", func(s *scene) error {
			o := s.offer()
			c := s.claims(o, "x", worldtest.MSPA)
			c.DP = worldtest.Party(s.t, "dp.elsewhere.example")
			_, err := s.sign(o, s.signed(c))
			return err
		}, mapping.ErrSigner},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScene(t)
			if err := test.run(s); !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if cosigner.Kind(test.want) == "" {
				t.Errorf("%v has no problem kind", test.want)
			}
			if spent := len(s.used.uses); spent != 0 && !errors.Is(test.want, cosigner.ErrSigned) && !errors.Is(test.want, mapping.ErrNotProposal) {
				t.Error("an offer was spent")
			}
		})
	}
}

// TestHolderSignatureIsChecked: an MSP signs no stranger's words.
func TestHolderSignatureIsChecked(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	b := s.signed(s.claims(o, "x", worldtest.MSPA)).Bundle()
	b.Mapping = bytes.Clone(b.Mapping)
	b.Mapping[len(b.Mapping)-1] ^= 1
	if _, err := s.msp.Sign(t.Context(), aliceToken, o.Offer, b); !errors.Is(err, mapping.ErrHolderSig) {
		t.Errorf("got %v", err)
	}
	// The offer was not spent on it.
	b.Mapping[len(b.Mapping)-1] ^= 1
	if _, err := s.msp.Sign(t.Context(), aliceToken, o.Offer, b); err != nil {
		t.Error(err)
	}
}

// TestR02OfferIsGoodForOneMapping: the same mapping again gets the same
// bytes, another one nothing.
func TestR02OfferIsGoodForOneMapping(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	u := s.signed(s.claims(o, "one", worldtest.MSPA))
	other := s.signed(s.claims(o, "two", worldtest.MSPA))
	first, err := s.sign(o, u)
	if err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Hour)
	again, err := s.sign(o, u)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("again: %v, the same: %t", err, bytes.Equal(again, first))
	}
	if _, err := s.sign(o, other); !errors.Is(err, cosigner.ErrOfferUsed) {
		t.Errorf("another mapping: %v", err)
	}
	// Another process that shares the store and the secret says the same.
	s.msp = s.cosigner()
	if _, err := s.sign(o, other); !errors.Is(err, cosigner.ErrOfferUsed) {
		t.Errorf("another process: %v", err)
	}
}

// TestOneOfManyAtOnce: of many mappings with one offer, one gets a signature.
func TestOneOfManyAtOnce(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	const n = 16
	results := make(chan error, n)
	for i := range n {
		u := s.signed(s.claims(o, fmt.Sprint(i), worldtest.MSPA))
		go func() {
			_, err := s.msp.Sign(s.t.Context(), aliceToken, o.Offer, u.Bundle())
			results <- err
		}()
	}
	good := 0
	for range n {
		if err := <-results; err == nil {
			good++
		} else if !errors.Is(err, cosigner.ErrOfferUsed) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("%d of %d mappings got a signature", good, n)
	}
}

// TestStoreBreaks: without the record there is no signature; with it, the
// answer that was lost comes again.
func TestStoreBreaks(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	u := s.signed(s.claims(o, "x", worldtest.MSPA))
	for _, lost := range []bool{false, true} {
		s.used.broken, s.used.lost = errors.New("disk is full"), lost
		if b, err := s.sign(o, u); !errors.Is(err, s.used.broken) || b != nil {
			t.Errorf("recorded %t: %v", lost, err)
		}
	}
	s.used.broken = nil
	at := s.now
	s.now = s.now.Add(time.Minute)
	b, err := s.sign(o, u)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.used.uses) != 1 || !s.used.uses[mapping.Nonce(o.Nonce)].Signed.Equal(at) {
		t.Error("the time of the first try is gone")
	}
	s.Finish(s.parse(b, u), mapping.FoundFirst)
}

// TestSeveralMSPsSignInOrder: a set of MSPs is signed one after the other, and
// the earlier one's signing anew does not break the later one's.
func TestSeveralMSPsSignInOrder(t *testing.T) {
	s := newScene(t)
	o := s.offer()
	u := s.signed(s.claims(o, "x", worldtest.MSPB, worldtest.MSPA))
	byB := func(at time.Time) mapping.Unverified {
		out, err := u.AddMSP(worldtest.Key(t, worldtest.MSPB), at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	b, err := s.sign(o, byB(s.now))
	if err != nil {
		t.Fatal(err)
	}
	s.Finish(s.parse(b, u), mapping.FoundFirst)
	s.now = s.now.Add(time.Hour)
	if b, err = s.sign(o, byB(s.now)); err != nil {
		t.Fatal(err)
	}
	if _, err := mapping.PolicyAt(s.snapshot, s.now).VerifyProposal(s.parse(b, u)); err != nil {
		t.Error(err)
	}
}

// TestR21OwnStandingCounts: an MSP that the registry does not let sign makes
// neither offers nor signatures.
func TestR21OwnStandingCounts(t *testing.T) {
	for name, bend := range map[string]func(*scene){
		"closed":      func(s *scene) { s.Grant(worldtest.MSPA).Standing.State = registry.Closed },
		"expelled":    func(s *scene) { s.Grant(worldtest.MSPA).Standing.State = registry.Expelled },
		"key retired": func(s *scene) { s.Selfs[worldtest.MSPA].Keys[0].Until = s.now.Unix() },
		"key unlisted": func(s *scene) {
			s.Selfs[worldtest.MSPA].Keys[0].Public = worldtest.Key(s.t, "another").Public()
		},
		"role lost": func(s *scene) {
			s.Grant(worldtest.MSPA).Roles, s.Grant(worldtest.MSPA).Bit = []registry.Role{registry.RoleRelay}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			o := s.offer()
			u := s.signed(s.claims(o, "x", worldtest.MSPA))
			bend(s)
			s.snapshot = s.Snapshot()
			if _, err := s.sign(o, u); !errors.Is(err, cosigner.ErrNotInForce) {
				t.Errorf("signature: %v", err)
			}
			if _, err := s.msp.Offer(t.Context(), aliceToken, s.id, s.holder.Public()); !errors.Is(err, cosigner.ErrNotInForce) {
				t.Errorf("offer: %v", err)
			}
			if err := s.msp.Ready(); !errors.Is(err, cosigner.ErrNotInForce) {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

func TestConfigIsComplete(t *testing.T) {
	for name, bend := range map[string]func(*cosigner.Config){
		"provider": func(c *cosigner.Config) { c.Provider = registry.PartyID{} },
		"key":      func(c *cosigner.Config) { c.Key = key.Private{} },
		"secret":   func(c *cosigner.Config) { c.Secret = cosigner.Secret{} },
		"snapshot": func(c *cosigner.Config) { c.Snapshot = nil },
		"accounts": func(c *cosigner.Config) { c.Accounts = nil },
		"used":     func(c *cosigner.Config) { c.Used = nil },
		"clock":    func(c *cosigner.Config) { c.Now = nil },
	} {
		c := newScene(t).config
		bend(&c)
		if _, err := cosigner.New(c); !errors.Is(err, cosigner.ErrConfig) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	s := cosigner.Secret{0xab, 0xcd, 0xef}
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "secret", s, "config", cosigner.Config{Secret: s})
	text := out.String() + fmt.Sprintf("%v %x %s %#v %+v", s, s, s, s, struct{ S cosigner.Secret }{s})
	if strings.Contains(text, "abcdef") || strings.Contains(text, "171") || !strings.Contains(text, "redacted") {
		t.Errorf("a secret prints: %s", text)
	}
}

// TestErrorsNameNobody: no refusal repeats the CSI, the token or the account.
func TestErrorsNameNobody(t *testing.T) {
	s := newScene(t)
	s.accounts.set("token of bob")
	o := s.offer()
	u := s.signed(s.claims(o, "x", worldtest.MSPB))
	_, first := s.sign(o, u)
	_, second := s.msp.Offer(t.Context(), "token of bob", s.id, s.holder.Public())
	for _, err := range []error{first, second} {
		if err == nil || strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "token of") {
			t.Errorf("error: %v", err)
		}
	}
}
