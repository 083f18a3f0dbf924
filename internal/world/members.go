package world

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/dp"
	"whither/internal/endpoint"
	"whither/internal/keyfile"
	"whither/internal/msp"
	"whither/internal/party"
	"whither/internal/prover"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/proverstore"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/possession/mail"
	"whither/registry"
	"whither/registry/update"
)

// members lists the world's parties, in the order in which they start. Each
// has an operator of its own.
func (w *World) members() []*member {
	bitA, bitB := uint16(0), uint16(1)
	return []*member{
		{name: DP, role: registry.RoleDP, operator: "registrar.example", make: w.makeDP, open: w.openDP},
		{name: ProverA, role: registry.RoleProver, operator: "notary-a.example", make: w.makeProver(ProverA), open: w.openProver},
		{name: ProverB, role: registry.RoleProver, operator: "notary-b.example", make: w.makeProver(ProverB), open: w.openProver},
		{name: MSPA, role: registry.RoleMSP, operator: "messenger-a.example", bit: &bitA, make: w.makeMSP(MSPA), open: w.openMSP},
		{name: MSPB, role: registry.RoleMSP, operator: "messenger-b.example", bit: &bitB, make: w.makeMSP(MSPB), open: w.openMSP},
	}
}

// tap records what a party sees.
func (w *World) tap(name string) func(endpoint.Seen) {
	return func(s endpoint.Seen) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen[name] = append(w.seen[name], s)
	}
}

// Seen returns all that a party's server has seen since the start, in order.
func (w *World) Seen(party string) []endpoint.Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[party])
}

// log is the logger of a party.
func (w *World) log(name string) *slog.Logger { return w.config.Log.With(slog.String("party", name)) }

func id(name string) (registry.PartyID, error) { return registry.ParsePartyID(name) }

func (w *World) makeDP(dir string) error {
	party, err := id(DP)
	if err != nil {
		return err
	}
	return dp.MakeKeys(dir, party, w.config.Now())
}

