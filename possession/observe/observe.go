// Package observe is the word of observers on published keys: a domain had this
// DKIM key, an issuer this OpenID key, from then until then. Without such words
// by distinct operators, whoever keeps an archive of retired keys makes the
// strongest evidence of possession (design section 4).
//
// The specification is docs/spec/observation.md. There are two statements, both
// COSE_Sign1 under key.LabelObservation with a signing key of role observer:
//
//   - an [Observation] is about one key: made when a prover asks, kept with the
//     evidence, about 200 bytes;
//   - a [List] is about one day and all keys of the domains that many people
//     have addresses at, so that their evidence needs no observation of its own.
//     Whoever has it can cut one entry out ([VerifiedList.Excerpt]).
//
// Beside evidence travels a [Word], which is an observation or such an excerpt.
//
// [Parse] and [ParseList] give values that nobody has vouched for; only their
// Verify, against a verified registry, gives a [Verified] or a [VerifiedList]:
// the observer's grant gives the role, the key was in force, the standing lets
// the statement count, the operator is not barred, the signature is good.
//
// The package does not look keys up, and does not decide how many observers are
// enough: package possession does. It says nothing on whose mailbox a key
// signed for; but a domain of one person names that person, so names stand in
// no error.
//
// Times are seconds, days are days since 1970 in UTC, sizes are bytes.
package observe

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"whither/internal/canon"
	"whither/internal/dkim"
	"whither/possession/mail"
	"whither/possession/openid"
)

// Bounds.
const (
	// MaxObservation bounds one observation: two names of 255 and 150 more.
	MaxObservation = 768
	// MaxList bounds a list: some 8,000 domains with four keys each.
	MaxList = 2 << 20
	// MaxWord bounds a word that travels beside evidence, [ParseWord]: two names
	// of 255, the head of a list and a path of 19 hashes.
	MaxWord = 1536
	// MaxKeys bounds the keys of one domain or issuer in a list.
	MaxKeys = 64
	// MaxLead is how long before it was first seen a key may have been used: who
	// asks an observer asks after the evidence was made.
	MaxLead = 24 * time.Hour
	// MaxDelay is how long after its day a list may be signed.
	MaxDelay = 48 * time.Hour
	maxText  = 255
	// maxHead bounds the signed part of a list, maxEntries its entries.
	maxHead    = 320
	maxEntries = canon.MaxElements * MaxKeys
	// maxSeconds is the end of the year 9999. Far beyond it package time wraps
	// around, and what is in the future would be in the past.
	maxSeconds = 253402300799
)

// Errors. Their texts never contain a domain, an issuer or the name of a key.
var (
	ErrObservation = errors.New("observe: observation is malformed")
	ErrList        = errors.New("observe: list is malformed")
	ErrExcerpt     = errors.New("observe: excerpt is malformed, or of another list than the one signed")
	ErrUnknown     = errors.New("observe: not signed by an observer of the registry")
	ErrStanding    = errors.New("observe: observer is closed or expelled")
	ErrDependent   = errors.New("observe: observer is run by an operator whose word does not count here")
	ErrOrder       = errors.New("observe: dated in the future, or before what it is about")
	ErrSignature   = errors.New("observe: signature does not verify")
	ErrSuccession  = errors.New("observe: list does not follow the other one")
)

// Kind is where a key is published.
type Kind uint8

// The kinds.
const (
	DKIM Kind = 1 // in the DNS, at selector._domainkey.domain (RFC 6376)
	JWKS Kind = 2 // in an issuer's JWK set (OpenID Connect Discovery, RFC 7517)
)

// DNSSEC is a validating resolver's word on the answer (RFC 4035 section 4.3).
// What it calls bogus, or cannot tell, is not observed.
type DNSSEC uint8

// The words.
const (
	NotAsked DNSSEC = 0 // no validating resolver was asked
	Secure   DNSSEC = 1 // signed, from the root down
	Insecure DNSSEC = 2 // provably not signed
)

// Key is a published key by its place and its digest.
type Key struct {
	Kind Kind
	// Name is the domain of a DKIM key, the issuer of an OpenID key.
	Name string
	// Label is the selector of a DKIM key, the kid of an OpenID key, which may
	// have none.
	Label string
	// Digest is mail.KeyDigest of a DKIM key, the RFC 7638 thumbprint of an OpenID
	// key; what a receipt has as the key seen.
	Digest [sha256.Size]byte
}

// FromDKIM names the key in the TXT records found at selector._domainkey.domain,
// each with its strings joined. Records that evidence could not use name none.
func FromDKIM(domain, selector string, txt []string) (Key, error) {
	digest, err := mail.KeyDigest(txt)
	if err != nil {
		return Key{}, err
	}
	k := Key{Kind: DKIM, Name: domain, Label: selector, Digest: digest}
	if !k.valid() {
		return Key{}, ErrObservation
	}
	return k, nil
}

// FromJWKS names the keys in an issuer's JWK set that evidence could use.
func FromJWKS(issuer string, set []byte) ([]Key, error) {
	keys, err := openid.Keys(set)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, k := range keys {
		named := Key{Kind: JWKS, Name: issuer, Label: k.KID, Digest: k.Digest}
		if !named.valid() {
			return nil, ErrObservation
		}
		out = append(out, named)
	}
	return out, nil
}

// valid checks the names, so that a key has one spelling.
func (k Key) valid() bool {
	if k.Digest == [sha256.Size]byte{} {
		return false
	}
	switch k.Kind {
	case DKIM:
		return k.Label != "" && dkim.ValidDomain(k.Name) && dkim.ValidDomain(k.Label+"._domainkey."+k.Name)
	case JWKS:
		control := func(r rune) bool { return r < ' ' || r == 0x7f }
		return openid.ValidIssuer(k.Name) && len(k.Label) <= maxText && !strings.ContainsFunc(k.Label, control)
	}
	return false
}

// compare is the order of keys in a list: by kind, name, label, digest.
func (k Key) compare(other Key) int {
	return cmp.Or(cmp.Compare(k.Kind, other.Kind), cmp.Compare(k.Name, other.Name),
		cmp.Compare(k.Label, other.Label), bytes.Compare(k.Digest[:], other.Digest[:]))
}
