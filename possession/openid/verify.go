package openid

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/jws"
)

// Verify checks a raw ID token against want. issuer returns what is known of
// the provider of that URL; it is called at most once, after everything that
// does not depend on the provider has been found in order.
func Verify(raw []byte, want Want, issuer func(url string) (Issuer, bool)) (Report, error) {
	if !want.valid() || issuer == nil {
		return Report{}, ErrWant
	}
	m, err := jws.Parse(raw, MaxSize)
	if err != nil {
		return Report{}, translate(err)
	}
	if err := checkHeader(m); err != nil {
		return Report{}, err
	}
	c, err := readClaims(m.Payload)
	if err != nil {
		return Report{}, err
	}
	if c.nonce != Nonce(want.Response) {
		return Report{}, ErrNonce
	}
	if err := c.checkTimes(want.Now); err != nil {
		return Report{}, err
	}
	op, known := issuer(c.issuer)
	if !known {
		return Report{}, ErrIssuer
	}
	if err := c.checkClient(op); err != nil {
		return Report{}, err
	}
	if err := c.checkIdentifier(want.CSI, op); err != nil {
		return Report{}, err
	}
	k, err := findKey(m, op)
	if err != nil {
		return Report{}, err
	}
	if err := m.Verify(k); err != nil {
		return Report{}, translate(err)
	}
	return Report{
		Issuer: c.issuer, Subject: subject(c.issuer, c.subject),
		KID: m.KID, KeyDigest: k.Thumbprint(), SignedIn: c.signedIn, SignedAt: c.signedAt,
		ArtefactDigest: sha256.Sum256(raw),
	}, nil
}

func (w Want) valid() bool {
	scheme := w.CSI.Scheme()
	return (scheme == csi.Mailto || scheme == csi.Acct) && w.Response != [sha256.Size]byte{} && !w.Now.IsZero()
}

// foreign are the header parameters by which a token would bring or point to
// its own key, which OpenID Connect Core section 2 tells providers not to use,
// and cty, which says that the payload is a token again.
var foreign = []string{"jwk", "jku", "x5c", "x5u", "cty"}

// checkHeader refuses what is signed by the same keys and is no ID token:
// access tokens (at+jwt), logout tokens, security events, and their kin. typ is
// a media type without "application/", so case does not count.
func checkHeader(m jws.Message) error {
	for _, name := range foreign {
		if m.Header.Has(name) {
			return fmt.Errorf("%w: %s", ErrHeader, name)
		}
	}
	if m.Header.Has("typ") {
		if typ, err := m.Header.Text("typ"); err != nil || !strings.EqualFold(typ, "JWT") {
			return fmt.Errorf("%w: typ", ErrHeader)
		}
	}
	if len(m.KID) > maxText {
		return fmt.Errorf("%w: kid", ErrHeader)
	}
	return nil
}

// claims is what is read of a payload.
type claims struct {
	all                    jws.Object
	issuer, subject, nonce string
	signedIn, signedAt     time.Time
	expires                time.Time
	notBefore              time.Time // zero if there is none
}

// readClaims reads the claims that every ID token needs here. auth_time is one:
// a provider that does not say when the person signed in may have taken a
// session of last year.
func readClaims(payload []byte) (claims, error) {
	o, err := jws.ParseObject(payload)
	if err != nil {
		return claims{}, fmt.Errorf("%w: claims", ErrMalformed)
	}
	c := claims{all: o}
	for _, text := range []struct {
		name string
		to   *string
	}{{"iss", &c.issuer}, {"sub", &c.subject}, {"nonce", &c.nonce}} {
		if *text.to, err = o.Text(text.name); err != nil {
			return claims{}, claimError(text.name)
		}
	}
	for _, at := range []struct {
		name string
		to   *time.Time
	}{{"auth_time", &c.signedIn}, {"iat", &c.signedAt}, {"exp", &c.expires}, {"nbf", &c.notBefore}} {
		if at.name == "nbf" && !o.Has(at.name) {
			continue
		}
		if *at.to, err = o.Time(at.name); err != nil {
			return claims{}, claimError(at.name)
		}
	}
	if c.subject == "" || len(c.subject) > maxText {
		return claims{}, claimError("sub")
	}
	if !ValidIssuer(c.issuer) {
		return claims{}, claimError("iss")
	}
	return c, nil
}

