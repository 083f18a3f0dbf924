package world

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"time"

	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/sipin"
	"whither/internal/world/phonenet"
	"whither/possession/stir/chain"
	"whither/registry"
)

// repository is where the carriers of this world publish their certificates.
const repository = "certificates.example"

// carrier is a carrier of this world: a party of the federation that issues
// numbers, and runs no server for it.
type carrier struct {
	name, operator, code string
	prefixes             []string
}

// carriers lists the carriers: every number that begins so is with one of them.
func carriers() []carrier {
	return []carrier{
		{"carrier-a.example", "telephone-a.example", "4101", []string{"+4177", "+4178", "+4179"}},
		{"carrier-b.example", "telephone-b.example", "4102", []string{"+4174", "+4175", "+4176"}},
	}
}

// startPhones starts the telephone network: phones, carriers, and the root of
// their certificates, which is new at each start.
func (w *World) startPhones(ctx context.Context) error {
	w.Phones = phonenet.New(w.config.Now)
	w.closers = append(w.closers, w.Phones.Close)
	for _, n := range w.numbers() {
		w.Phones.Connect(n)
	}
	var err error
	w.Carriers, err = w.Phones.StartCarriers(ctx, phonenet.CarriersConfig{Repository: repository, Certificate: w.Mail.Certificate})
	if err != nil {
		return err
	}
	w.Mail.Announce(repository, w.Carriers.Port())
	for _, c := range carriers() {
		if _, err := w.Carriers.Add(c.name, c.code, c.prefixes...); err != nil {
			return err
		}
	}
	if w.Operator, err = w.Phones.AddOperator(ctx, simPrefix); err != nil {
		return err
	}
	if err := writeNew(w.simToken(), []byte(w.Operator.Token()+"\n")); err != nil {
		return err
	}
	return os.WriteFile(w.telephoneRoots(), chain.FormatPEM([][]byte{w.Carriers.Root(), w.Carriers.AuthorityRoot()}), 0o600)
}

// simPrefix begins the numbers whose operator says whether SIM cards were changed.
const simPrefix = "+41"

// simToken is the file that signs the provers in at that operator.
func (w *World) simToken() string { return w.Path("sim.token") }

// simSettings are the provers' settings for it.
func (w *World) simSettings() daemon.SIMSettings {
	return daemon.SIMSettings{Operators: []daemon.OperatorSettings{{Prefix: simPrefix, URL: w.Operator.URL(), Token: w.simToken()}}}
}

// telephoneRoots is the file with the roots of the telephone world: that of its
// carriers, and that of authorities over numbers.
func (w *World) telephoneRoots() string { return w.Path("telephone.pem") }

// anchor is a root that the federation believes about all numbers.
func anchor(root []byte) []registry.Anchor {
	digest := sha256.Sum256(root)
	return []registry.Anchor{{Digest: digest[:]}}
}

// entry is a carrier's grant, which ties its code to its numbers, and its self
// record.
func (c carrier) entry(w *World, since, now time.Time) (registry.Entry, error) {
	id, err := registry.ParsePartyID(c.name)
	if err != nil {
		return registry.Entry{}, err
	}
	dir := w.Path(c.name)
	keys, err := party.Load(dir)
	if errors.Is(err, keyfile.ErrMissing) {
		keys, err = party.Make(dir, id, now)
	}
	if err != nil {
		return registry.Entry{}, err
	}
	operator, err := registry.ParseOperator(c.operator)
	if err != nil {
		return registry.Entry{}, err
	}
	self, err := keys.Self(id, registry.RoleCSIP, "https://"+c.name, nil, since, now)
	if err != nil {
		return registry.Entry{}, err
	}
	return registry.Entry{Self: self, Grant: registry.Grant{
		ID: id, Operator: operator, OperatorKey: keys.Operator.Public(), Roles: []registry.Role{registry.RoleCSIP},
		Schemes: []string{"tel"}, Ranges: c.prefixes, Codes: []string{c.code}, Jurisdictions: []string{"CH"},
		Standing: registry.Standing{State: registry.Active, Since: since.Unix()},
	}}, nil
}

// numbers are how the numbers begin that lead to each prover.
var numbers = map[string]string{ProverA: "+41445551", ProverB: "+41445552"}

// joinPhones gives a prover sockets for SIP, at one port, and tells the carriers.
func (w *World) joinPhones(ctx context.Context, m *member, s *daemon.Settings) (sipin.Listeners, error) {
	for try := 0; ; try++ {
		tcp, err := listen(ctx)
		if err != nil {
			return sipin.Listeners{}, err
		}
		at := tcp.Addr().String()
		var lc net.ListenConfig
		udp, err := lc.ListenPacket(ctx, "udp", at)
		if err != nil {
			if err = errors.Join(err, tcp.Close()); try < 5 {
				continue // the port was free for the one only
			}
			return sipin.Listeners{}, err
		}
		s.SIP = daemon.SIPSettings{Listen: at, Host: at, Media: "127.0.0.1", Numbers: numbers[m.name] + "xxxxxx"}
		w.Carriers.Route(m.name, at)
		w.Carriers.RouteNumbers(numbers[m.name], m.name)
		return sipin.Listeners{UDP: udp, TCP: tcp}, nil
	}
}
