package daemon

import (
	"cmp"
	"fmt"
	"net"

	"whither/internal/fetch"
	"whither/internal/limit"
	"whither/internal/party"
	"whither/registry"
)

// Settings is prover.toml. Paths are relative to the folder of the file.
type Settings struct {
	// Its party is also the domain that challenges come from.
	party.Settings

	// Resolver is the name server that is asked for mail servers and DKIM keys,
	// host:port; empty: the system's. What it says is believed, so it should be
	// on this machine and validate DNSSEC.
	Resolver string       `toml:"resolver"`
	Mail     MailSettings `toml:"mail"`
	Limits   Limits       `toml:"limits"`
	SIM      SIMSettings  `toml:"sim"`
	// Web is how this prover reaches servers of the outside world: OpenID
	// providers that the registry names, which publish keys. Without a resolver of
	// its own it has this prover's.
	Web fetch.Settings `toml:"web"`
	// SMIME is what certificates of mailboxes are judged by.
	SMIME SMIMESettings `toml:"smime"`
	// STIR and SIP are this prover's part in the telephone world.
	STIR STIRSettings `toml:"stir"`
	SIP  SIPSettings  `toml:"sip"`
	// Message and Call are the operators' services that send codes; without
	// one, this prover sends none over that channel.
	Message CourierSettings `toml:"message"`
	Call    CourierSettings `toml:"call"`
}

// CourierSettings is a table message or call: a service in the manner of
// CAMARA's OTPValidation.
type CourierSettings struct {
	// URL is the base of send-code and validate-code, https.
	URL string `toml:"url"`
	// Token is the file with the token that signs this prover in there.
	Token string `toml:"token"`
}

// MailSettings is the table mail.
type MailSettings struct {
	// Host is the mail server's own name; empty: "mx." and the party.
	Host string `toml:"host"`
	// Listen is the address for mail servers; empty: ":25".
	Listen string `toml:"listen"`
	// Certificate and CertificateKey are files, read again when they change;
	// empty: keys/mail.pem for both.
	Certificate    string `toml:"certificate"`
	CertificateKey string `toml:"certificate_key"`
	// Selector is where the DKIM key is published; empty: "whither".
	Selector string `toml:"selector"`
	// OutPort is the port of the mail servers of the world; zero: 25.
	OutPort int `toml:"out_port"`
	// Roots is a file with the authorities that the mail servers of the world
	// have their certificates from, in PEM; empty: the system's.
	Roots string `toml:"roots"`
}

// Limits is the table limits: challenges in an hour. All zero: the defaults of
// package prover; otherwise each is at least 1.
type Limits struct {
	PerCSI    int `toml:"per_csi"`
	PerDomain int `toml:"per_domain"`
	// PerCountry bounds codes to the numbers of one country.
	PerCountry int `toml:"per_country"`
	PerKey     int `toml:"per_key"`
	Total      int `toml:"total"`
}

// Names of what lies in a prover's folder.
const (
	SettingsFile = "prover.toml"
	databaseFile = "prover.db"
	dkimFile     = "keys/dkim.pem"
	mailFile     = "keys/mail.pem"
)

// ReadSettings reads a settings file, strictly, and fills in what is empty.
func ReadSettings(path string) (Settings, error) {
	var s Settings
	if err := party.Decode(path, &s); err != nil {
		return Settings{}, fmt.Errorf("daemon: %w", err)
	}
	s = s.Filled()
	return s, s.check()
}

// Filled returns the settings with what is empty filled in.
func (s Settings) Filled() Settings {
	s.Settings = s.WithDefaults()
	for _, d := range []struct {
		value *string
		empty string
	}{
		{&s.Mail.Host, "mx." + s.Party},
		{&s.Mail.Listen, ":25"},
		{&s.Mail.Selector, "whither"},
		{&s.Mail.Certificate, mailFile},
		{&s.Mail.CertificateKey, mailFile},
		{&s.SIP.Host, "sip." + s.Party},
	} {
		*d.value = cmp.Or(*d.value, d.empty)
	}
	s.SIP.Certificate = cmp.Or(s.SIP.Certificate, s.Mail.Certificate)
	s.SIP.CertificateKey = cmp.Or(s.SIP.CertificateKey, s.Mail.CertificateKey)
	if s.Limits == (Limits{}) {
		s.Limits = Limits(limit.DefaultBounds())
	}
	return s
}

func (s Settings) check() error {
	wrong := func(what, want string) error { return fmt.Errorf("daemon: %s: %s: want %s", SettingsFile, what, want) }
	if _, err := s.ID(); err != nil {
		return fmt.Errorf("daemon: %s: %w", SettingsFile, err)
	}
	if _, err := registry.ParsePartyID(s.Mail.Host); err != nil {
		return wrong("mail.host", "a DNS name in lower case")
	}
	if s.Resolver != "" {
		if _, _, err := net.SplitHostPort(s.Resolver); err != nil {
			return wrong("resolver", "host:port")
		}
	}
	if s.Mail.OutPort < 0 || s.Mail.OutPort > 65535 {
		return wrong("mail.out_port", "1 to 65535")
	}
	if l := s.Limits; min(l.PerCSI, l.PerDomain, l.PerKey, l.Total) < 1 {
		return wrong("limits", "all four, each at least 1, or none")
	}
	return s.checkSIP()
}
