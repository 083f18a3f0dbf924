package registry

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Evidence is what the federation agreed on evidence of possession, beyond the
// lowest levels: which kinds do not count, and whose word outside of the
// federation does. What a kind can reach at best is no policy; package
// possession has the table.
type Evidence struct {
	// Refused are the kinds that do not count here, by name, sorted.
	Refused []string `cbor:"1,keyasint,omitempty"`
	// Issuers are the OpenID providers whose tokens count, sorted by URL.
	Issuers []Issuer `cbor:"2,keyasint,omitempty"`
	// Carriers anchor the certificates that sign PASSporTs, Authorities those
	// that sign authority tokens, Mail those of S/MIME; each sorted by digest.
	Carriers    []Anchor `cbor:"3,keyasint,omitempty"`
	Authorities []Anchor `cbor:"4,keyasint,omitempty"`
	Mail        []Anchor `cbor:"5,keyasint,omitempty"`
}

// Issuer is an OpenID provider (docs/spec/openid.md) by the URL that its tokens
// have as iss.
type Issuer struct {
	URL string `cbor:"1,keyasint"`
	// Clients are the client ids registered there for this purpose alone, sorted.
	Clients []string `cbor:"2,keyasint"`
	// Domains are the mail domains whose mailboxes it gives out, sorted: it is
	// authoritative for them and for no other.
	Domains []string `cbor:"3,keyasint,omitempty"`
	// Handle is the claim that names an account in an acct: CSI at the issuer's
	// own host; empty for none.
	Handle string `cbor:"4,keyasint,omitempty"`
}

// Anchor is a trust anchor outside of the federation, a certificate by its
// SHA-256, and the numbers that it may speak for: prefixes in digits, without
// any all numbers.
type Anchor struct {
	Digest   []byte   `cbor:"1,keyasint"`
	Prefixes []string `cbor:"2,keyasint,omitempty"`
}

const (
	maxText   = 255 // of a URL, a client id, the name of a claim or a kind
	maxDigits = 15  // of a number (E.164)
)

// check tests the rules for the federation's word on evidence.
func (e Evidence) check() error {
	if !sortedTexts(e.Refused) {
		return fmt.Errorf("%w: refused kinds are unsorted, repeated or no names", ErrContent)
	}
	byURL := func(a, b Issuer) int { return cmp.Compare(a.URL, b.URL) }
	if !strictlySorted(e.Issuers, byURL) {
		return fmt.Errorf("%w: OpenID issuers are unsorted or repeated", ErrContent)
	}
	for _, i := range e.Issuers {
		if err := i.check(); err != nil {
			return err
		}
	}
	for _, anchors := range [][]Anchor{e.Carriers, e.Authorities, e.Mail} {
		if !strictlySorted(anchors, func(a, b Anchor) int { return bytes.Compare(a.Digest, b.Digest) }) {
			return fmt.Errorf("%w: trust anchors are unsorted or repeated", ErrContent)
		}
		for _, a := range anchors {
			if len(a.Digest) != sha256.Size || !sortedTexts(a.Prefixes) || slices.ContainsFunc(a.Prefixes, func(p string) bool { return !digits(p) }) {
				return fmt.Errorf("%w: a trust anchor has no SHA-256, or its prefixes are unsorted or no digits", ErrContent)
			}
		}
	}
	return nil
}

func (i Issuer) check() error {
	u, err := url.Parse(i.URL)
	switch {
	case err != nil, len(i.URL) > maxText, u.Scheme != "https", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "", u.String() != i.URL:
		return fmt.Errorf("%w: an OpenID issuer is no https URL without query", ErrContent)
	case len(i.Clients) == 0, !sortedTexts(i.Clients), !sortedTexts(i.Domains):
		return fmt.Errorf("%w: clients or domains of an OpenID issuer are none, unsorted or repeated", ErrContent)
	case len(i.Domains) == 0 && i.Handle == "", len(i.Handle) > maxText:
		return fmt.Errorf("%w: an OpenID issuer without domain and handle speaks for nobody", ErrContent)
	}
	for _, d := range i.Domains {
		if err := checkName(d); err != nil {
			return fmt.Errorf("%w: a domain of an OpenID issuer", ErrContent)
		}
	}
	return nil
}

// strictlySorted reports whether s is in order and has nothing twice.
func strictlySorted[E any](s []E, compare func(a, b E) int) bool {
	for i := 1; i < len(s); i++ {
		if compare(s[i-1], s[i]) >= 0 {
			return false
		}
	}
	return true
}

// sortedTexts accepts printable ASCII texts in order, each once.
func sortedTexts(s []string) bool {
	odd := func(t string) bool {
		return t == "" || len(t) > maxText || strings.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	return strictlySorted(s, cmp.Compare[string]) && !slices.ContainsFunc(s, odd)
}

func digits(s string) bool {
	return s != "" && len(s) <= maxDigits && strings.Trim(s, "0123456789") == ""
}

// Issuer returns the OpenID provider of a URL, false if its tokens do not count.
func (s *Snapshot) Issuer(url string) (Issuer, bool) {
	for _, i := range s.policy.Evidence.Issuers {
		if i.URL == url {
			return i, true
		}
	}
	return Issuer{}, false
}

// NumberRanges returns the prefixes, in digits, of the numbers that grants tie
// to a service provider code (RFC 8226): those of active CSIPs which have the
// code. In a grant they are written as in a CSI, with "+"; a grant without
// ranges ties nothing.
func (s *Snapshot) NumberRanges(code string) []string {
	var out []string
	for _, p := range s.Parties(RoleCSIP) {
		if !slices.Contains(p.Codes, code) {
			continue
		}
		for _, r := range p.Ranges {
			if number, ok := strings.CutPrefix(r, "+"); ok && digits(number) {
				out = append(out, number)
			}
		}
	}
	return out
}
