package daemon

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"whither/internal/endpoint"
	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/prover"
	"whither/internal/prover/bysmime"
	"whither/internal/revocation"
)

// SMIMESettings is the table smime. Without authorities this prover judges no
// certificates of mailboxes.
type SMIMESettings struct {
	// Authorities is a file with the roots that certify mailboxes, in PEM. Those
	// count that the registry names.
	Authorities string `toml:"authorities"`
	// Lists are their revocation lists, and those of authorities between them and
	// the certificates, in DER: http or https URLs, which are asked every hour, and
	// files, which are read again when they change.
	Lists []string `toml:"lists"`
}

// Places are the lists, with the files' paths relative to dir.
func (s SMIMESettings) Places(dir string) []string {
	var places []string
	for _, where := range s.Lists {
		if !revocation.IsURL(where) {
			where = party.In(dir, where)
		}
		places = append(places, where)
	}
	return places
}

// openSMIME prepares the judgement of certificates. The lists are nil where the
// settings have none.
func openSMIME(dir string, s Settings, o Options, r prover.Registry) (prover.Method, *revocation.Lists, error) {
	c := bysmime.Config{Snapshot: r.Snapshot, Lists: func() ([][]byte, error) { return nil, nil }}
	if s.SMIME.Authorities == "" && len(s.SMIME.Lists) == 0 {
		return bysmime.Method(c), nil, nil
	}
	if s.SMIME.Authorities == "" || len(s.SMIME.Lists) == 0 {
		return prover.Method{}, nil, fmt.Errorf("daemon: %s: smime: authorities count with their revocation lists alone: give both", SettingsFile)
	}
	var err error
	if c.Authorities, err = keyfile.Certificates(party.In(dir, s.SMIME.Authorities)); err != nil {
		return prover.Method{}, nil, fmt.Errorf("daemon: %s: smime.authorities: %w", SettingsFile, err)
	}
	lists, err := openLists(dir, s, o, c.Authorities)
	if err != nil {
		return prover.Method{}, nil, err
	}
	c.Lists = lists.Current
	return bysmime.Method(c), lists, nil
}

func openLists(dir string, s Settings, o Options, authorities []*x509.Certificate) (*revocation.Lists, error) {
	web, err := s.WebConfig(dir, o.Now)
	if err != nil {
		return nil, err
	}
	web.Plain = true // lists are signed, and most authorities have them there
	lists, err := revocation.New(revocation.Config{Places: s.SMIME.Places(dir), Authorities: authorities, Fetch: fetch.New(web), Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("daemon: %s: smime.lists: %w", SettingsFile, err)
	}
	return lists, nil
}

// WebConfig is how servers of the outside world are reached. Paths are relative
// to dir.
func (s Settings) WebConfig(dir string, now func() time.Time) (fetch.Config, error) {
	web := s.Web
	web.Resolver = cmp.Or(web.Resolver, s.Resolver)
	c, err := web.Config(dir, now)
	if err != nil {
		return c, fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	return c, nil
}

// Step does what is due, and looks for newer revocation lists.
func (p *Prover) Step(ctx context.Context, now time.Time) error {
	return errors.Join(p.Prover.Step(ctx, now), p.refresh(ctx, now))
}

func (p *Prover) refresh(ctx context.Context, now time.Time) error {
	if p.lists == nil {
		return nil
	}
	return p.lists.Step(ctx, now)
}

// keepLists is the part of a prover that looks for revocation lists, at once and
// from then on.
func (p *Prover) keepLists(ctx context.Context) error {
	if p.lists == nil {
		<-ctx.Done()
		return nil
	}
	if err := p.refresh(ctx, p.options.Now()); err != nil && ctx.Err() == nil {
		p.options.Log.ErrorContext(ctx, "no revocation list yet", slog.Any("error", err))
	}
	return endpoint.Ticking(cmp.Or(p.options.Tick, listTick), p.options.Now, p.options.Log, p.refresh)(ctx)
}

// listTick is how often it is looked whether a list is due.
const listTick = 30 * time.Second
