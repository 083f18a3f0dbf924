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

	"whither/csi"
	"whither/internal/dp"
	"whither/internal/endpoint"
	"whither/internal/msp"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/world/phonenet"
	"whither/registry"
)

// members lists the world's parties, in the order in which they start. Each
// has an operator of its own.
func (w *World) members() []*member {
	bitA, bitB, bitC := uint16(0), uint16(1), uint16(2)
	return []*member{
		{name: DP, role: registry.RoleDP, operator: "registrar.example", make: w.makeDP, open: w.openDP},
		{name: ProverA, role: registry.RoleProver, operator: "notary-a.example", make: w.makeProver, open: w.openProver},
		{name: ProverB, role: registry.RoleProver, operator: "notary-b.example", make: w.makeProver, open: w.openProver},
		{name: ObserverA, role: registry.RoleObserver, operator: "watch-a.example", make: w.makeObserver, open: w.openObserver},
		{name: ObserverB, role: registry.RoleObserver, operator: "watch-b.example", make: w.makeObserver, open: w.openObserver},
		{name: MSPA, role: registry.RoleMSP, operator: "messenger-a.example", bit: &bitA, make: w.makeMSP, open: w.openMSP},
		{name: MSPB, role: registry.RoleMSP, operator: "messenger-b.example", bit: &bitB, make: w.makeMSP, open: w.openMSP},
		{name: MSPC, role: registry.RoleMSP, operator: "messenger-c.example", bit: &bitC, make: w.makeMSP, open: w.openMSP},
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

// settings is what the settings of all members begin with.
func (w *World) settings(m *member) party.Settings {
	return party.Settings{Party: m.name, Registry: w.RegistryPath(), Root: w.RootPath()}
}

func (w *World) makeDP(m *member) error { return dp.MakeKeys(w.Path(m.name), m.id, w.config.Now()) }

func (w *World) openDP(ctx context.Context, m *member) (func(context.Context) error, error) {
	d, closeStore, err := dp.Open(ctx, w.Path(m.name), dp.Settings{Settings: w.settings(m), Web: w.Web()}, dp.Options{
		Now: w.config.Now, Log: w.log(m.name), Tick: w.config.Tick, Grace: w.config.Grace,
		Fault: w.config.Fault, Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, closeStore)
	w.dp = d
	return func(ctx context.Context) error { return d.Serve(ctx, m.listener, nil) }, nil
}

func (w *World) makeMSP(m *member) error { return msp.MakeKeys(w.Path(m.name), m.id, w.config.Now()) }

func (w *World) openMSP(ctx context.Context, m *member) (func(context.Context) error, error) {
	s, closeStore, err := msp.Open(ctx, w.Path(m.name), msp.Settings{Settings: w.settings(m), DP: DP}, msp.Options{
		Now: w.config.Now, Log: w.log(m.name), Tick: w.config.Tick, Tap: w.tap(m.name),
	})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, closeStore)
	w.msps[m.name] = s
	return func(ctx context.Context) error { return s.Serve(ctx, m.listener, nil) }, nil
}

// proverSettings are the settings of a prover in this world's mail.
func (w *World) proverSettings(m *member) daemon.Settings {
	return daemon.Settings{
		Settings: w.settings(m),
		Mail:     daemon.MailSettings{Host: "mx." + m.name, Selector: "whither"},
		Web:      w.Web(),
		STIR:     daemon.STIRSettings{Roots: w.telephoneRoots()},
		SIM:      w.simSettings(),
		SMIME:    daemon.SMIMESettings{Authorities: w.mailAuthority(), Lists: []string{w.lists}},
	}
}

func (w *World) makeProver(m *member) error {
	return daemon.MakeKeys(w.Path(m.name), w.proverSettings(m), w.config.Now())
}

func (w *World) openProver(ctx context.Context, m *member) (func(context.Context) error, error) {
	s := w.proverSettings(m)
	smtp, certificate, err := w.joinMail(ctx, m, s)
	if err != nil {
		return nil, err
	}
	sip, err := w.joinPhones(ctx, m, &s)
	if err != nil {
		return nil, errors.Join(err, smtp.Close())
	}
	if s.Message, err = w.gateway(ctx, m, phonenet.Message); err == nil {
		s.Call, err = w.gateway(ctx, m, phonenet.Call)
	}
	if err != nil {
		return nil, errors.Join(err, smtp.Close())
	}
	p, closeStore, err := daemon.Open(ctx, w.Path(m.name), s, daemon.Options{
		Now: w.config.Now, Log: w.log(m.name), Tick: w.config.Tick, Tap: w.tap(m.name),
		World: &daemon.World{
			Out: w.Mail.Client(s.Mail.Host), Resolver: w.Mail.DNS.Resolver(),
			Certificate: func() (*tls.Certificate, error) { return &certificate, nil },
		},
	})
	if err != nil {
		return nil, errors.Join(err, smtp.Close())
	}
	w.closers = append(w.closers, closeStore)
	w.provers = append(w.provers, p)
	return func(ctx context.Context) error {
		return p.Serve(ctx, daemon.Listeners{Messages: m.listener, Mail: smtp, SIP: sip})
	}, nil
}

// joinMail publishes a prover's records in the world's DNS and gives it a mail
// server's socket and certificate.
func (w *World) joinMail(ctx context.Context, m *member, s daemon.Settings) (net.Listener, tls.Certificate, error) {
	records, err := daemon.Records(w.Path(m.name), s)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	for _, r := range records {
		if r.Type == "TXT" {
			w.Mail.DNS.SetTXT(r.Name, r.Value)
		}
	}
	w.Mail.DNS.SetMX(m.name, s.Mail.Host)
	certificate, err := w.Mail.Certificate(s.Mail.Host)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	l, err := listen(ctx)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	port, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return nil, tls.Certificate{}, errors.Join(errors.New("not a TCP listener"), l.Close())
	}
	w.Mail.Announce(s.Mail.Host, port.Port)
	return l, certificate, nil
}

// gateway starts the service of an operator that sends codes for a prover. Each
// prover has its own, for each channel.
func (w *World) gateway(ctx context.Context, m *member, c phonenet.Channel) (daemon.CourierSettings, error) {
	g, err := w.Phones.AddGateway(ctx, m.name, c)
	if err != nil {
		return daemon.CourierSettings{}, err
	}
	token := w.Path(m.name, "keys", string(c)+".token")
	return daemon.CourierSettings{URL: g.URL(), Token: token}, writeNew(token, []byte(g.Token()+"\n"))
}

// Settle makes, or finds again, the folder of a person with accounts at some
// MSPs that have her address and number.
func (w *World) Settle(ctx context.Context, p Person, msps ...string) (dir string, err error) {
	dir = w.Path("people", p.Name)
	settings := fmt.Sprintf("dp = %q\n", DP)
	for _, name := range msps {
		token := filepath.Join("keys", name+".token")
		there, err := exists(filepath.Join(dir, token))
		if err != nil {
			return "", err
		}
		if !there {
			if err := w.openAccount(ctx, p, name, filepath.Join(dir, token)); err != nil {
				return "", err
			}
		}
		settings += fmt.Sprintf("\n[[account]]\nmsp = %q\ntoken = %q\n", name, token)
	}
	web := w.Web()
	settings += fmt.Sprintf("\n[web]\nresolver = %q\nroots = %q\nport = %d\nallow = [%q]\n", web.Resolver, "authorities.pem", web.Port, web.Allow[0])
	if err := writeNew(filepath.Join(dir, "client.toml"), []byte(settings)); err != nil {
		return "", err
	}
	// The endpoints are new at each start, so is the registry.
	for from, to := range map[string]string{w.RegistryPath(): "registry.set", w.RootPath(): "root.json", w.authorities(): "authorities.pem"} {
		if err := copyFile(from, filepath.Join(dir, to)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// openAccount opens an account with a person's CSIs and writes its token.
func (w *World) openAccount(ctx context.Context, p Person, mspName, tokenPath string) error {
	uris := []string{"mailto:" + p.Address(), "acct:" + p.Handle()}
	if p.Number != "" {
		uris = append(uris, "tel:"+p.Number)
	}
	var csis []csi.ID
	for _, uri := range uris {
		id, err := csi.Parse(uri)
		if err != nil {
			return err
		}
		csis = append(csis, id)
	}
	accounts, err := msp.OpenAccountsIn(w.Path(mspName))
	if err != nil {
		return err
	}
	token, err := accounts.Add(p.Name, csis...)
	if err != nil {
		return err
	}
	if err := w.msps[mspName].Step(ctx, w.config.Now()); err != nil {
		return err
	}
	return writeNew(tokenPath, []byte(token+"\n"))
}
