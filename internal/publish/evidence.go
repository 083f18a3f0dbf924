package publish

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"

	"whither/internal/keyfile"
	"whither/registry"
)

// Issuer is a table issuer of federation.toml: an OpenID provider whose tokens
// count.
type Issuer struct {
	// URL is what its tokens have as iss.
	URL string `toml:"url"`
	// Clients are the client ids registered there for this purpose alone.
	Clients []string `toml:"clients"`
	// Domains are the mail domains whose mailboxes it gives out.
	Domains []string `toml:"domains,omitempty"`
	// Handle is the claim that names accounts at its own host, which it gives to
	// nobody twice; empty for none.
	Handle string `toml:"handle,omitempty"`
}

// Anchors is a table carrier, token_authority or mail_authority of
// federation.toml: roots outside of the federation whose word counts.
type Anchors struct {
	// Certificates is a file in PEM, in the federation's folder.
	Certificates string `toml:"certificates"`
	// Prefixes are the numbers that they may speak for, in digits; none: all.
	Prefixes []string `toml:"prefixes,omitempty"`
}

// evidence is the federation's word on evidence, in the registry's order.
func (f Federation) evidence(dir string) (registry.Evidence, error) {
	e := registry.Evidence{Refused: sorted(f.Refused)}
	for _, i := range f.Issuers {
		e.Issuers = append(e.Issuers, registry.Issuer{URL: i.URL, Clients: sorted(i.Clients), Domains: sorted(i.Domains), Handle: i.Handle})
	}
	slices.SortFunc(e.Issuers, func(a, b registry.Issuer) int { return cmp.Compare(a.URL, b.URL) })
	for _, set := range []struct {
		from []Anchors
		to   *[]registry.Anchor
	}{{f.Carriers, &e.Carriers}, {f.TokenAuthorities, &e.Authorities}, {f.MailAuthorities, &e.Mail}} {
		for _, a := range set.from {
			roots, err := keyfile.Certificates(filepath.Join(dir, a.Certificates))
			if err != nil {
				return e, fmt.Errorf("publish: %s: certificates: %w", FederationFile, err)
			}
			for _, c := range roots {
				digest := sha256.Sum256(c.Raw)
				*set.to = append(*set.to, registry.Anchor{Digest: digest[:], Prefixes: sorted(a.Prefixes)})
			}
		}
		slices.SortFunc(*set.to, func(a, b registry.Anchor) int { return bytes.Compare(a.Digest, b.Digest) })
	}
	return e, nil
}

func sorted(texts []string) []string {
	out := slices.Clone(texts)
	slices.Sort(out)
	return out
}
