// Package around starts the world around a federation that is run by hand: a
// name server, a mail provider, an OpenID provider, the gateways of a telephone
// network, and the desk, a page with everybody's mailboxes and phones. It is for trying things
// out (docs/operate.md) and refuses every address that is not of loopback:
// whoever reaches the desk reads every mailbox.
//
// Provers meet it as they meet the Internet: by the settings that [World.Text]
// names. Its folder holds what they are given:
//
//	ca.pem                        the authority of its servers' certificates
//	HOST.pem                      a certificate and key for a prover's mail host
//	PROVER.message.token, PROVER.call.token  what signs a prover in at a gateway
//
// Everything is made anew at each start, save for the tokens; provers read the
// rest when they start.
package around

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/internal/keyfile"
	"whither/internal/world/desk"
	"whither/internal/world/idp"
	"whither/internal/world/mailnet"
	"whither/internal/world/phonenet"
)

// Errors.
var (
	ErrAddress = errors.New("around: want an address of loopback, as 127.0.0.9")
	ErrRecord  = errors.New("around: want records as whither-prover records prints them")
	ErrHost    = errors.New("around: want an address as 127.0.0.4:2525 for each host that an MX record names")
)

// The ports of the world.
const (
	DNSPort  = 5300
	MailPort = 2525
	DeskPort = 8080
	SignPort = 8453 // of the OpenID provider
)

// Client is the client id under which people sign in at the OpenID provider for
// a federation; it is at https://id. and the domain, with [idp.Handle].
const Client = "whither-possession"

// Config says what the world is made of, in the words of a command line.
type Config struct {
	Dir     string
	Address string // of loopback
	Domain  string // of the mail provider
	// People have mailboxes and, maybe, phones: the mailbox's local part, or
	// that and a number, as bob=+41791234567.
	People []string
	// Records are files with what whither-prover records printed.
	Records []string
	// Hosts are the addresses of the mail hosts that the records name.
	Hosts map[string]string
	Now   func() time.Time
}

// record is a record of a zone.
type record struct{ name, kind, value string }

// parseRecords reads records, one a line: name, type, quoted value.
func parseRecords(text string) ([]record, error) {
	var out []record
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 || fields[1] != "TXT" && fields[1] != "MX" {
			return nil, ErrRecord
		}
		value, err := strconv.Unquote(fields[2])
		if err != nil {
			return nil, ErrRecord
		}
		out = append(out, record{fields[0], fields[1], value})
	}
	return out, nil
}

func readRecords(files []string) ([]record, error) {
	var out []record
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("around: records: %w", err)
		}
		records, err := parseRecords(string(b))
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, filepath.Base(file))
		}
		out = append(out, records...)
	}
	return out, nil
}

// World is a running world.
type World struct {
	config   Config
	provers  map[string]string // mail host by party
	mail     *mailnet.Network
	identity *idp.Provider
	phones   *phonenet.Network
	routes   *http.ServeMux
	server   *http.Server
	listener net.Listener
}

// Start starts a world.
func Start(ctx context.Context, c Config) (*World, error) {
	ip, err := netip.ParseAddr(c.Address)
	if err != nil || !ip.Is4() || !ip.IsLoopback() {
		return nil, ErrAddress
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("around: %w", err)
	}
	records, err := readRecords(c.Records)
	if err != nil {
		return nil, err
	}
	w := &World{config: c, provers: make(map[string]string), phones: phonenet.New(c.Now), routes: http.NewServeMux()}
	if w.mail, err = mailnet.New(mailnet.Config{Now: c.Now, Address: c.Address, DNSPort: DNSPort, MailPort: MailPort}); err != nil {
		return nil, err
	}
	if err := w.furnish(ctx, records); err != nil {
		return nil, errors.Join(err, w.mail.Close())
	}
	return w, nil
}

// furnish puts people, provers and the desk into the world.
func (w *World) furnish(ctx context.Context, records []record) error {
	var mailboxes, numbers []string
	for _, p := range w.config.People {
		name, number, phone := strings.Cut(p, "=")
		mailboxes = append(mailboxes, name+"@"+w.config.Domain)
		if phone {
			numbers = append(numbers, number)
			w.phones.Connect(number)
		}
	}
	provider, err := w.mail.AddProvider(w.config.Domain, mailnet.RSA2048, mailboxes...)
	if err != nil {
		return err
	}
	if err := write(w.path("ca.pem"), w.mail.RootPEM()); err != nil {
		return err
	}
	if err := w.admit(records); err != nil {
		return err
	}
	if err := w.identify(ctx, mailboxes); err != nil {
		return err
	}
	w.routes.Handle("/", desk.New(provider, mailboxes, w.phones, numbers).WithSignIn(w.identity).Handler())
	w.server = &http.Server{Handler: w.routes, ReadHeaderTimeout: 5 * time.Second}
	var lc net.ListenConfig
	if w.listener, err = lc.Listen(ctx, "tcp", w.at(DeskPort)); err != nil {
		return errors.Join(fmt.Errorf("around: %w", err), w.identity.Close())
	}
	return nil
}

