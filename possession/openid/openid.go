// Package openid is evidence of possession by an ordinary OpenID ID token: the
// provider that gives out an address or a handle says who signed in, and the
// nonce that it signs with it is the holder's key in disguise.
//
// The manner is that of OpenPubkey, simplified: the nonce of the authentication
// request is the response digest of package possession, a hash of {label, CSI,
// holder key, challenge nonce}; so the token is worthless for any other key. The
// specification is docs/spec/openid.md, the level in design section 4.
//
//	holder's app                        provider (OP)
//	  │  nonce = Nonce(response)          │
//	  │ ──── authorization request ─────> │  person signs in, now
//	  │ <──── ID token, signed, nonce ─── │
//
// [Verify] promises that the key in the given JWK set signed, for a client
// registered for this purpose alone, a token with this nonce about this CSI, in
// which the person signed in a few minutes ago, at an issuer that is
// authoritative for the CSI's domain. It is a pure function of its arguments: no
// HTTP, no clock.
//
// It does not check that the key set was published, or when: receipts and
// observations do ([Keys] names what they saw). It does not decide which issuer
// is authoritative for what, nor whether a client id serves this purpose alone:
// the caller's [Issuer] does. It does not read e-mail addresses kindly: spaces,
// escapes and look-alikes are another address.
//
// Times are seconds, sizes are bytes.
package openid

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/jws"
	"whither/registry"
)

// Bounds.
const (
	// MaxSize bounds a token. Usual ones have one to two kilobytes.
	MaxSize = 16 << 10
	// MaxAge is how long ago the person may have signed in. It leaves time for
	// the witness, who sees the token after the first prover.
	MaxAge = 10 * time.Minute
	// MaxSkew is how far clocks may differ.
	MaxSkew = 120 * time.Second
	// maxText bounds issuers, subjects and key names (OpenID Connect Core
	// section 2 has 255 for sub).
	maxText = 255
)

// Errors of [Verify], one a reason, each with what to do next. Their texts, and
// those of what wraps them, never contain an address, a handle or anything else
// that a token says.
var (
	ErrWant            = errors.New("openid: what to verify against is incomplete")
	ErrTooLarge        = errors.New("openid: token too large: hand over the ID token alone")
	ErrMalformed       = errors.New("openid: not an ID token in compact form: hand over id_token as the provider gave it")
	ErrHeader          = errors.New("openid: header of something that is no ID token: hand over id_token and no other token")
	ErrAlgorithm       = errors.New("openid: signed with none of RS256, ES256, EdDSA: register the client for one of them")
	ErrClaim           = errors.New("openid: a claim is missing or of another type: ask for scope openid email, with nonce and max_age=0")
	ErrNonce           = errors.New("openid: nonce does not answer this challenge for this key: sign in again from the app that holds the key")
	ErrFuture          = errors.New("openid: from the future: check the clock")
	ErrExpired         = errors.New("openid: expired: sign in again")
	ErrStale           = errors.New("openid: the person signed in too long ago: sign in again, with max_age=0")
	ErrTimes           = errors.New("openid: times contradict each other: the provider is at fault")
	ErrUnverified      = errors.New("openid: the provider has not verified the address: verify it there, or use other evidence")
	ErrIdentifier      = errors.New("openid: about another address or handle: sign in with the account of this one")
	ErrIssuer          = errors.New("openid: provider is not known here: use other evidence")
	ErrAudience        = errors.New("openid: made for another client: sign in from the app, at this provider")
	ErrAuthorizedParty = errors.New("openid: azp is another client than aud: sign in from the app, at this provider")
	ErrAuthority       = errors.New("openid: provider is not the one of this domain: use the domain's own, or other evidence")
	ErrKeySet          = errors.New("openid: the provider's key set is unusable")
	ErrNoKey           = errors.New("openid: the key set has not exactly one key of this name: look at the set again and sign in again")
	ErrKeyConfusion    = errors.New("openid: algorithm does not fit the key of this name")
	ErrWeakKey         = errors.New("openid: the provider's RSA key has fewer than 2,048 bits or is of an odd kind")
	ErrSignature       = errors.New("openid: signature does not verify: sign in again")
)

// Want is what a token is verified against.
type Want struct {
	// CSI is the mailto: or acct: CSI in question.
	CSI csi.ID
	// Response is the digest that the nonce must carry, possession.Response.
	Response [sha256.Size]byte
	// Now is the time of the judgement. Who verifies an old token gives the time
	// of its receipt.
	Now time.Time
}

