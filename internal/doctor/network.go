package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"whither/client/disclosed"
	"whither/disclosure"
	"whither/internal/pinned"
	"whither/registry"
	"whither/wire"
)

// certificate checks that a certificate names who it should and is in force.
func (r *Report) certificate(check, file, name string, now time.Time) {
	b, err := os.ReadFile(file)
	if err != nil {
		r.wrong(check, "restore it from the backup", "%v", err)
		return
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "CERTIFICATE" {
		r.wrong(check, "restore it from the backup", "the file does not begin with a certificate")
		return
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.wrong(check, "restore it from the backup", "%v", err)
		return
	}
	r.inForce(check, leaf, name, now)
}

func (r *Report) inForce(check string, leaf *x509.Certificate, name string, now time.Time) {
	const renew = "put a new certificate in its place; for keys/tls.pem that is a new key, which the registry must list first"
	left := leaf.NotAfter.Sub(now)
	switch {
	case leaf.VerifyHostname(name) != nil:
		r.wrong(check, renew, "the certificate is not for %s", name)
	case now.Before(leaf.NotBefore):
		r.wrong(check, "check this machine's clock", "the certificate is good from %s on", leaf.NotBefore.UTC().Format(time.DateTime))
	case left < 0:
		r.wrong(check, renew, "the certificate ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case left < renewBefore:
		r.warn(check, renew, "the certificate ends in %s", span(left))
	default:
		r.ok(check, "the certificate is for %s and good until %s", name, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// port checks that an address is free, or taken by this party's own daemon.
func (r *Report) port(ctx context.Context, p port, all []port, pin [32]byte) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.address)
	if err == nil {
		_ = l.Close()
		r.ok(p.name, "%s is free; the daemon does not run", p.address)
		return
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && serves(ctx, all[0].address, pin):
		r.ok(p.name, "%s is taken, and this party's daemon runs", p.address)
	case errors.Is(err, syscall.EADDRINUSE):
		r.wrong(p.name, "end the other program, or give another address in the settings", "%s is taken by another program", p.address)
	case errors.Is(err, syscall.EACCES):
		r.warn(p.name, "let the daemon listen there (CAP_NET_BIND_SERVICE), or forward the port", "this user may not listen on %s", p.address)
	default:
		r.wrong(p.name, "give an address of this machine in the settings", "%v", err)
	}
}

// serves reports whether a server with that TLS key answers.
func serves(ctx context.Context, address string, pin [32]byte) bool {
	state, err := handshake(ctx, address, 0)
	return err == nil && pinned.Pin(state.PeerCertificates[0]) == pin
}

// handshake connects to whoever is there. highest is the newest version that
// is offered, zero for any.
func handshake(ctx context.Context, address string, highest uint16) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent; who answers is what the doctor wants to find out
		MinVersion:         tls.VersionTLS12, MaxVersion: highest,
	}}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = c.Close() }()
	secure, ok := c.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, errors.New("doctor: not a TLS connection")
	}
	return secure.ConnectionState(), nil
}