// identify starts the OpenID provider, at which everybody with a mailbox has an
// account.
func (w *World) identify(ctx context.Context, mailboxes []string) error {
	var err error
	w.identity, err = idp.New(ctx, idp.Config{
		Issuer: "https://id." + w.config.Domain, Address: w.at(SignPort), Certificate: w.mail.Certificate, Roots: w.mail.Roots(), Now: w.config.Now,
	})
	if err != nil {
		return err
	}
	w.mail.Announce(w.identity.Host(), w.identity.Port())
	w.identity.Register(Client, "Whither, to show that an address or a handle is yours")
	for _, m := range mailboxes {
		name, _, _ := strings.Cut(m, "@")
		w.identity.AddAccount(idp.Account{Name: name, Password: rand.Text()[:10], Address: m, Verified: true})
	}
	return nil
}

// admit publishes the provers' records and gives each prover what it needs.
func (w *World) admit(records []record) error {
	texts := make(map[string][]string)
	for _, r := range records {
		if r.kind == "TXT" {
			texts[r.name] = append(texts[r.name], r.value)
			continue
		}
		_, host, _ := strings.Cut(r.value, " ")
		at, err := netip.ParseAddrPort(w.config.Hosts[host])
		if err != nil {
			return fmt.Errorf("%w: %q", ErrHost, host)
		}
		w.provers[r.name] = host
		w.mail.DNS.SetMX(r.name, host)
		w.mail.Announce(host, int(at.Port()))
		w.mail.DNS.SetA(host, at.Addr().AsSlice()) // Announce says that it is beside the provider
		if err := w.certify(host); err != nil {
			return err
		}
		for _, c := range []phonenet.Channel{phonenet.Message, phonenet.Call} {
			if err := w.gateway(r.name, c); err != nil {
				return err
			}
		}
	}
	for name, values := range texts {
		w.mail.DNS.SetTXT(name, values...)
	}
	return nil
}

// certify issues the certificate of a mail host.
func (w *World) certify(host string) error {
	c, err := w.mail.Certificate(host)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("around: %w", err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	return write(w.path(host+".pem"), append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...))
}

// gateway mounts the service that sends codes for a prover over a channel.
func (w *World) gateway(prover string, c phonenet.Channel) error {
	file := w.path(prover + "." + string(c) + ".token")
	token, err := keyfile.Token(file)
	if errors.Is(err, keyfile.ErrMissing) {
		token = rand.Text()
		err = write(file, []byte(token+"\n"))
	}
	if err != nil {
		return err
	}
	prefix := "/" + prover + "/" + string(c)
	w.routes.Handle(prefix+"/", http.StripPrefix(prefix, w.phones.NewGateway(prover, c, token).Handler()))
	return nil
}

func (w *World) path(name string) string { return filepath.Join(w.config.Dir, name) }

func (w *World) at(port int) string { return net.JoinHostPort(w.config.Address, strconv.Itoa(port)) }

// Run serves until ctx ends, and then ends the world.
func (w *World) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.server.Close() })
	defer stop()
	err := w.server.Serve(w.listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, w.identity.Close(), w.mail.Close(), w.phones.Close())
}

// Facts are what provers and people need to know of the world.
type Facts struct {
	Resolver string `json:"resolver"`
	OutPort  int    `json:"out_port"`
	Roots    string `json:"roots"`
	Desk     string `json:"desk"`
	Issuer   string `json:"issuer"`
	SignPort int    `json:"sign_port"`
}

// Facts returns them.
func (w *World) Facts() Facts {
	return Facts{
		Resolver: w.at(DNSPort), OutPort: MailPort, Roots: w.path("ca.pem"), Desk: "http://" + w.at(DeskPort),
		Issuer: w.identity.Issuer(), SignPort: w.identity.Port(),
	}
}

// Text is the same for people, with the settings of each prover.
func (w *World) Text() string {
	f := w.Facts()
	var b strings.Builder
	fmt.Fprintf(&b, "mailboxes and phones: %s\n", f.Desk)
	fmt.Fprintf(&b, "\nfederation.toml:\n  [[issuer]]\n  url = %q\n  clients = [%q]\n  domains = [%q]\n  handle = %q\n", f.Issuer, Client, w.config.Domain, idp.Handle)
	web := fmt.Sprintf("  [web]\n  roots = %q\n  port = %d\n  allow = [%q]\n", f.Roots, f.SignPort, w.config.Address+"/32")
	fmt.Fprintf(&b, "\nclient.toml of everybody:\n%s  resolver = %q\n", web, f.Resolver)
	for _, name := range slices.Sorted(maps.Keys(w.provers)) {
		fmt.Fprintf(&b, "\nprover.toml of %s:\n  resolver = %q\n  [mail]\n  out_port = %d\n  roots = %q\n", name, f.Resolver, f.OutPort, f.Roots)
		certificate := w.path(w.provers[name] + ".pem")
		fmt.Fprintf(&b, "  certificate = %q\n  certificate_key = %q\n", certificate, certificate)
		for _, c := range []phonenet.Channel{phonenet.Message, phonenet.Call} {
			fmt.Fprintf(&b, "  [%s]\n  url = %q\n  token = %q\n", c, f.Desk+"/"+name+"/"+string(c), w.path(name+"."+string(c)+".token"))
		}
		b.WriteString(web)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// write replaces a file that only its owner reads.
func write(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("around: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("around: %w", err)
	}
	return nil
}
