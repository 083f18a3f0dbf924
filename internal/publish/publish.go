// Package publish makes a federation's registry out of its members'
// applications, and an application out of a party's folder. It works on files,
// for operators who sign by hand:
//
//	FEDERATION/federation.toml        name, who signs how many, what evidence counts
//	FEDERATION/keys/root-N.pem        say who signs; keep them offline and apart
//	FEDERATION/keys/federation-N.pem  sign the grants
//	FEDERATION/keys/publication.pem   signs the timestamp, the snapshot and what members say
//	FEDERATION/members/ID/grant.toml  what the federation grants
//	FEDERATION/members/ID/self.cose   what the member says of itself
//	FEDERATION/public/                the TUF repository, for any web server
//	FEDERATION/root.json              who may sign; everybody gets this, once, by a way that he trusts
//	FEDERATION/registry.set           the result as one file, for whoever is not reached by the server
//
// A member's application is the two files of its folder, as [Apply] writes
// them; what it asks for in grant.toml is the federation's to change.
package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/key"
	"whither/registry"
	"whither/registry/repository"
	"whither/registry/tuf"
)

// Errors.
var (
	ErrGrant = errors.New("publish: grant.toml is not a grant")
	ErrEmpty = errors.New("publish: no member; put an application into members/ID/")
)

// The files of a federation's and an application's folder.
const (
	FederationFile = "federation.toml"
	KeysFolder     = "keys"
	PublicFolder   = "public"
	RootFile       = "root.json"
	RegistryFile   = "registry.set"
	MembersFolder  = "members"
	GrantFile      = "grant.toml"
	SelfFile       = "self.cose"
)

// Federation is federation.toml.
type Federation struct {
	// Name is the federation's, a DNS name.
	Name string `toml:"name"`
	// Roots and Signers are who says who signs, and who signs the grants.
	Roots   Signers `toml:"roots"`
	Signers Signers `toml:"signers"`
	// Publication is the key that signs what is short-lived, base64url.
	Publication string `toml:"publication"`
	// Lives are for how many days what is signed is good.
	Lives Lives `toml:"days"`
	// Levels are the lowest levels of evidence that count, by kind of CSI.
	Levels map[string]uint8 `toml:"levels"`
	// Refused are kinds of evidence that do not count here, by name.
	Refused []string `toml:"refused,omitempty"`
	// Issuers are the OpenID providers whose tokens count.
	Issuers []Issuer `toml:"issuer,omitempty"`
	// Carriers anchor the certificates that sign PASSporTs, TokenAuthorities those
	// that sign authority tokens, MailAuthorities those of S/MIME.
	Carriers         []Anchors `toml:"carrier,omitempty"`
	TokenAuthorities []Anchors `toml:"token_authority,omitempty"`
	MailAuthorities  []Anchors `toml:"mail_authority,omitempty"`
}

// Signers are public keys (base64url of 32 bytes) and how many of them must sign.
type Signers struct {
	Threshold int      `toml:"threshold"`
	Keys      []string `toml:"keys"`
}

// Lives is the table days.
type Lives struct {
	Root      int `toml:"root"`
	Targets   int `toml:"targets"`
	Selves    int `toml:"selves"`
	Snapshot  int `toml:"snapshot"`
	Timestamp int `toml:"timestamp"`
}

// Grant is grant.toml.
type Grant struct {
	ID            string   `toml:"id"`
	Operator      string   `toml:"operator"`
	OperatorKey   string   `toml:"operator_key"` // base64url of 32 bytes
	Roles         []string `toml:"roles"`
	Jurisdictions []string `toml:"jurisdictions"`
	// Bit is an MSP's position in compact answers; never used again for another.
	Bit *uint16 `toml:"bit,omitempty"`
	// Ranges are number prefixes, with "+", or mail domains that it serves; none:
	// all. Codes are a carrier's provider codes (RFC 8226), for its ranges.
	Ranges []string `toml:"ranges,omitempty"`
	Codes  []string `toml:"codes,omitempty"`
	// State is active, closed or expelled, since a time.
	State string    `toml:"state"`
	Since time.Time `toml:"since"`
}

// Count is how many keys there are and how many must sign.
type Count struct{ Keys, Threshold int }

// Init makes a federation's folder with all keys and the first root.json. It
// publishes nothing yet.
func Init(dir, name string, roots, signers Count, now time.Time) error {
	if _, err := registry.ParsePartyID(name); err != nil {
		return fmt.Errorf("publish: name of the federation: %w", err)
	}
	f := Federation{
		Name: name, Levels: map[string]uint8{"mailto": 4, "tel": 2, "acct": 3},
		Lives: Lives{Root: 3650, Targets: 365, Selves: 365, Snapshot: 30, Timestamp: 30},
	}
	var keys repository.Keys
	var err error
	if keys.Roots, f.Roots, err = makeSigners(dir, "root", roots); err != nil {
		return err
	}
	if keys.Federation, f.Signers, err = makeSigners(dir, "federation", signers); err != nil {
		return err
	}
	if keys.Publication, err = keyfile.MakeSigning(keyPath(dir, "publication")); err != nil {
		return err
	}
	f.Publication = base64.RawURLEncoding.EncodeToString(keys.Publication.Public().Bytes())
	r, err := f.repository(dir)
	if err != nil {
		return err
	}
	root, err := r.Root(now, keys)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, MembersFolder), 0o700); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return errors.Join(write(filepath.Join(dir, RootFile), root), writeTOML(filepath.Join(dir, FederationFile), f))
}

