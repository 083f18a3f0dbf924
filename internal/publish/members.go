package publish

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"whither/internal/keyfile"
	"whither/key"
	"whither/registry"
	"whither/registry/repository"
)

// ErrMember names a member that there is not, or is already.
var ErrMember = errors.New("publish: no such member")

// Admit puts an application, the folder that [Apply] made, among the members,
// or in the place of the member's former one; the next [Sign] publishes it. Of a
// member that is there, the federation's grant stays: only its word changes.
func Admit(dir, application string, now time.Time) (registry.PartyID, error) {
	var g Grant
	if err := readTOML(filepath.Join(application, GrantFile), &g); err != nil {
		return registry.PartyID{}, err
	}
	id, err := registry.ParsePartyID(g.ID)
	if err != nil {
		return id, fmt.Errorf("%w: id: %w", ErrGrant, err)
	}
	self, err := os.ReadFile(filepath.Join(application, SelfFile))
	if err != nil {
		return id, fmt.Errorf("publish: %w", err)
	}
	member := filepath.Join(dir, MembersFolder, id.String())
	var before Grant
	switch err := readTOML(filepath.Join(member, GrantFile), &before); {
	case err == nil:
		g = before
	case !errors.Is(err, os.ErrNotExist):
		return id, err
	}
	// What does not verify is not let in: it would stop every later signature.
	e, err := g.entry()
	if err != nil {
		return id, err
	}
	e.Self = self
	if g.Bit == nil && e.Grant.Has(registry.RoleMSP) {
		e.Grant.Bit = new(uint16) // it gets its own when it is signed
	}
	record := registry.Record{Federation: "application.example", Issued: now, Expires: now.Add(time.Minute), Parties: []registry.Entry{e}}
	if _, err := registry.Assemble(record, [sha256.Size]byte{}, nil, now); err != nil {
		return id, err
	}
	return id, errors.Join(writeTOML(filepath.Join(member, GrantFile), g), write(filepath.Join(member, SelfFile), self))
}

// Stand changes a member's standing from a time on; the next [Sign] publishes
// it. Who is expelled stays so: nobody can be believed about the time between.
func Stand(dir string, id registry.PartyID, state registry.State, since time.Time) error {
	path := filepath.Join(dir, MembersFolder, id.String(), GrantFile)
	var g Grant
	switch err := readTOML(path, &g); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: %s", ErrMember, id)
	case err != nil:
		return err
	}
	if g.State == string(registry.Expelled) {
		return fmt.Errorf("publish: %s is expelled since %s; admit its successor under another id", id, g.Since.Format(time.RFC3339))
	}
	g.State, g.Since = string(state), since.UTC().Truncate(time.Second)
	return writeTOML(path, g)
}

// Roles whose keys [Rotate] changes.
const (
	RoleRoot        = "root"
	RoleFederation  = "federation"
	RolePublication = "publication"
)

// Rotate makes new keys for a role in the place of its old ones and publishes
// the root.json that says so; the next [Sign] signs with them. As many of the
// old root keys must be at hand as their threshold asks for. Old key files get
// the ending .old; whoever needs no way back destroys them.
func Rotate(dir, role string, now time.Time) error {
	var f Federation
	if err := readTOML(filepath.Join(dir, FederationFile), &f); err != nil {
		return err
	}
	keys, err := atHand(dir)
	if err != nil {
		return err
	}
	old, err := filepath.Glob(keyPath(dir, role+map[bool]string{true: "", false: "-*"}[role == RolePublication]))
	if err != nil || len(old) == 0 {
		return errors.Join(fmt.Errorf("publish: no keys of role %s are here", role), err)
	}
	for _, path := range old {
		if err := os.Rename(path, path+".old"); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	switch role {
	case RoleRoot:
		var made []key.Private
		made, f.Roots, err = makeSigners(dir, role, Count{Keys: len(f.Roots.Keys), Threshold: f.Roots.Threshold})
		keys.Roots = append(keys.Roots, made...)
	case RoleFederation:
		_, f.Signers, err = makeSigners(dir, role, Count{Keys: len(f.Signers.Keys), Threshold: f.Signers.Threshold})
	case RolePublication:
		var k key.Private
		k, err = keyfile.MakeSigning(keyPath(dir, role))
		f.Publication = base64.RawURLEncoding.EncodeToString(k.Public().Bytes())
	default:
		err = fmt.Errorf("publish: keys are those of %s, %s or %s", RoleRoot, RoleFederation, RolePublication)
	}
	if err == nil {
		err = publishRoot(dir, f, keys, now)
	}
	if err != nil {
		return errors.Join(err, restore(old))
	}
	return writeTOML(filepath.Join(dir, FederationFile), f)
}

// publishRoot publishes the root.json of f.
func publishRoot(dir string, f Federation, keys repository.Keys, now time.Time) error {
	r, err := f.repository(dir)
	if err != nil {
		return err
	}
	_, err = r.Root(now, keys)
	return err
}

// restore puts old keys back after a rotation that failed.
func restore(old []string) error {
	var errs []error
	for _, path := range old {
		errs = append(errs, os.Rename(path+".old", path))
	}
	return errors.Join(errs...)
}