// Issuer is what is known of one OpenID provider: the keys from an observation,
// the rest from configuration or the registry.
type Issuer struct {
	// Keys is its JWK set (RFC 7517) as it was published.
	Keys []byte
	// Clients are the client ids registered there for this purpose alone. A
	// client that serves another purpose has users who sign in for that one, and
	// whoever runs it could ask for any nonce.
	Clients []string
	// Domains are the mail domains, in canonical form, whose mailboxes the issuer
	// itself gives out. An issuer that merely verified somebody's address
	// elsewhere is not authoritative for it.
	Domains []string
	// Handle is the claim that names an account in an acct: CSI at the issuer's
	// own host. It must be one that the issuer never gives to two accounts:
	// OpenID Connect Core section 5.7 does not promise that of any but sub. Empty
	// for none.
	Handle string
}

// IssuerOf returns an issuer as the registry names it, with the key set that was
// seen published.
func IssuerOf(named registry.Issuer, keys []byte) Issuer {
	return Issuer{Keys: keys, Clients: named.Clients, Domains: named.Domains, Handle: named.Handle}
}

// SpeaksFor reports whether the issuer, whose URL is given, is authoritative for
// a CSI: it gives out the mailboxes of the domain, or the handle at its own host.
func (op Issuer) SpeaksFor(url string, id csi.ID) bool {
	if id.Scheme() == csi.Acct {
		home := host(url)
		return op.Handle != "" && home != "" && strings.HasSuffix(id.Canonical(), "@"+home)
	}
	return id.Domain() != "" && slices.Contains(op.Domains, id.Domain())
}

// Report is what a verified token says.
type Report struct {
	// Issuer is its iss.
	Issuer string
	// Subject names the account: SHA-256 over the canonical CBOR array
	// ["whither/v1/openid-subject", iss, sub]. When an address later comes with
	// another subject, it has changed hands.
	Subject [sha256.Size]byte
	// KID and KeyDigest name the key used: the latter is its RFC 7638 thumbprint.
	KID       string
	KeyDigest [sha256.Size]byte
	// SignedIn is when the person authenticated, SignedAt when the token was made.
	SignedIn, SignedAt time.Time
	// ArtefactDigest is SHA-256 of the raw token.
	ArtefactDigest [sha256.Size]byte
}

// Evidence is the evidence time: the older of the two.
func (r Report) Evidence() time.Time {
	if r.SignedAt.Before(r.SignedIn) {
		return r.SignedAt
	}
	return r.SignedIn
}

// Nonce is the nonce of the authentication request: the response in base64url,
// 43 characters.
func Nonce(response [sha256.Size]byte) string {
	return base64.RawURLEncoding.EncodeToString(response[:])
}

// Key is a key of a published set, by the name that tokens call it and by its
// RFC 7638 thumbprint.
type Key struct {
	KID    string // empty if it has none
	Digest [sha256.Size]byte
}

// Keys lists the keys of a published JWK set that [Verify] would use, for those
// who observe it.
func Keys(set []byte) ([]Key, error) {
	s, err := jws.ParseSet(set)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeySet, err)
	}
	var out []Key
	for _, p := range s.Keys() {
		out = append(out, Key{KID: p.KID, Digest: p.Key.Thumbprint()})
	}
	return out, nil
}

// ValidIssuer reports whether s can be an issuer: an https URL whose host is a
// domain name in lower case, without user, query and fragment (OpenID Connect
// Discovery section 3), and spelled in the one way in which it is compared.
func ValidIssuer(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxText || !printable(s) || strings.ContainsAny(s, `"'<>\^{|}`+"`") {
		return false
	}
	return u.Scheme == "https" && u.User == nil && !strings.ContainsAny(s, "?#") && !strings.HasSuffix(u.Host, ":") &&
		u.String() == s && validHost(u.Hostname())
}

// validHost accepts names that are the domain of some address in canonical form.
func validHost(host string) bool {
	id, err := csi.ParseCanonical("mailto:x@" + host)
	return err == nil && id.Domain() == host
}

// host is the domain of an issuer whose URL has no port, else empty: who may
// listen on a port of a host need not be who owns it.
func host(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Port() != "" {
		return ""
	}
	return u.Hostname()
}

// printable accepts ASCII without spaces and controls.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
