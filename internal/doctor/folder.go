package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"whither/internal/dp"
	"whither/internal/keyfile"
	"whither/internal/msp"
	watch "whither/internal/observer/daemon"
	"whither/internal/party"
	"whither/internal/prover/daemon"
	"whither/internal/sqlstore/vault"
	"whither/key"
	"whither/registry"
)

// ErrFolder: the folder is nobody's.
var ErrFolder = errors.New("doctor: want a folder with dp.toml, msp.toml, prover.toml, observer.toml or client.toml")

// mendSettings is what to do about a settings file that does not read.
const mendSettings = "mend the line that it names; docs/operate.md shows every settings file"

// subject is a party's folder as its settings describe it.
type subject struct {
	dir      string
	role     registry.Role
	party    string
	registry string
	root     string
	ports    []port
	// keys are the checks of secrets beyond those of every party.
	keys []secret
	// more are the checks of one role, after the registry's.
	more func(*Report, *registry.Snapshot, time.Time)
}

// port is an address to listen on.
type port struct{ name, address string }

// secret is a file that opens or does not.
type secret struct {
	name string
	open func() error
}

// Folder checks the folder of a party.
func Folder(ctx context.Context, dir string, now time.Time) (Report, error) {
	var r Report
	for _, known := range []struct {
		file string
		read func(dir, path string) (subject, error)
	}{{dp.SettingsFile, readDP}, {msp.SettingsFile, readMSP}, {daemon.SettingsFile, readProver}, {watch.SettingsFile, readObserver}} {
		path := filepath.Join(dir, known.file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := known.read(dir, path)
		if err != nil {
			r.wrong("settings", mendSettings, "%v", err)
			return r, nil
		}
		s.examine(ctx, &r, now)
		return r, nil
	}
	return nil, ErrFolder
}

func readDP(dir, path string) (subject, error) {
	s, err := dp.ReadSettings(path)
	return subject{
		dir: dir, role: registry.RoleDP, party: s.Party, registry: s.Registry, root: s.Root,
		ports: []port{{"listen", s.Listen}, {"operations", s.Operations}},
		keys:  []secret{offerKey(dir), rowKeys(dir)},
	}, err
}

func readMSP(dir, path string) (subject, error) {
	s, err := msp.ReadSettings(path)
	return subject{
		dir: dir, role: registry.RoleMSP, party: s.Party, registry: s.Registry, root: s.Root,
		ports: []port{{"listen", s.Listen}, {"operations", s.Operations}},
		keys:  []secret{offerKey(dir)},
		more:  func(r *Report, reg *registry.Snapshot, _ time.Time) { r.asked(reg, s.Party, s.DP) },
	}, err
}

func offerKey(dir string) secret {
	return secret{"keys/offer.key", func() error { _, err := keyfile.ReadSecret(filepath.Join(dir, "keys", "offer.key")); return err }}
}

func rowKeys(dir string) secret {
	return secret{"keys/row.key and kek", func() error { _, err := vault.LoadKeys(dir); return err }}
}

// examine carries out the checks of a party's folder.
func (s subject) examine(ctx context.Context, r *Report, now time.Time) {
	id, err := registry.ParsePartyID(s.party)
	if err != nil {
		r.wrong("settings", "party is the DNS name under which the registry lists you", "party: %v", err)
		return
	}
	r.ok("settings", "%s, of role %s", id, s.role)
	s.secrets(r)
	keys, err := party.Load(s.dir)
	if err != nil {
		return // said already
	}
	r.certificate("tls", filepath.Join(s.dir, "keys", "tls.pem"), s.party, now)
	reg := r.registryOf(s.in(s.registry), s.in(s.root), now)
	if reg != nil {
		r.listed(reg, id, s.role, keys, now)
	}
	if s.more != nil {
		s.more(r, reg, now)
	}
	for _, p := range s.ports {
		r.port(ctx, p, s.ports, keys.TLS.Pin())
	}
}

// secrets opens every key of the folder.
func (s subject) secrets(r *Report) {
	file := func(name string) string { return filepath.Join(s.dir, "keys", name) }
	all := append([]secret{
		{"keys/operator.pem", func() error { _, err := keyfile.Signing(file("operator.pem")); return err }},
		{"keys/sign.pem", func() error { _, err := keyfile.Signing(file("sign.pem")); return err }},
		{"keys/tls.pem", func() error { _, err := keyfile.TLS(file("tls.pem")); return err }},
	}, s.keys...)
	r.open(all)
	if info, err := os.Stat(s.dir); err == nil && info.Mode().Perm()&0o022 != 0 {
		r.wrong("folder", "chmod 700 the folder, and look at what lies in it", "others can put files into it: mode %o", info.Mode().Perm())
	}
}

// open opens secrets and says which do not open.
func (r *Report) open(all []secret) {
	bad := false
	for _, k := range all {
		if err := k.open(); err != nil {
			bad = true
			r.wrong("keys", mendKey(err), "%s: %v", k.name, err)
		}
	}
	if !bad {
		r.ok("keys", "all %d open, and only their owner reads them", len(all))
	}
}

// listed checks that the registry says of the party what the folder holds.
func (r *Report) listed(reg *registry.Snapshot, id registry.PartyID, role registry.Role, keys party.Keys, now time.Time) {
	const again = "give the federation the folder's application anew, and fetch the registry that it signs then"
	p, ok := reg.Party(id)
	if !ok {
		r.wrong("member", "give the federation the folder's application; whither party made it", "%s is not in the registry", id)
		return
	}
	switch {
	case !p.Has(role):
		r.wrong("member", "ask the federation for the role", "the registry does not give %s the role %s", id, role)
	case p.Standing.State != registry.Active:
		r.wrong("member", "speak with the federation", "%s is %s", id, p.Standing.State)
	case p.OperatorKey != keys.Operator.Public():
		r.wrong("member", again, "the registry lists another operator key of %s", id)
	default:
		r.ok("member", "%s is active as %s, run by %s, at %s", id, role, p.Operator, p.Self.Endpoint)
	}
	r.signer(reg, id, role, keys.Sign.Public(), again, now)
	if owner, ok := reg.ByPin(keys.TLS.Pin()); !ok || owner.ID != id {
		r.wrong("pin", again, "the registry does not list the TLS key of this folder")
	} else {
		r.ok("pin", "the registry lists the TLS key of this folder")
	}
}

func (r *Report) signer(reg *registry.Snapshot, id registry.PartyID, role registry.Role, k key.Public, again string, now time.Time) {
	s, ok := reg.Signer(k.ID())
	switch {
	case !ok || s.Party.ID != id || s.Key.Public != k:
		r.wrong("key", again, "the registry does not list the signing key of this folder")
	case s.Key.Role != role:
		r.wrong("key", again, "the registry lists the signing key for the role %s", s.Key.Role)
	case !s.InForce(now):
		r.wrong("key", again, "the registry lists the signing key for another time")
	default:
		r.ok("key", "the registry lists the signing key of this folder")
	}
}

// asked checks the DP that an MSP asks: it must not be of the MSP's operator,
// which would see both ends (R14).
func (r *Report) asked(reg *registry.Snapshot, own, name string) {
	id, err := registry.ParsePartyID(name)
	if err != nil {
		r.wrong("dp", "dp is the DNS name under which the registry lists the DP", "dp: %v", err)
		return
	}
	if reg == nil {
		return
	}
	self, _ := registry.ParsePartyID(own) // examine has parsed it
	me, _ := reg.Party(self)
	p, ok := reg.Party(id)
	switch {
	case !ok || !p.Has(registry.RoleDP) || p.Standing.State != registry.Active:
		r.wrong("dp", "choose a DP of whither registry show", "%s is no active DP", id)
	case p.Operator == me.Operator:
		r.wrong("dp", "choose a DP of another operator, or nobody's question stays hidden", "%s is run by the same operator", id)
	default:
		r.ok("dp", "asks %s, run by %s", id, p.Operator)
	}
}

// in resolves a path of the settings.
func (s subject) in(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, path)
}

