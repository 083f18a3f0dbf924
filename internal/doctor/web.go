package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"log/slog"
	"slices"
	"time"

	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/internal/oidc"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/revocation"
	"whither/possession/openid"
	"whither/registry"
)

// world looks at what a prover fetches from outside, as it will: key sets of the
// providers that the registry names, and revocation lists.
func (r *Report) world(dir string, s daemon.Settings, reg *registry.Snapshot, now time.Time) {
	web, err := s.WebConfig(dir, func() time.Time { return now })
	if err != nil {
		r.wrong("web", "mend the table web; on the Internet it is left out", "%v", err)
		return
	}
	if reg == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*network)
	defer cancel()
	r.providers(ctx, web, reg, now)
	r.authorities(ctx, dir, s, web, reg, now)
}

func (r *Report) providers(ctx context.Context, web fetch.Config, reg *registry.Snapshot, now time.Time) {
	providers := oidc.New(oidc.Config{Fetch: fetch.New(web), Now: func() time.Time { return now }, Known: func(issuer string) bool {
		_, ok := reg.Issuer(issuer)
		return ok
	}})
	defer providers.Close()
	for _, i := range reg.Policy().Evidence.Issuers {
		set, err := providers.Keys(ctx, i.URL, "")
		if err != nil {
			r.warn("openid", "see that this machine reaches the provider; if others do not either, tell the federation", "%s: %v", i.URL, err)
			continue
		}
		keys, err := openid.Keys(set)
		if err != nil {
			r.warn("openid", "tell the federation", "%s: %v", i.URL, err)
			continue
		}
		r.ok("openid", "%s publishes %d keys", i.URL, len(keys))
	}
}

func (r *Report) authorities(ctx context.Context, dir string, s daemon.Settings, web fetch.Config, reg *registry.Snapshot, now time.Time) {
	named := reg.Policy().Evidence.Mail
	if s.SMIME.Authorities == "" && len(s.SMIME.Lists) == 0 {
		if len(named) > 0 {
			r.warn("smime", "fill in [smime], or leave certificates to other provers", "the federation takes certificates, and this prover judges none")
		}
		return
	}
	roots, err := keyfile.Certificates(party.In(dir, s.SMIME.Authorities))
	if err != nil {
		r.wrong("smime", "put the roots where smime.authorities says, in PEM", "%v", err)
		return
	}
	counts := func(c *x509.Certificate) bool {
		digest := sha256.Sum256(c.Raw)
		return slices.ContainsFunc(named, func(a registry.Anchor) bool { return bytes.Equal(a.Digest, digest[:]) })
	}
	if !slices.ContainsFunc(roots, counts) {
		r.warn("smime", "ask the federation which roots it names, or wait for its next registry", "the registry names none of the %d roots", len(roots))
	}
	web.Plain = true
	lists, err := revocation.New(revocation.Config{
		Places: s.SMIME.Places(dir), Authorities: roots, Fetch: fetch.New(web), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		r.wrong("smime", "name the authorities' revocation lists in smime.lists", "%v", err)
		return
	}
	defer lists.Close()
	if err := lists.Step(ctx, now); err != nil {
		r.warn("smime", "see that this machine reaches the lists of the settings; without a current one nothing counts", "%v", err)
		return
	}
	r.ok("smime", "%d roots, %d current lists", len(roots), len(s.SMIME.Lists))
}