func (w *World) openDP(ctx context.Context, m *member) (func(context.Context) error, error) {
	settings := dp.Settings{Party: m.name, Registry: w.RegistryPath(), Root: w.RootPath()}
	d, closeStore, err := dp.Open(ctx, w.Path(m.name), settings, dp.Options{
		Now: w.config.Now, Log: w.log(m.name), Tick: w.config.Tick, Fault: w.config.Fault,
		Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, closeStore)
	return func(ctx context.Context) error { return d.Serve(ctx, m.listener, nil) }, nil
}

func (w *World) makeMSP(name string) func(dir string) error {
	return func(dir string) error {
		own, err := id(name)
		if err != nil {
			return err
		}
		if _, err := party.Make(dir, own, w.config.Now()); err != nil {
			return err
		}
		_, err = keyfile.MakeSecret(filepath.Join(dir, "keys", "offer.key"))
		return err
	}
}

func (w *World) openMSP(ctx context.Context, m *member) (func(context.Context) error, error) {
	dir := w.Path(m.name)
	offers, err := keyfile.ReadSecret(filepath.Join(dir, "keys", "offer.key"))
	if err != nil {
		return nil, err
	}
	accounts, err := msp.OpenAccounts(filepath.Join(dir, "accounts.json"))
	if err != nil {
		return nil, err
	}
	used, err := mspstore.Open(ctx, sqldb.Options{Path: filepath.Join(dir, "msp.db")})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, used.Close)
	source, err := update.OpenFiles(w.RegistryPath(), w.RootPath(), w.config.Now())
	if err != nil {
		return nil, err
	}
	own, err := id(m.name)
	if err != nil {
		return nil, err
	}
	asked, err := id(DP)
	if err != nil {
		return nil, err
	}
	s, err := msp.New(msp.Config{
		Party: own, Key: m.keys.Sign, TLS: m.keys.TLS, Offers: cosigner.Secret(offers), Accounts: accounts, Used: used,
		Registry: source, DP: asked, Tick: w.config.Tick, Now: w.config.Now, Log: w.log(m.name), Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, err
	}
	w.accounts[m.name] = accounts
	return func(ctx context.Context) error { return s.Serve(ctx, m.listener, nil) }, nil
}

func (w *World) makeProver(name string) func(dir string) error {
	return func(dir string) error {
		own, err := id(name)
		if err != nil {
			return err
		}
		if _, err := party.Make(dir, own, w.config.Now()); err != nil {
			return err
		}
		if _, err := vault.MakeKeys(dir); err != nil {
			return err
		}
		_, err = keyfile.MakeDKIM(filepath.Join(dir, "keys", "dkim.pem"))
		return err
	}
}

// selector of the provers' DKIM keys.
const selector = "whither"

func (w *World) openProver(ctx context.Context, m *member) (func(context.Context) error, error) {
	dir := w.Path(m.name)
	rowKeys, err := vault.LoadKeys(dir)
	if err != nil {
		return nil, err
	}
	store, err := proverstore.Open(ctx, sealed.Options{Path: filepath.Join(dir, "prover.db"), Keys: rowKeys})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, store.Close)
	source, err := update.OpenFiles(w.RegistryPath(), w.RootPath(), w.config.Now())
	if err != nil {
		return nil, err
	}
	smtp, settings, err := w.joinMail(m.name, dir)
	if err != nil {
		return nil, err
	}
	own, err := id(m.name)
	if err != nil {
		return nil, err
	}
	p, err := prover.New(ctx, prover.Config{
		Party: own, Key: m.keys.Sign, TLS: m.keys.TLS, Registry: source, Store: store, Mail: settings,
		Tick: w.config.Tick, Now: w.config.Now, Log: w.log(m.name), Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, errors.Join(err, smtp.Close())
	}
	return func(ctx context.Context) error {
		return p.Serve(ctx, prover.Listeners{Messages: m.listener, Mail: smtp})
	}, nil
}

// joinMail publishes a prover's mail server and DKIM key in the world's DNS.
func (w *World) joinMail(name, dir string) (net.Listener, prover.Mail, error) {
	host := "mx." + name
	signKey, err := keyfile.DKIM(filepath.Join(dir, "keys", "dkim.pem"))
	if err != nil {
		return nil, prover.Mail{}, err
	}
	signing := mail.Signing{Selector: selector, Key: signKey}
	record, err := signing.Key.Record()
	if err != nil {
		return nil, prover.Mail{}, err
	}
	certificate, err := w.Mail.Certificate(host)
	if err != nil {
		return nil, prover.Mail{}, err
	}
	l, err := listen()
	if err != nil {
		return nil, prover.Mail{}, err
	}
	w.Mail.DNS.SetTXT(selector+"._domainkey."+name, record)
	w.Mail.DNS.SetMX(name, host)
	w.Mail.Announce(host, l.Addr().(*net.TCPAddr).Port)
	return l, prover.Mail{
		Host: host, Certificate: func() (*tls.Certificate, error) { return &certificate, nil }, Signing: signing,
		Out: w.Mail.Client(host), Resolver: w.Mail.DNS.Resolver(),
	}, nil
}

// Person makes, or finds again, the folder of a person with a mailbox and an
// account at an MSP that has the mailbox's address.
func (w *World) Person(mailbox, mspName string) (dir string, err error) {
	dir = w.Path("people", mailbox)
	accounts := w.accounts[mspName]
	if accounts == nil {
		return "", fmt.Errorf("world: no MSP %s", mspName)
	}
	address, err := csi.Parse("mailto:" + mailbox + "@" + MailDomain)
	if err != nil {
		return "", err
	}
	there, err := exists(filepath.Join(dir, "client.toml"))
	if err != nil {
		return "", err
	}
	if !there {
		token, err := accounts.Add(mailbox, address)
		if err != nil {
			return "", err
		}
		if err := writePerson(dir, mspName, token); err != nil {
			return "", err
		}
	}
	// The endpoints are new at each start, so is the registry.
	for from, to := range map[string]string{w.RegistryPath(): "registry.cose", w.RootPath(): "root.toml"} {
		if err := copyFile(from, filepath.Join(dir, to)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// writePerson writes a person's settings and token.
func writePerson(dir, mspName, token string) error {
	settings := fmt.Sprintf("dp = %q\n\n[[account]]\nmsp = %q\ntoken = \"keys/account.token\"\n", DP, mspName)
	if err := writeNew(filepath.Join(dir, "keys", "account.token"), []byte(token+"\n")); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, "client.toml"), []byte(settings))
}