func keyPath(dir, name string) string { return filepath.Join(dir, KeysFolder, name+".pem") }

// makeSigners makes the keys of a role.
func makeSigners(dir, role string, n Count) ([]key.Private, Signers, error) {
	if n.Threshold < 1 || n.Threshold > n.Keys {
		return nil, Signers{}, fmt.Errorf("publish: %d of %d %s keys must sign: want 1 to as many as there are", n.Threshold, n.Keys, role)
	}
	s := Signers{Threshold: n.Threshold}
	var keys []key.Private
	for i := range n.Keys {
		k, err := keyfile.MakeSigning(keyPath(dir, fmt.Sprintf("%s-%d", role, i+1)))
		if err != nil {
			return nil, Signers{}, err
		}
		keys = append(keys, k)
		s.Keys = append(s.Keys, base64.RawURLEncoding.EncodeToString(k.Public().Bytes()))
	}
	return keys, s, nil
}

// read returns the signers' keys.
func (s Signers) read() (tuf.Signers, error) {
	out := tuf.Signers{Threshold: s.Threshold}
	for _, text := range s.Keys {
		k, err := readKey(text)
		if err != nil {
			return tuf.Signers{}, err
		}
		out.Keys = append(out.Keys, k)
	}
	return out, nil
}

func readKey(text string) (key.Public, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return key.Public{}, fmt.Errorf("publish: a key is base64url of 32 bytes: %w", err)
	}
	return key.PublicFromBytes(raw)
}

// repository is the federation's publication.
func (f Federation) repository(dir string) (repository.Repository, error) {
	r := repository.Repository{Dir: filepath.Join(dir, PublicFolder)}
	for _, l := range []struct {
		days int
		life *time.Duration
	}{
		{f.Lives.Root, &r.Lives.Root},
		{f.Lives.Targets, &r.Lives.Targets},
		{f.Lives.Selves, &r.Lives.Selves},
		{f.Lives.Snapshot, &r.Lives.Snapshot},
		{f.Lives.Timestamp, &r.Lives.Timestamp},
	} {
		if l.days < 1 || l.days > 3660 {
			return r, fmt.Errorf("publish: %s: each of days is 1 to 3660", FederationFile)
		}
		*l.life = time.Duration(l.days) * 24 * time.Hour
	}
	var err error
	if r.Authority.Root, err = f.Roots.read(); err != nil {
		return r, err
	}
	if r.Authority.Federation, err = f.Signers.read(); err != nil {
		return r, err
	}
	r.Authority.Publication, err = readKey(f.Publication)
	return r, err
}

// atHand reads those of the keys that lie in the folder.
func atHand(dir string) (repository.Keys, error) {
	var k repository.Keys
	files, err := filepath.Glob(keyPath(dir, "*"))
	if err != nil {
		return k, fmt.Errorf("publish: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		private, err := keyfile.Signing(file)
		if err != nil {
			return k, err
		}
		switch name := filepath.Base(file); {
		case strings.HasPrefix(name, "root-"):
			k.Roots = append(k.Roots, private)
		case strings.HasPrefix(name, "federation-"):
			k.Federation = append(k.Federation, private)
		case name == "publication.pem":
			k.Publication = private
		}
	}
	if k.Publication.IsZero() {
		return k, fmt.Errorf("%w: %s", keyfile.ErrMissing, "publication.pem")
	}
	return k, nil
}

// Apply writes a party's application into its folder and returns the folder of
// the two files. disclosure is the digest of a DP's document, nil for others.
func Apply(
	dir string, id registry.PartyID, operator registry.Operator, role registry.Role, endpoint string, jurisdictions []string, disclosure []byte, now time.Time,
) (string, error) {
	keys, err := party.Load(dir)
	if err != nil {
		return "", err
	}
	self, err := keys.Self(id, role, endpoint, disclosure, now, now)
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "application")
	if err := write(filepath.Join(out, SelfFile), self); err != nil {
		return "", err
	}
	g := Grant{
		ID: id.String(), Operator: operator.String(), OperatorKey: base64.RawURLEncoding.EncodeToString(keys.Operator.Public().Bytes()),
		Roles: []string{string(role)}, Jurisdictions: jurisdictions, State: string(registry.Active), Since: now.UTC().Truncate(time.Second),
	}
	return out, writeTOML(filepath.Join(out, GrantFile), g)
}

