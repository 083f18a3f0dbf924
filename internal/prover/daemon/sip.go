package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"whither/internal/certfetch"
	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/prover"
	"whither/internal/prover/bysip"
	"whither/internal/prover/bystir"
	"whither/internal/sipin"
)

// STIRSettings is the table stir: whom this prover believes in the telephone
// world. Without roots, what carriers sign does not count here.
type STIRSettings struct {
	// Roots is a file with the roots of carriers' and token authorities'
	// certificates, in PEM. Those count that the registry names.
	Roots string `toml:"roots"`
	// CertificateHosts are the hosts from which signers' certificates are fetched;
	// none: every public one.
	CertificateHosts []string `toml:"certificate_hosts"`
}

// SIPSettings is the table sip: where phones reach this prover. It needs the
// table stir.
type SIPSettings struct {
	// Listen is the address for carriers, by UDP and by TCP, usually ":5060"; empty:
	// nothing comes by SIP.
	Listen string `toml:"listen"`
	// ListenTLS is the address for carriers by TLS, usually ":5061"; empty: none.
	ListenTLS string `toml:"listen_tls"`
	// Host is where carriers find this prover, host or host:port; empty: "sip." and
	// the party.
	Host string `toml:"host"`
	// Certificate and CertificateKey are files for ListenTLS, read again when they
	// change; empty: those of the table mail.
	Certificate    string `toml:"certificate"`
	CertificateKey string `toml:"certificate_key"`
	// Numbers is a block of telephone numbers that the operator leads to this
	// address, as "+4144555xxxxxx", with 6 to 10 x: each call that is asked for gets
	// one of its own, and people dial it. Empty: calls go to SIP addresses.
	Numbers string `toml:"numbers"`
	// Media is the IP address for the sound of calls, to which carriers send RTP at
	// any port; empty: calls are not taken, messages are.
	Media string `toml:"media"`
	// Announcement is a file with what callers hear: G.711 µ-law at 8,000 samples a
	// second, without a header. Empty: silence. It should say that the code lets a
	// key answer for the caller's number, and to hang up if she has none.
	Announcement string `toml:"announcement"`
}

// maxAnnouncement is one minute, in bytes.
const maxAnnouncement = 480_000

func (s Settings) checkSIP() error {
	wrong := func(what, want string) error { return fmt.Errorf("daemon: %s: %s: want %s", SettingsFile, what, want) }
	switch {
	case s.SIP.Listen == "" && (s.SIP.ListenTLS != "" || s.SIP.Media != "" || s.SIP.Announcement != ""):
		return wrong("sip.listen", "an address, or nothing else in this table")
	case s.SIP.Listen != "" && s.STIR.Roots == "":
		return wrong("stir.roots", "a file, since sip.listen is set")
	case s.SIP.Media != "" && net.ParseIP(s.SIP.Media) == nil:
		return wrong("sip.media", "an IP address")
	case (s.SIP.Announcement != "" || s.SIP.Numbers != "") && s.SIP.Media == "":
		return wrong("sip.media", "an IP address, since sip.announcement or sip.numbers is set")
	case slices.Contains(s.STIR.CertificateHosts, ""):
		return wrong("stir.certificate_hosts", "names of hosts")
	}
	return nil
}

// telephone is a prover's part in the telephone world.
type telephone struct {
	methods []prover.Method
	phone   *bysip.SIP    // nil: nothing comes by SIP
	files   *fetch.Client // nil: likewise
}

// close drops what is open.
func (t telephone) close() {
	if t.files != nil {
		t.files.Close()
	}
}

