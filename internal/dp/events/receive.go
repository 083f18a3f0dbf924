package events

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/dp/precedence"
	"whither/internal/jws"
	"whither/key"
	"whither/possession/openid"
	"whither/registry"
)

// Directory is what hears of events.
type Directory interface {
	// Hear takes an event; name makes it one, however often it comes.
	Hear(ctx context.Context, id csi.ID, e precedence.Event, name []byte, source string, now time.Time) error
	// Ported reports whether the CSIP of a range has said that this CSI went to
	// another provider.
	Ported(ctx context.Context, id csi.ID, now time.Time) (bool, error)
}

// Receiver judges tokens. Its fields are set once.
type Receiver struct {
	// Audience is this DP, as issuers name it: "https://" and its party id.
	Audience  string
	Snapshot  func() *registry.Snapshot
	Directory Directory
	Now       func() time.Time
	// Keys returns the JWK set of an OpenID provider that the registry names, fresh
	// enough to judge what names kid; nil: their events are not heard.
	Keys func(ctx context.Context, issuer, kid string) ([]byte, error)
}

// Receive verifies a token and has the directory hear it. Receiving it again
// changes nothing and is no error.
func (r *Receiver) Receive(ctx context.Context, raw []byte) error {
	t, err := Parse(raw)
	if err != nil {
		return err
	}
	now := r.Now()
	switch {
	case !slices.Contains(t.Audience, r.Audience):
		return ErrAudience
	case t.Issued.After(now.Add(registry.MaxSkew)):
		return ErrFuture
	case t.Issued.Before(now.Add(-MaxAge)), t.At.Before(now.Add(-MaxPast)):
		return ErrStale
	}
	s := r.Snapshot()
	speaks, err := r.verify(ctx, s, t, now)
	if err != nil || t.Type == Verification {
		return err
	}
	e := precedence.Event{Kind: kinds[t.Type], At: t.At, Believed: speaks(t.About)}
	if e.Believed && e.Kind != precedence.Ported {
		ported, err := r.Directory.Ported(ctx, t.About, now)
		if err != nil {
			return err
		}
		e.Believed = !ported // it is another's since, of whom this issuer knows nothing
	}
	if e.Kind == precedence.Ported && !e.Believed {
		return nil // it would end nothing, and shall not shield from who has the authority
	}
	return r.Directory.Hear(ctx, t.About, e, t.raw, t.Issuer, now)
}

// verify checks who signed a token, and returns for which identifiers he speaks.
func (r *Receiver) verify(ctx context.Context, s *registry.Snapshot, t Token, now time.Time) (func(csi.ID) bool, error) {
	if name, ok := strings.CutPrefix(t.Issuer, "https://"); ok {
		if id, err := registry.ParsePartyID(name); err == nil {
			if p, ok := s.Party(id); ok && p.Has(registry.RoleCSIP) {
				return r.verifyCSIP(s, p, t, now)
			}
		}
	}
	i, ok := s.Issuer(t.Issuer)
	if !ok || r.Keys == nil {
		return nil, ErrIssuer
	}
	b, err := r.Keys(ctx, i.URL, t.message.KID)
	if err != nil {
		return nil, fmt.Errorf("events: keys of the issuer: %w", err)
	}
	set, err := jws.ParseSet(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if err := verifyWith(t, set); err != nil {
		return nil, err
	}
	return func(id csi.ID) bool { return openid.IssuerOf(i, nil).SpeaksFor(i.URL, id) }, nil
}

// verifyCSIP checks the signature of a party of the federation.
func (r *Receiver) verifyCSIP(s *registry.Snapshot, p registry.Party, t Token, now time.Time) (func(csi.ID) bool, error) {
	if p.Standing.State != registry.Active {
		return nil, ErrIssuer
	}
	b, err := hex.DecodeString(t.message.KID)
	if err != nil || len(b) != len(key.ID{}) {
		return nil, ErrKey
	}
	k, ok := s.Signer(key.ID(b))
	// A key that was taken out of use may have been taken for a reason: it must be
	// in force now as well.
	if !ok || k.Party.ID != p.ID || k.Key.Role != registry.RoleCSIP || !k.InForce(t.Issued) || !k.InForce(now) {
		return nil, ErrKey
	}
	set, err := jws.ParseSet([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"` + t.message.KID + `","x":"` + base64.RawURLEncoding.EncodeToString(k.Key.Public.Bytes()) + `"}]}`))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if err := verifyWith(t, set); err != nil {
		return nil, err
	}
	return func(id csi.ID) bool { return Covers(p.Grant, id) }, nil
}

func verifyWith(t Token, set jws.Set) error {
	k, err := set.Find(t.message.Alg, t.message.KID)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	if t.message.Verify(k) != nil {
		return ErrSigned
	}
	return nil
}

// Covers reports whether a CSIP's grant gives it the word on an identifier. A
// grant without schemes or without ranges gives it on none: who may end mappings
// is said, not left open.
func Covers(g registry.Grant, id csi.ID) bool {
	if !slices.Contains(g.Schemes, string(id.Scheme())) {
		return false
	}
	_, value := split(id.Canonical())
	return slices.ContainsFunc(g.Ranges, func(r string) bool {
		switch id.Scheme() {
		case csi.Tel:
			return strings.HasPrefix(r, "+") && strings.HasPrefix(value, r)
		case csi.Mailto:
			return id.Domain() == r
		default:
			return false
		}
	})
}

// split cuts a canonical CSI into scheme and value.
func split(canonical string) (scheme, value string) {
	scheme, value, _ = strings.Cut(canonical, ":")
	return scheme, value
}

// signer lets a key sign where crypto.Signer is asked for.
type signer struct{ key.Private }

// Public implements [crypto.Signer]; nobody asks for it.
func (s signer) Public() crypto.PublicKey { return nil }

// Sign implements [crypto.Signer] for Ed25519, which signs the message itself.
func (s signer) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.Private.Sign(message), nil
}
