package world

import (
	"context"
	"crypto/rand"
	"maps"
	"os"

	"whither/internal/fetch"
	"whither/internal/world/idp"
	"whither/registry"
)

// startIdentity starts the OpenID provider at which everybody has an account,
// named as the mailbox is.
func (w *World) startIdentity(ctx context.Context) error {
	if err := os.WriteFile(w.authorities(), w.Mail.RootPEM(), 0o600); err != nil {
		return err
	}
	p, err := idp.New(ctx, idp.Config{
		Issuer: "https://" + IdentityHost, Certificate: w.Mail.Certificate, Roots: w.Mail.Roots(), Now: w.config.Now,
	})
	if err != nil {
		return err
	}
	w.Identity = p
	w.closers = append(w.closers, p.Close)
	w.Mail.Announce(p.Host(), p.Port())
	p.Register(IdentityClient, "Whither, to show that an address or a handle is yours")
	for _, person := range w.config.People {
		p.AddAccount(idp.Account{Name: person.Name, Password: rand.Text()[:10], Address: person.Address(), Verified: true})
	}
	return nil
}

// authorities is the file with the authorities of this world's servers. They
// are new at each start.
func (w *World) authorities() string { return w.Path("authorities.pem") }

// Web is how servers of this world are reached.
func (w *World) Web() fetch.Settings {
	return fetch.Settings{Resolver: w.Mail.DNS.Addr(), Roots: w.authorities(), Port: w.Identity.Port(), Allow: []string{"127.0.0.0/8"}}
}

// policy is what this federation agreed on evidence.
func (w *World) policy() registry.Policy {
	levels := map[string]uint8{"mailto": 4, "tel": 2, "acct": 3}
	maps.Copy(levels, w.config.Levels)
	return registry.Policy{Levels: levels, Evidence: registry.Evidence{
		Issuers: []registry.Issuer{{
			URL: w.Identity.Issuer(), Clients: []string{IdentityClient}, Domains: []string{MailDomain}, Handle: idp.Handle,
		}},
		Carriers: anchor(w.Carriers.Root()), Authorities: anchor(w.Carriers.AuthorityRoot()),
		Mail: []registry.Anchor{{Digest: w.MailAuthority.Digest()}},
	}}
}