func claimError(name string) error { return fmt.Errorf("%w: %s", ErrClaim, name) }

func (c claims) checkTimes(now time.Time) error {
	soon := now.Add(MaxSkew)
	switch {
	case c.signedAt.After(soon), c.signedIn.After(soon), c.notBefore.After(soon):
		return ErrFuture
	case !c.expires.After(c.signedAt), c.signedIn.After(c.signedAt.Add(MaxSkew)):
		return ErrTimes
	case !now.Before(c.expires.Add(MaxSkew)):
		return ErrExpired
	case now.After(c.signedIn.Add(MaxAge + MaxSkew)):
		return ErrStale
	}
	return nil
}

// checkClient checks that the token was made for one client and that this is
// ours. A token for two is in the hands of two.
func (c claims) checkClient(op Issuer) error {
	client, err := c.all.Text("aud")
	if err != nil {
		list, err := c.all.Texts("aud")
		if err != nil {
			return claimError("aud")
		}
		if len(list) != 1 {
			return fmt.Errorf("%w: not exactly one", ErrAudience)
		}
		client = list[0]
	}
	if client == "" || !slices.Contains(op.Clients, client) {
		return ErrAudience
	}
	if c.all.Has("azp") {
		if party, err := c.all.Text("azp"); err != nil || party != client {
			return ErrAuthorizedParty
		}
	}
	return nil
}

// checkIdentifier checks that the token is about id, compared in canonical
// form, and that the provider is the one whose word counts for it.
func (c claims) checkIdentifier(id csi.ID, op Issuer) error {
	if id.Scheme() == csi.Acct {
		return c.checkHandle(id, op)
	}
	address, err := c.all.Text("email")
	if err != nil {
		return claimError("email")
	}
	verified, err := c.all.Bool("email_verified")
	if err != nil {
		return claimError("email_verified")
	}
	switch same, err := csi.Parse("mailto:" + address); {
	case err != nil, same != id:
		return ErrIdentifier
	case !verified:
		return ErrUnverified
	case !op.SpeaksFor(c.issuer, id):
		return ErrAuthority
	}
	return nil
}

func (c claims) checkHandle(id csi.ID, op Issuer) error {
	if !op.SpeaksFor(c.issuer, id) {
		return ErrAuthority
	}
	handle, err := c.all.Text(op.Handle)
	if err != nil {
		return claimError("handle")
	}
	if same, err := csi.Parse("acct:" + handle + "@" + host(c.issuer)); err != nil || same != id {
		return ErrIdentifier
	}
	return nil
}

func findKey(m jws.Message, op Issuer) (jws.Key, error) {
	set, err := jws.ParseSet(op.Keys)
	if err != nil {
		return jws.Key{}, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	k, err := set.Find(m.Alg, m.KID)
	if err != nil {
		return jws.Key{}, translate(err)
	}
	return k, nil
}

func subject(issuer, sub string) [sha256.Size]byte {
	b, err := canon.Marshal([]string{"whither/v1/openid-subject", issuer, sub})
	if err != nil {
		panic("openid: " + err.Error()) // three strings
	}
	return sha256.Sum256(b)
}

// translate turns an error of package jws into ours. The texts of both repeat
// nothing that a token says.
func translate(err error) error {
	for _, row := range []struct{ theirs, ours error }{
		{jws.ErrTooLarge, ErrTooLarge},
		{jws.ErrCritical, ErrHeader},
		{jws.ErrAlgorithm, ErrAlgorithm},
		{jws.ErrCompact, ErrMalformed},
		{jws.ErrJSON, ErrMalformed},
		{jws.ErrMember, ErrMalformed},
		{jws.ErrKey, ErrKeySet},
		{jws.ErrWeakKey, ErrWeakKey},
		{jws.ErrNoKey, ErrNoKey},
		{jws.ErrConfusion, ErrKeyConfusion},
		{jws.ErrSignature, ErrSignature},
	} {
		if errors.Is(err, row.theirs) {
			return fmt.Errorf("%w: %w", row.ours, err)
		}
	}
	return err
}