// openSTIR prepares what is judged of the telephone world, and the phone.
func openSTIR(dir string, s Settings, o Options, m party.Member) (telephone, error) {
	if s.STIR.Roots == "" {
		return telephone{}, nil
	}
	roots, err := keyfile.Certificates(party.In(dir, s.STIR.Roots))
	if err != nil {
		return telephone{}, fmt.Errorf("daemon: %s: stir.roots: %w", SettingsFile, err)
	}
	trust := bystir.Trust{Snapshot: m.Registry.Snapshot}
	for _, r := range roots {
		trust.Certificates = append(trust.Certificates, r.Raw)
	}
	t := telephone{methods: []prover.Method{bystir.Method(bystir.Config{Party: m.ID, Trust: trust})}}
	if s.SIP.Listen == "" {
		return t, nil
	}
	web, err := s.WebConfig(dir, o.Now)
	if err != nil {
		return telephone{}, err
	}
	c := bysip.Config{Party: m.ID, Trust: trust, Numbers: s.SIP.Numbers, Now: o.Now, Log: o.Log}
	if c.SIP, err = openSIP(dir, s.SIP, o); err != nil {
		return telephone{}, err
	}
	t.files = fetch.New(web)
	c.Certificates = certfetch.New(certfetch.Config{Fetch: t.files, Hosts: s.STIR.CertificateHosts, Now: o.Now})
	if t.phone, err = bysip.New(c); err != nil {
		return telephone{}, fmt.Errorf("daemon: %s: sip: %w", SettingsFile, err)
	}
	t.methods = append(t.methods, t.phone.Method())
	return t, nil
}

// openSIP reads what the table sip names.
func openSIP(dir string, s SIPSettings, o Options) (sipin.Config, error) {
	c := sipin.Config{Contact: s.Host, Media: s.Media}
	if s.Announcement != "" {
		sound, err := os.ReadFile(party.In(dir, s.Announcement))
		if err == nil && len(sound) > maxAnnouncement {
			err = errors.New("it is longer than a minute")
		}
		if err != nil {
			return sipin.Config{}, fmt.Errorf("daemon: %s: sip.announcement: %w", SettingsFile, err)
		}
		c.Announcement = sound
	}
	if s.ListenTLS == "" {
		return c, nil
	}
	own := &certificate{cert: party.In(dir, s.Certificate), key: party.In(dir, s.CertificateKey), log: o.Log}
	if _, err := own.get(); err != nil {
		return sipin.Config{}, err
	}
	c.TLS = &tls.Config{
		MinVersion: tls.VersionTLS12, // carriers are not the federation's
		Time:       o.Now, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.get() },
	}
	return c, nil
}

// listenSIP opens the sockets for carriers.
func listenSIP(ctx context.Context, s SIPSettings) (sipin.Listeners, error) {
	if s.Listen == "" {
		return sipin.Listeners{}, nil
	}
	sockets := []party.Socket{{Setting: "sip.listen", Address: s.Listen}}
	if s.ListenTLS != "" {
		sockets = append(sockets, party.Socket{Setting: "sip.listen_tls", Address: s.ListenTLS})
	}
	open, err := party.Listen(ctx, sockets...)
	if err != nil {
		return sipin.Listeners{}, err
	}
	l := sipin.Listeners{TCP: open[0]}
	if len(open) > 1 {
		l.TLS = open[1]
	}
	// SIP has one port for both; where any free one was asked for, too.
	var config net.ListenConfig
	if l.UDP, err = config.ListenPacket(ctx, "udp", l.TCP.Addr().String()); err != nil {
		for _, one := range open {
			err = errors.Join(err, one.Close())
		}
		return sipin.Listeners{}, fmt.Errorf("sip.listen: %w", err)
	}
	return l, nil
}

// sipRecords say where SIP for the party's domain goes (RFC 3263): by TLS first,
// by UDP last.
func sipRecords(domain string, s SIPSettings) []Record {
	if s.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s.Host)
	if err != nil {
		host, port = s.Host, "5060"
	}
	var out []Record
	if s.ListenTLS != "" {
		secure := "5061"
		if _, p, err := net.SplitHostPort(s.ListenTLS); err == nil {
			secure = p
		}
		out = append(out, Record{"_sips._tcp." + domain, "SRV", "10 10 " + secure + " " + host})
	}
	return append(out, Record{"_sip._tcp." + domain, "SRV", "10 10 " + port + " " + host},
		Record{"_sip._udp." + domain, "SRV", "20 10 " + port + " " + host})
}
