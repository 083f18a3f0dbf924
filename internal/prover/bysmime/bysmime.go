// Package bysmime is the method by S/MIME certificate (docs/spec/smime.md). The
// client gets a nonce over TLS, has the person sign the response with the key of
// her certificate, and brings the signature; a second prover judges the same
// bytes.
//
// It promises that a receipt is for a signature that package possession/smime
// accepts, under authorities that the federation's registry names and whose
// certificates this prover was given, and that nothing in the chain is known to
// be revoked. It does not fetch revocation lists: who runs the prover keeps the
// files fresh, and without a current list nothing counts.
package bysmime

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"whither/internal/prover"
	"whither/possession"
	"whither/possession/smime"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Config is what the method depends on.
type Config struct {
	Snapshot func() *registry.Snapshot
	// Authorities are certificates of roots. Those count that the registry names.
	Authorities []*x509.Certificate
	// Lists returns the revocation lists of the moment, in DER. It is asked when
	// all else about a signature is in order.
	Lists func() ([][]byte, error)
}

// Method returns the method.
func Method(c Config) prover.Method {
	j := judge{c}
	return prover.Method{
		Challengers: map[possession.Kind]prover.Challenger{possession.SMIME: j},
		Witnesses:   map[possession.Kind]prover.Witness{possession.SMIMEWitness: j},
		Problem:     Problem,
		Quiet:       true,
	}
}

// judge challenges, and witnesses, by one rule.
type judge struct{ config Config }

var (
	_ prover.Answerer = judge{}
	_ prover.Witness  = judge{}
)

// Begin gives the client the nonce.
func (j judge) Begin(_ context.Context, c *prover.Challenge) (wire.Challenge, error) {
	if len(j.roots()) == 0 {
		return wire.Challenge{}, prover.ErrKind
	}
	return wire.Challenge{Nonce: c.Nonce[:]}, nil
}

// Answer judges the signature that the client brings.
func (j judge) Answer(_ context.Context, c prover.Challenge, a prover.Answer, now time.Time) (prover.Finding, error) {
	if len(a.Artefact) == 0 {
		return prover.Finding{}, fmt.Errorf("%w: no artefact", prover.ErrRequest)
	}
	return j.find(prover.Testimony{CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Artefact: a.Artefact, Now: now})
}

// Witness judges the signature that another prover got. Everything is inside, so
// by whom it was asked for makes no difference.
func (j judge) Witness(_ context.Context, t prover.Testimony) (prover.Finding, error) {
	return j.find(t)
}

// find judges a signature. The evidence time is ours: the signing time is the
// holder's own word.
func (j judge) find(t prover.Testimony) (prover.Finding, error) {
	roots := j.roots()
	if len(roots) == 0 {
		return prover.Finding{}, prover.ErrKind
	}
	report, err := smime.Verify(t.Artefact, smime.Want{
		CSI: t.CSI, Response: possession.Response(t.CSI, t.Holder, t.Nonce), Fingerprint: t.Holder.ID().String(),
		Roots: roots, Status: j.status(t.Now), Now: t.Now,
	})
	if err != nil {
		return prover.Finding{}, err
	}
	return prover.Finding{Artefact: t.Artefact, Level: possession.Level3, KeySeen: report.KeyDigest}, nil
}

// roots are the authorities that the federation names now.
func (j judge) roots() []*x509.Certificate {
	return smime.RootsOf(j.config.Snapshot(), j.config.Authorities)
}

// status reads the revocation lists when they are first asked for.
func (j judge) status(now time.Time) func(certificate, issuer *x509.Certificate) error {
	var known func(certificate, issuer *x509.Certificate) error
	return func(certificate, issuer *x509.Certificate) error {
		if known == nil {
			lists, err := j.config.Lists()
			if err != nil {
				return errors.Join(smime.ErrStatus, err)
			}
			if known, err = smime.CRLs(now, lists...); err != nil {
				return err
			}
		}
		return known(certificate, issuer)
	}
}

// table is the table from this method's errors to problem kinds.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{smime.ErrWant, problem.Internal},
	{smime.ErrTooLarge, problem.TooLarge},
	{smime.ErrMalformed, problem.SMIMEMalformed},
	{smime.ErrAttached, problem.SMIMEMalformed},
	{smime.ErrSigners, problem.SMIMEMalformed},
	{smime.ErrUnsignedParts, problem.SMIMEMalformed},
	{smime.ErrAttributes, problem.SMIMEMalformed},
	{smime.ErrNoCertificate, problem.SMIMEMalformed},
	{smime.ErrAlgorithm, problem.SMIMEAlgorithm},
	{smime.ErrWeakKey, problem.SMIMEAlgorithm},
	{smime.ErrWeakHash, problem.SMIMEAlgorithm},
	{smime.ErrContent, problem.SMIMEContent},
	{smime.ErrSignature, problem.SMIMEContent},
	{smime.ErrFuture, problem.SMIMETime},
	{smime.ErrStale, problem.SMIMETime},
	{smime.ErrAddress, problem.SMIMEAddress},
	{smime.ErrUnicodeName, problem.SMIMEAddress},
	{smime.ErrPurpose, problem.SMIMECertificate},
	{smime.ErrKeyUsage, problem.SMIMECertificate},
	{smime.ErrAuthority, problem.SMIMECertificate},
	{smime.ErrCertificate, problem.SMIMECertificate},
	{smime.ErrValidity, problem.SMIMECertificate},
	{smime.ErrRevoked, problem.SMIMERevoked},
	{smime.ErrStatus, problem.SMIMEStatus},
	{smime.ErrCritical, problem.SMIMEChain},
	{smime.ErrConstraint, problem.SMIMEChain},
	{smime.ErrChain, problem.SMIMEChain},
}

// Problem is the method's table, "" for an error that it does not know.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
