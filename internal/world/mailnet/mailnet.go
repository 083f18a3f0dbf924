// Package mailnet is the mail of a small outside world: a DNS server, mail
// providers with mailboxes, and the certificate authority that names their
// servers. The demo and the tests use it where a deployment uses the Internet.
//
// Nothing in it is a stand-in: names are resolved over UDP and TCP (RFC 1035),
// mail is delivered by SMTP with STARTTLS and verified certificates (RFC 5321,
// RFC 3207), and providers sign with DKIM (RFC 6376) under keys published in
// the zone. All sockets are on loopback, at any free port unless told; since MX records
// have no port, [Network.Port] says where a host listens.
//
// It can be told to misbehave: the DNS server fails, delays and drops; a
// provider signs too little, as somebody else, with an old key or not at all,
// and puts senders off. Without being told it behaves as a good provider does.
//
// It does not queue, filter or relay, and keeps everything in memory. Every
// method may be called at any time from any goroutine. Close ends everything.
package mailnet

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"whither/internal/smtpout"
)

// Errors.
var (
	ErrClosed    = errors.New("mailnet: closed")
	ErrTaken     = errors.New("mailnet: domain has a provider")
	ErrNoMailbox = errors.New("mailnet: no such mailbox")
	ErrSpoof     = errors.New("mailnet: a mailbox may send as itself only")
	ErrNoKey     = errors.New("mailnet: no such key")
	ErrMessage   = errors.New("mailnet: message cannot be answered or sent")
)

// Config configures a Network.
type Config struct {
	// Now is the clock of the world; nil: the system's. Signatures, dates and
	// certificates follow it; waiting on sockets does not.
	Now func() time.Time
	// Address is where everything listens, an address of loopback; empty:
	// 127.0.0.1.
	Address string
	// DNSPort and MailPort are for worlds whose parties have them in settings
	// files; zero: any free port. With a MailPort there is one provider.
	DNSPort, MailPort int
}

// Network is the mail of a world.
type Network struct {
	// DNS is the name server; its zone may be edited at any time.
	DNS *DNS

	now  func() time.Time
	at   Config
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu        sync.Mutex
	ports     map[string]int
	providers map[string]*Provider
	closed    bool
}

// loopback is where everything of a Network listens unless it is told otherwise.
const loopback = "127.0.0.1"

// New starts a network without providers.
func New(c Config) (*Network, error) {
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default of a world that nobody gave a clock
	}
	c.Address = cmp.Or(c.Address, loopback)
	n := &Network{now: c.Now, at: c, ports: make(map[string]int), providers: make(map[string]*Provider)}
	if err := n.makeRoot(); err != nil {
		return nil, err
	}
	dns, err := startDNS(c.Address, c.DNSPort)
	if err != nil {
		return nil, err
	}
	n.DNS = dns
	return n, nil
}

// Close stops the providers and the name server, and waits for them.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	providers := n.providers
	n.providers = nil
	n.mu.Unlock()
	var errs []error
	for _, p := range providers {
		errs = append(errs, p.stop())
	}
	return errors.Join(append(errs, n.DNS.Close())...)
}

// Announce makes host a name of loopback and remembers the port of its mail
// server, for one that is not a Provider of this network.
func (n *Network) Announce(host string, port int) {
	n.mu.Lock()
	n.ports[host] = port
	n.mu.Unlock()
	n.DNS.SetA(host, net.ParseIP(n.at.Address))
}

// Port returns the port of a mail server, [smtpout.DefaultPort] if nobody
// announced it.
func (n *Network) Port(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if port, ok := n.ports[host]; ok {
		return port
	}
	return smtpout.DefaultPort
}

// Client returns a client that sends mail in this network as the host hello.
func (n *Network) Client(hello string) *smtpout.Client {
	return &smtpout.Client{
		Hello: hello, Roots: n.Roots(), Resolver: n.DNS.Resolver(), Port: n.Port, Now: n.now, Timeout: 10 * time.Second,
	}
}

// Provider returns the provider of a domain, nil if there is none.
func (n *Network) Provider(domain string) *Provider {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.providers[domain]
}

// LookupKey returns the TXT records at selector._domainkey.domain, as an
// observer in this network sees them.
func (n *Network) LookupKey(ctx context.Context, domain, selector string) ([]string, error) {
	return n.DNS.Resolver().LookupTXT(ctx, keyName(domain, selector)+".")
}

func keyName(domain, selector string) string { return selector + "._domainkey." + domain }

// validity is that of every certificate here: a world's clock may jump.
const validity = 50 * 365 * 24 * time.Hour

func (n *Network) makeRoot() error {
	var err error
	if n.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return fmt.Errorf("mailnet: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mailnet root"},
		NotBefore: n.now().Add(-validity), NotAfter: n.now().Add(validity),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, n.key.Public(), n.key)
	if err != nil {
		return fmt.Errorf("mailnet: %w", err)
	}
	if n.root, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("mailnet: %w", err)
	}
	return nil
}

// Roots returns the authorities of this world.
func (n *Network) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(n.root)
	return pool
}

// RootPEM returns the certificate of the one authority of this world.
func (n *Network) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.root.Raw})
}

// Certificate issues a server certificate for the hosts, names or addresses.
func (n *Network) Certificate(hosts ...string) (tls.Certificate, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("mailnet: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("mailnet: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(2)),
		NotBefore:    n.root.NotBefore, NotAfter: n.root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.root, k.Public(), n.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("mailnet: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}, nil
}
