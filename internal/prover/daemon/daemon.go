// Package daemon puts a prover together from its folder and runs it: settings,
// keys, store and the mail of the world. The prover itself is package prover,
// which imports no database.
//
// A prover's folder:
//
//	prover.toml        settings (see Settings)
//	prover.db          the store
//	kek/N.key          key-encryption keys by generation; keep them off the backups of prover.db
//	keys/sign.pem      signs receipts
//	keys/tls.pem       TLS identity in the federation
//	keys/operator.pem  signs the self record
//	keys/dkim.pem      signs challenges
//	keys/mail.pem      certificate and key of the mail server
//	keys/row.key       labels of rows
//	registry/          registry.set, root.json and what is known
//
// The party's id is the domain of the mail, so its zone has what [Records]
// lists.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"whither/internal/camara"
	"whither/internal/endpoint"
	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/internal/limit"
	"whither/internal/oidc"
	"whither/internal/party"
	"whither/internal/prover"
	"whither/internal/prover/bycode"
	"whither/internal/prover/bymail"
	"whither/internal/prover/byopenid"
	"whither/internal/revocation"
	"whither/internal/sipin"
	"whither/internal/smtpout"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/possession"
	"whither/possession/mail"
	"whither/registry"
)

// Options are what a process gives to a prover besides its folder.
type Options struct {
	Now  func() time.Time
	Log  *slog.Logger
	Tick time.Duration // see prover.Config
	// World is the mail that the prover is part of; nil: the Internet's.
	World *World
	// Fault and Tap are seams for the demo and tests, nil in production.
	Fault func(write string) sqldb.Fault
	Tap   func(endpoint.Seen)
}

// World is another mail than the Internet's.
type World struct {
	Out         *smtpout.Client
	Resolver    *net.Resolver
	Certificate func() (*tls.Certificate, error) // for Settings.Mail.Host
}