// Person is what a person's settings say.
type Person struct {
	Dir  string
	DP   string
	MSPs []string
	// Tokens are the files of the accounts' tokens, relative to Dir.
	Tokens []string
	// Settings is why the settings could not be read, nil if they could.
	Settings error
}

// Examine checks the folder of a person.
func (p Person) Examine(now time.Time) Report {
	var r Report
	if p.Settings != nil {
		r.wrong("settings", mendSettings, "client.toml: %v", p.Settings)
		return r
	}
	r.ok("settings", "a person's; accounts: %d", len(p.MSPs))
	all := []secret{{"keys/holder.pem", func() error { _, err := keyfile.Signing(filepath.Join(p.Dir, "keys", "holder.pem")); return err }}}
	for _, t := range p.Tokens {
		all = append(all, secret{t, func() error { _, err := keyfile.Token(filepath.Join(p.Dir, t)); return err }})
	}
	r.open(all)
	reg := r.registryOf(filepath.Join(p.Dir, "registry.set"), filepath.Join(p.Dir, "root.json"), now)
	if reg == nil {
		return r
	}
	r.active(reg, "dp", p.DP, registry.RoleDP)
	for _, m := range p.MSPs {
		r.active(reg, "account", m, registry.RoleMSP)
	}
	return r
}

// active checks that the settings name a party that can be spoken to.
func (r *Report) active(reg *registry.Snapshot, check, name string, role registry.Role) {
	id, err := registry.ParsePartyID(name)
	if err != nil {
		r.wrong(check, "write the party's DNS name", "%q: %v", name, err)
		return
	}
	p, ok := reg.Party(id)
	if !ok || !p.Has(role) || p.Standing.State != registry.Active {
		r.wrong(check, fmt.Sprintf("choose an active %s of whither registry show", role), "%s is no active %s", id, role)
		return
	}
	r.ok(check, "%s, at %s", id, p.Self.Endpoint)
}