// Renew writes an application by which a member gives a new word on itself, into
// its folder: of the grant only the id, since the federation keeps what it granted.
func Renew(dir string, id registry.PartyID, self []byte) (string, error) {
	out := filepath.Join(dir, "application")
	return out, errors.Join(write(filepath.Join(out, SelfFile), self), writeTOML(filepath.Join(out, GrantFile), Grant{ID: id.String()}))
}

// Sign publishes what is new in the members' folders, and returns the registry
// as everybody will read it.
func Sign(dir string, now time.Time) (*registry.Snapshot, error) {
	var f Federation
	if err := readTOML(filepath.Join(dir, FederationFile), &f); err != nil {
		return nil, err
	}
	r, err := f.repository(dir)
	if err != nil {
		return nil, err
	}
	keys, err := atHand(dir)
	if err != nil {
		return nil, err
	}
	evidence, err := f.evidence(dir)
	if err != nil {
		return nil, err
	}
	record := registry.Record{Federation: f.Name, Policy: registry.Policy{Levels: f.Levels, Evidence: evidence}}
	if record.Parties, err = members(dir); err != nil {
		return nil, err
	}
	// A bad application stops here, before anything is published.
	record.Issued, record.Expires = now, now.Add(time.Minute)
	if _, err := registry.Assemble(record, [sha256.Size]byte{}, nil, now); err != nil {
		return nil, err
	}
	if _, err := r.Publish(record, now, keys); err != nil {
		return nil, err
	}
	root, err := os.ReadFile(filepath.Join(dir, RootFile))
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	known, err := tuf.Walk(root, tuf.Known{}, now, r.Read)
	if err != nil {
		return nil, err
	}
	set, err := known.Set.Marshal()
	if err != nil {
		return nil, err
	}
	return known.Snapshot, write(filepath.Join(dir, RegistryFile), set)
}

// members reads the entries of all members, and gives an MSP that has none the
// next position in compact answers.
func members(dir string) ([]registry.Entry, error) {
	files, err := filepath.Glob(filepath.Join(dir, MembersFolder, "*", GrantFile))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(ErrEmpty, err)
	}
	slices.Sort(files)
	grants := make([]Grant, len(files))
	next := uint16(0)
	for i, path := range files {
		if err := readTOML(path, &grants[i]); err != nil {
			return nil, err
		}
		if b := grants[i].Bit; b != nil && *b >= next {
			next = *b + 1
		}
	}
	var out []registry.Entry
	for i, path := range files {
		g := &grants[i]
		if slices.Contains(g.Roles, string(registry.RoleMSP)) && g.Bit == nil {
			own := next
			next++
			g.Bit = &own
			if err := writeTOML(path, g); err != nil {
				return nil, err
			}
		}
		e, err := g.entry()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if e.Self, err = os.ReadFile(filepath.Join(filepath.Dir(path), SelfFile)); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
		out = append(out, e)
	}
	return out, nil
}

// entry reads a grant's texts.
func (g *Grant) entry() (registry.Entry, error) {
	id, err := registry.ParsePartyID(g.ID)
	if err != nil {
		return registry.Entry{}, fmt.Errorf("%w: id: %w", ErrGrant, err)
	}
	operator, err := registry.ParseOperator(g.Operator)
	if err != nil {
		return registry.Entry{}, fmt.Errorf("%w: operator: %w", ErrGrant, err)
	}
	k, err := readKey(g.OperatorKey)
	if err != nil {
		return registry.Entry{}, fmt.Errorf("%w: operator_key: %w", ErrGrant, err)
	}
	out := registry.Grant{
		ID: id, Operator: operator, OperatorKey: k, Jurisdictions: g.Jurisdictions, Bit: g.Bit,
		Ranges: g.Ranges, Codes: g.Codes,
		Standing: registry.Standing{State: registry.State(g.State), Since: g.Since.Unix()},
	}
	for _, r := range g.Roles {
		out.Roles = append(out.Roles, registry.Role(r))
	}
	slices.Sort(out.Roles)
	return registry.Entry{Grant: out}, nil
}

// readTOML reads a file strictly.
func readTOML(path string, v any) error {
	md, err := toml.DecodeFile(path, v)
	if err != nil {
		return fmt.Errorf("publish: %s: %w", filepath.Base(path), err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return fmt.Errorf("publish: %s: unknown key %s", filepath.Base(path), unknown[0])
	}
	return nil
}

func writeTOML(path string, v any) error {
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(v); err != nil {
		return fmt.Errorf("publish: %s: %w", filepath.Base(path), err)
	}
	return write(path, b.Bytes())
}

// write replaces a file whole.
func write(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, b, 0o600); err != nil { //nolint:gosec // the operator's own folder, below it names of parties that were parsed
		return fmt.Errorf("publish: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