// MakeKeys makes everything secret in a new prover's folder. keys/mail.pem is
// self-signed, which mail servers take that do not ask who they speak with; put
// a public authority's certificate in its place.
func MakeKeys(dir string, s Settings, now time.Time) error {
	id, err := s.ID()
	if err != nil {
		return fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	if _, err := party.Make(dir, id, now); err != nil {
		return err
	}
	if _, err := vault.MakeKeys(dir); err != nil {
		return err
	}
	if _, err := keyfile.MakeDKIM(filepath.Join(dir, dkimFile)); err != nil {
		return err
	}
	host, err := registry.ParsePartyID(s.Mail.Host)
	if err != nil {
		return fmt.Errorf("daemon: %s: mail.host: %w", SettingsFile, err)
	}
	_, err = keyfile.MakeTLS(filepath.Join(dir, mailFile), host, now)
	return err
}

// Record is one record of a zone.
type Record struct{ Name, Type, Value string }

// Records returns what the zone of the party's id must have, besides the
// addresses of the mail host and of the host for SIP: where replies go, the key
// that signs challenges, who may send them, and where messages and calls go.
func Records(dir string, s Settings) ([]Record, error) {
	k, err := keyfile.DKIM(filepath.Join(dir, dkimFile))
	if err != nil {
		return nil, err
	}
	published, err := k.Record()
	if err != nil {
		return nil, err
	}
	return append([]Record{
		{s.Party, "MX", "10 " + s.Mail.Host},
		{s.Mail.Selector + "._domainkey." + s.Party, "TXT", published},
		{s.Party, "TXT", "v=spf1 mx -all"},
		{"_dmarc." + s.Party, "TXT", "v=DMARC1; p=reject; adkim=s; aspf=s"},
	}, sipRecords(s.Party, s.SIP)...), nil
}

// Prover is a prover with its edges, ready to serve.
type Prover struct {
	*prover.Prover
	mail    *bymail.Mail
	tel     telephone
	lists   *revocation.Lists // nil: none
	options Options
}

// Open opens a prover from its folder. The returned function closes its store.
func Open(ctx context.Context, dir string, s Settings, o Options) (*Prover, func() error, error) {
	member, err := s.Open(ctx, dir, o.Now())
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	m, err := openMail(dir, s, o, member.ID)
	if err != nil {
		return nil, nil, err
	}
	couriers, err := openCouriers(dir, s)
	if err != nil {
		return nil, nil, err
	}
	sim, err := s.SIM.open(dir)
	if err != nil {
		return nil, nil, err
	}
	providers, err := openProviders(dir, s, o, member.Registry)
	if err != nil {
		return nil, nil, err
	}
	certificates, lists, err := openSMIME(dir, s, o, member.Registry)
	if err != nil {
		return nil, nil, err
	}
	tel, err := openSTIR(dir, s, o, member)
	if err != nil {
		return nil, nil, err
	}
	rowKeys, err := vault.LoadKeys(dir)
	if err != nil {
		return nil, nil, err
	}
	at, err := sqldb.Locate(s.Store.URL, dir, databaseFile)
	if err != nil {
		return nil, nil, fmt.Errorf("daemon: %s: store: %w", SettingsFile, err)
	}
	store, err := proverstore.Open(ctx, sealed.Options{Path: at.Path, URL: at.URL, Keys: rowKeys, Fault: o.Fault})
	if err != nil {
		return nil, nil, err
	}
	p, err := prover.New(ctx, prover.Config{
		Party: member.ID, Key: member.Sign, TLS: member.TLS, Registry: member.Registry, Store: store,
		Methods: append(tel.methods, m.Method(), bycode.Method(couriers),
			byopenid.Method(byopenid.Config{Providers: providers, Registry: member.Registry.Snapshot}), certificates),
		Limits: limit.Bounds(s.Limits), Tick: o.Tick, Now: o.Now, Log: o.Log, Tap: o.Tap,
		SIM: sim, SIMAge: time.Duration(s.SIM.Hours) * time.Hour,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return &Prover{Prover: p, mail: m, tel: tel, lists: lists, options: o}, func() error {
		providers.Close()
		tel.close()
		if lists != nil {
			lists.Close()
		}
		return store.Close()
	}, nil
}

// openProviders prepares the look at OpenID providers that the registry names.
func openProviders(dir string, s Settings, o Options, r prover.Registry) (*oidc.Client, error) {
	c, err := s.WebConfig(dir, o.Now)
	if err != nil {
		return nil, err
	}
	return oidc.New(oidc.Config{Fetch: fetch.New(c), Now: o.Now, Known: func(issuer string) bool {
		_, ok := r.Snapshot().Issuer(issuer)
		return ok
	}}), nil
}

// openCouriers opens the services that send codes.
func openCouriers(dir string, s Settings) (map[possession.Kind]bycode.Courier, error) {
	couriers := make(map[possession.Kind]bycode.Courier)
	for kind, c := range map[possession.Kind]CourierSettings{possession.CodeMessage: s.Message, possession.CodeCall: s.Call} {
		if c == (CourierSettings{}) {
			continue
		}
		token, err := keyfile.Token(party.In(dir, c.Token))
		if err != nil {
			return nil, err
		}
		if couriers[kind], err = camara.NewOTP(c.URL, token); err != nil {
			return nil, fmt.Errorf("daemon: %s: %s: %w", SettingsFile, kind, err)
		}
	}
	return couriers, nil
}

// openMail opens the prover's part in the mail of its world.
func openMail(dir string, s Settings, o Options, id registry.PartyID) (*bymail.Mail, error) {
	k, err := keyfile.DKIM(filepath.Join(dir, dkimFile))
	if err != nil {
		return nil, err
	}
	m := bymail.Config{
		Party: id, Host: s.Mail.Host, Signing: mail.Signing{Selector: s.Mail.Selector, Key: k}, Now: o.Now, Log: o.Log,
	}
	if w := o.World; w != nil {
		m.Out, m.Resolver, m.Certificate = w.Out, w.Resolver, w.Certificate
		return bymail.New(m)
	}
	c := &certificate{cert: party.In(dir, s.Mail.Certificate), key: party.In(dir, s.Mail.CertificateKey), log: o.Log}
	if _, err := c.get(); err != nil {
		return nil, err
	}
	m.Certificate, m.Resolver = c.get, resolver(s.Resolver)
	m.Out = &smtpout.Client{Hello: s.Mail.Host, Resolver: m.Resolver, Now: o.Now}
	if s.Mail.Roots != "" {
		roots, err := keyfile.Roots(party.In(dir, s.Mail.Roots))
		if err != nil {
			return nil, err
		}
		m.Out.Roots = roots
	}
	if s.Mail.OutPort != 0 {
		m.Out.Port = func(string) int { return s.Mail.OutPort }
	}
	return bymail.New(m)
}

// resolver asks one name server, or those of the system.
func resolver(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}}
}

// Listeners are where a prover is reached.
type Listeners struct {
	Messages   net.Listener // clients and parties, by HTTPS
	Mail       net.Listener // mail servers, by SMTP
	SIP        sipin.Listeners
	Operations net.Listener // health and metrics, by HTTP; may be nil
}

// Serve answers on l and does due work until ctx ends; then it finishes what is
// under way. It closes the listeners.
func (p *Prover) Serve(ctx context.Context, l Listeners) error {
	edges := []endpoint.Part{func(ctx context.Context) error { return p.mail.Serve(ctx, p.Prover, l.Mail) }, p.keepLists}
	if p.tel.phone != nil {
		edges = append(edges, func(ctx context.Context) error { return p.tel.phone.Serve(ctx, p.Prover, l.SIP) })
	}
	return p.Prover.Serve(ctx, prover.Listeners{Messages: l.Messages, Operations: l.Operations}, edges...)
}

// Listen opens the sockets of the settings.
func Listen(ctx context.Context, s Settings) (Listeners, error) {
	l, err := party.Listen(ctx, party.Socket{Setting: "listen", Address: s.Listen},
		party.Socket{Setting: "mail.listen", Address: s.Mail.Listen}, party.Socket{Setting: "operations", Address: s.Operations})
	if err != nil {
		return Listeners{}, fmt.Errorf("daemon: %w", err)
	}
	all := Listeners{Messages: l[0], Mail: l[1], Operations: l[2]}
	if all.SIP, err = listenSIP(ctx, s.SIP); err != nil {
		for _, one := range l {
			err = errors.Join(err, one.Close())
		}
		return Listeners{}, fmt.Errorf("daemon: %w", err)
	}
	return all, nil
}

// Run opens a prover from its settings file, listens, and serves until ctx
// ends.
func Run(ctx context.Context, settingsPath string, o Options) error {
	s, err := ReadSettings(settingsPath)
	if err != nil {
		return err
	}
	p, closeStore, err := Open(ctx, filepath.Dir(settingsPath), s, o)
	if err != nil {
		return err
	}
	l, err := Listen(ctx, s)
	if err != nil {
		return errors.Join(err, closeStore())
	}
	o.Log.InfoContext(ctx, "serving", slog.String("party", s.Party), slog.String("listen", s.Listen),
		slog.String("mail", s.Mail.Listen), slog.String("operations", s.Operations))
	return errors.Join(p.Serve(ctx, l), closeStore())
}