// Target checks a server from outside, against a registry.
func Target(ctx context.Context, target, registryFile, rootFile string, now time.Time) (Report, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		return nil, errors.New("doctor: want a URL as https://dp.example:8443")
	}
	var r Report
	reg := r.registryOf(registryFile, rootFile, now)
	if reg == nil {
		return r, nil
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "443")
	}
	state, err := handshake(ctx, address, 0)
	if err != nil {
		r.wrong("reachable", "start the daemon; look at its listen address, the firewall and DNS", "no TLS server at %s: %v", address, err)
		return r, nil
	}
	r.ok("reachable", "a TLS server answers at %s", address)
	_, err = handshake(ctx, address, tls.VersionTLS12)
	if state.Version != tls.VersionTLS13 || err == nil {
		r.wrong("tls", "let the daemon itself end TLS: what stands before it takes older versions", "the server takes TLS 1.2")
	} else {
		r.ok("tls", "TLS 1.3 and nothing older")
	}
	leaf := state.PeerCertificates[0]
	p, ok := reg.ByPin(pinned.Pin(leaf))
	if !ok {
		r.wrong("pin", "let nothing stand between that ends TLS; if the key is new, have it listed first", "the registry lists nobody with the server's key")
		return r, nil
	}
	r.ok("pin", "the key is listed, of %s (%s)", p.ID, p.Standing.State)
	r.inForce("id", leaf, p.ID.String(), now)
	if p.Self.Endpoint != target {
		r.warn("endpoint", "have the endpoint listed under which others reach the server", "the registry lists %s", p.Self.Endpoint)
	} else {
		r.ok("endpoint", "as the registry lists it")
	}
	r.header(ctx, reg, p, target, now)
	if p.Has(registry.RoleDP) && p.Self.Endpoint == target {
		r.disclosure(ctx, reg, p, now)
	}
	return r, nil
}

// disclosure compares what a DP says of itself with what the registry names.
func (r *Report) disclosure(ctx context.Context, reg *registry.Snapshot, p registry.Party, now time.Time) {
	const check = "disclosure"
	const mend = "have whither-dp disclosure apply make an application, and the federation admit it"
	ctx, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	reader := disclosed.New(func() *registry.Snapshot { return reg }, func() time.Time { return now })
	defer reader.Close()
	d, err := reader.Of(ctx, p.ID)
	switch {
	case errors.Is(err, pinned.ErrSplitView), errors.Is(err, pinned.ErrStamp): // found already
	case errors.Is(err, disclosure.ErrAbsent):
		r.warn(check, mend, "the registry does not name what the DP discloses")
	case err != nil:
		r.wrong(check, mend, "%v", err)
	default:
		r.ok(check, "as the registry names it; it keeps data in %s, and a signature is good for %s",
			strings.Join(d.Residency, " "), span(time.Duration(d.Retention.Signature)*time.Second))
	}
}

// header compares the registry and the clock that a server works with.
func (r *Report) header(ctx context.Context, reg *registry.Snapshot, p registry.Party, target string, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies the pin
			VerifyConnection: func(s tls.ConnectionState) error {
				if owner, ok := reg.ByPin(pinned.Pin(s.PeerCertificates[0])); !ok || owner.ID != p.ID {
					return pinned.ErrPin
				}
				return nil
			},
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target+wire.PathRegistry, nil)
	if err != nil {
		r.wrong("answer", "look at the daemon's log", "%v", err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		r.wrong("answer", "look at the daemon's log", "%v", err)
		return
	}
	_ = resp.Body.Close()
	r.stamp(reg, resp.Header.Get(wire.HeaderRegistry))
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		if drift := at.Sub(now).Round(time.Second); drift.Abs() > maxDrift {
			r.warn("clocks", "set both clocks by NTP", "the server's clock is %s from this one", drift)
		} else {
			r.ok("clocks", "the server's clock agrees with this one")
		}
	}
}

// stamp compares the header Whither-Registry with the registry at hand.
func (r *Report) stamp(reg *registry.Snapshot, header string) {
	const check = "server's registry"
	var version uint64
	var digest string
	if n, err := fmt.Sscanf(header, "%d; %s", &version, &digest); err != nil || n != 2 {
		r.wrong(check, "let nothing stand before the daemon that takes headers away", "the answer does not say which registry it works with")
		return
	}
	own := reg.Digest()
	switch {
	case version < reg.Version():
		r.warn(check, "give the server the newer registry", "the server has version %d, this is %d", version, reg.Version())
	case version > reg.Version():
		r.warn(check, "fetch the newer registry", "the server has version %d, this is %d", version, reg.Version())
	case digest != hex.EncodeToString(own[:]):
		r.wrong(check, "keep both files and tell the federation: one was made for somebody alone", "the server has another registry of the same version")
	default:
		r.ok(check, "version %d, the same", version)
	}
}
