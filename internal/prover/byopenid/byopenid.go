// Package byopenid is the method by ID token (docs/spec/openid.md): the prover
// gives a nonce over TLS, the person signs in at the provider that is
// authoritative for her address or handle, and the client brings the token in
// which that provider signed the response:
//
//	client                  prover                    provider
//	  │ POST /v1/challenges   │                          │
//	  │ ────────────────────> │                          │
//	  │ <── id, nonce ─────── │                          │
//	  │ ── the person signs in ────────────────────────> │
//	  │ <── ID token ─────────────────────────────────── │
//	  │ POST /v1/answers      │                          │
//	  │ ────────────────────> │ ── configuration, keys > │
//	  │ <── receipt ───────── │
//	  │ POST /v1/observations        second prover
//	  │ ───────────────────────────────────> │ ── configuration, keys ──> …
//	  │ <── receipt ──────────────────────── │
//
// It promises that a token counts only if package openid accepts it with the
// keys that this prover fetched from the issuer itself (package oidc), under a
// client id and for a domain or handle that the registry names for that issuer;
// and, where this prover challenged, only if the person signed in after that.
// Receipts name the key.
//
// It does not check that the person read the sentence: see the last section of
// the spec.
package byopenid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/internal/oidc"
	"whither/internal/prover"
	"whither/possession"
	"whither/possession/openid"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Life is how long a challenge can be answered: a person may have to look for
// her password.
const Life = 15 * time.Minute

// Errors.
var (
	ErrProvider = errors.New("byopenid: the provider's configuration or keys cannot be had")
	ErrEarly    = errors.New("byopenid: the person signed in before she was asked")
)

// Config is what the method needs.
type Config struct {
	// Providers fetches keys. It knows the issuers that the registry names.
	Providers *oidc.Client
	// Registry says who is authoritative for what, at the moment.
	Registry func() *registry.Snapshot
}

// Method returns the method for [prover.Config].
func Method(c Config) prover.Method {
	return prover.Method{
		Challengers: map[possession.Kind]prover.Challenger{possession.OpenIDToken: method{c}},
		Witnesses:   map[possession.Kind]prover.Witness{possession.OpenIDWitness: method{c}, possession.OpenIDRecheck: recheck{c}},
		Problem:     Problem,
		Quiet:       true,
	}
}

// method challenges and witnesses: it judges both times by the same rules.
type method struct{ Config }

var (
	_ prover.Answerer = method{}
	_ prover.Witness  = method{}
)

// Begin tells the client the nonce, if there is a provider for this CSI.
func (m method) Begin(_ context.Context, c *prover.Challenge) (wire.Challenge, error) {
	if _, ok := oidc.IssuerFor(m.Registry(), c.CSI); !ok {
		return wire.Challenge{}, prover.ErrKind
	}
	c.Expires = c.Started.Add(Life)
	return wire.Challenge{Nonce: c.Nonce[:]}, nil
}

// Answer judges the token that the client brings.
func (m method) Answer(ctx context.Context, c prover.Challenge, a prover.Answer, now time.Time) (prover.Finding, error) {
	if len(a.Artefact) == 0 {
		return prover.Finding{}, fmt.Errorf("%w: no artefact", prover.ErrRequest)
	}
	report, err := m.judge(ctx, a.Artefact, openid.Want{CSI: c.CSI, Response: possession.Response(c.CSI, c.Holder, c.Nonce), Now: now})
	if err != nil {
		return prover.Finding{}, err
	}
	// A session from before the question is not an answer to it.
	if report.SignedIn.Before(c.Started.Add(-openid.MaxSkew)) {
		return prover.Finding{}, ErrEarly
	}
	return finding(a.Artefact, report), nil
}

// Witness judges a token that another prover got.
func (m method) Witness(ctx context.Context, t prover.Testimony) (prover.Finding, error) {
	report, err := m.judge(ctx, t.Artefact, openid.Want{CSI: t.CSI, Response: possession.Response(t.CSI, t.Holder, t.Nonce), Now: t.Now})
	if err != nil {
		return prover.Finding{}, err
	}
	return finding(t.Artefact, report), nil
}

// recheck judges tokens that another prover got, under a key set that it is
// handed. Whether the issuer had published it, it does not know, and its receipt
// says so.
type recheck struct{ Config }

var _ prover.Witness = recheck{}

// Witness judges a token under the key set that it is handed.
func (r recheck) Witness(_ context.Context, t prover.Testimony) (prover.Finding, error) {
	want := openid.Want{CSI: t.CSI, Response: possession.Response(t.CSI, t.Holder, t.Nonce), Now: t.Now}
	s := r.Registry()
	report, err := openid.Verify(t.Artefact, want, func(name string) (openid.Issuer, bool) {
		named, ok := s.Issuer(name)
		return openid.IssuerOf(named, t.Published), ok
	})
	if err != nil {
		return prover.Finding{}, err
	}
	return finding(t.Artefact, report), nil
}

func (m method) judge(ctx context.Context, raw []byte, w openid.Want) (openid.Report, error) {
	report, err := m.Providers.Verify(ctx, raw, w, m.Registry())
	if err != nil && ofToken(err) == "" {
		return openid.Report{}, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	return report, err
}

func finding(raw []byte, r openid.Report) prover.Finding {
	return prover.Finding{Artefact: raw, Level: possession.Level3, KeySeen: r.KeyDigest, Evidence: r.Evidence()}
}

// table is the table from the errors of tokens to problem kinds.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{openid.ErrTooLarge, problem.TooLarge},
	{openid.ErrMalformed, problem.OpenIDMalformed},
	{openid.ErrHeader, problem.OpenIDMalformed},
	{openid.ErrAlgorithm, problem.OpenIDMalformed},
	{openid.ErrClaim, problem.OpenIDMalformed},
	{openid.ErrNonce, problem.OpenIDNonce},
	{openid.ErrFuture, problem.OpenIDTime},
	{openid.ErrExpired, problem.OpenIDTime},
	{openid.ErrStale, problem.OpenIDTime},
	{openid.ErrTimes, problem.OpenIDTime},
	{ErrEarly, problem.OpenIDTime},
	{openid.ErrUnverified, problem.OpenIDUnverified},
	{openid.ErrIdentifier, problem.OpenIDIdentifier},
	{openid.ErrIssuer, problem.OpenIDIssuer},
	{openid.ErrAuthority, problem.OpenIDIssuer},
	{openid.ErrAudience, problem.OpenIDAudience},
	{openid.ErrAuthorizedParty, problem.OpenIDAudience},
	{openid.ErrKeySet, problem.OpenIDKey},
	{openid.ErrNoKey, problem.OpenIDKey},
	{openid.ErrKeyConfusion, problem.OpenIDKey},
	{openid.ErrWeakKey, problem.OpenIDKey},
	{openid.ErrSignature, problem.OpenIDSignature},
	{openid.ErrWant, problem.Internal},
}

func ofToken(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}

// Problem is the method's table. Trouble with the provider comes first: it may
// wrap errors of packages that other methods use as well.
func Problem(err error) problem.Kind {
	if errors.Is(err, ErrProvider) {
		return problem.OpenIDProvider
	}
	return ofToken(err)
}
