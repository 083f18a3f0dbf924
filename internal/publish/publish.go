// Package publish makes a federation's registry out of its members'
// applications, and an application out of a party's folder. It works on files,
// for operators who sign by hand:
//
//	FEDERATION/federation.toml      name, days that a registry is good, what evidence counts
//	FEDERATION/root.pem             signs; keep it offline
//	FEDERATION/root.toml            who may sign; everybody gets this
//	FEDERATION/members/ID/grant.toml  what the federation grants
//	FEDERATION/members/ID/self.cose   what the member says of itself
//	FEDERATION/registry.cose        the result, for everybody
//
// A member's application is the two files of its folder, as [Apply] writes
// them; what it asks for in grant.toml is the federation's to change.
package publish

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/BurntSushi/toml"

	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/key"
	"whither/registry"
	"whither/registry/update"
)

// Errors.
var (
	ErrGrant = errors.New("publish: grant.toml is not a grant")
	ErrEmpty = errors.New("publish: no member; put an application into members/ID/")
)

// The files of a federation's and an application's folder.
const (
	FederationFile = "federation.toml"
	RootKeyFile    = "root.pem"
	RootFile       = "root.toml"
	RegistryFile   = "registry.cose"
	MembersFolder  = "members"
	GrantFile      = "grant.toml"
	SelfFile       = "self.cose"
)

// Federation is federation.toml.
type Federation struct {
	// Name is the federation's, a DNS name.
	Name string `toml:"name"`
	// Days is for how many days a signed registry is good.
	Days int `toml:"days"`
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

// Init makes a federation's folder with a root key.
func Init(dir, name string) error {
	if _, err := registry.ParsePartyID(name); err != nil {
		return fmt.Errorf("publish: name of the federation: %w", err)
	}
	root, err := keyfile.MakeSigning(filepath.Join(dir, RootKeyFile))
	if err != nil {
		return err
	}
	f := Federation{Name: name, Days: 30, Levels: map[string]uint8{"mailto": 4, "tel": 2, "acct": 3}}
	if err := writeTOML(filepath.Join(dir, FederationFile), f); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, MembersFolder), 0o700); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return write(filepath.Join(dir, RootFile), update.FormatRoot(registry.Root{Threshold: 1, Keys: []key.Public{root.Public()}}))
}

// Apply writes a party's application into its folder and returns the folder of
// the two files.
func Apply(dir string, id registry.PartyID, operator registry.Operator, role registry.Role, endpoint string, jurisdictions []string, now time.Time) (string, error) {
	keys, err := party.Load(dir)
	if err != nil {
		return "", err
	}
	self, err := keys.Self(id, role, endpoint, now, now)
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

// Sign makes and signs the next version of a federation's registry from its
// members' folders, and returns it verified.
func Sign(dir string, now time.Time) (*registry.Snapshot, error) {
	var f Federation
	if err := readTOML(filepath.Join(dir, FederationFile), &f); err != nil {
		return nil, err
	}
	if f.Days < 1 || f.Days > 366 {
		return nil, fmt.Errorf("publish: %s: days is 1 to 366", FederationFile)
	}
	root, err := keyfile.Signing(filepath.Join(dir, RootKeyFile))
	if err != nil {
		return nil, err
	}
	version, err := nextVersion(dir)
	if err != nil {
		return nil, err
	}
	evidence, err := f.evidence(dir)
	if err != nil {
		return nil, err
	}
	r := registry.Record{
		Version: version, Federation: f.Name, Issued: now, Expires: now.AddDate(0, 0, f.Days),
		Policy: registry.Policy{Levels: f.Levels, Evidence: evidence},
	}
	if r.Parties, err = members(dir); err != nil {
		return nil, err
	}
	b, err := registry.Sign(r, root)
	if err != nil {
		return nil, err
	}
	// What is published is what verifies: a bad application stops here.
	u, err := registry.Parse(b)
	if err != nil {
		return nil, err
	}
	s, err := u.Verify(registry.Root{Threshold: 1, Keys: []key.Public{root.Public()}}, now)
	if err != nil {
		return nil, err
	}
	return s, write(filepath.Join(dir, RegistryFile), b)
}

// nextVersion is one more than the last registry's.
func nextVersion(dir string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, RegistryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	u, err := registry.Parse(b)
	if err != nil {
		return 0, fmt.Errorf("publish: the last %s: %w", RegistryFile, err)
	}
	return u.Version() + 1, nil
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
	raw, err := base64.RawURLEncoding.DecodeString(g.OperatorKey)
	if err != nil {
		return registry.Entry{}, fmt.Errorf("%w: operator_key", ErrGrant)
	}
	k, err := key.PublicFromBytes(raw)
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
	if err := os.WriteFile(fresh, b, 0o600); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
