package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"whither/client"
	"whither/client/contacts"
	"whither/csi"
	"whither/csi/national"
	"whither/internal/keyfile"
	"whither/key"
	"whither/mapping"
	"whither/registry"
	"whither/registry/update"
)

// settings is client.toml.
type settings struct {
	// DP is the discovery provider at which this person enrols.
	DP string `toml:"dp"`
	// Accounts are the person's accounts at MSPs; the first one asks.
	Accounts []account `toml:"account"`
}

type account struct {
	MSP string `toml:"msp"`
	// Token is the file with the token that signs the person in, in the folder.
	Token string `toml:"token"`
}

// folder is a person's folder.
type folder struct {
	dir      string
	settings settings
	source   *update.Source
	now      func() time.Time
}

func (f *folder) path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

// openFolder reads the settings and the registry.
func openFolder(s *session) (*folder, error) {
	f := &folder{dir: s.dir, now: s.now}
	b, err := os.ReadFile(f.path("client.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no client.toml; make the folder with whither init, or give --dir", s.dir)
	}
	if err != nil {
		return nil, err
	}
	md, err := toml.Decode(string(b), &f.settings)
	if err != nil {
		return nil, fmt.Errorf("client.toml: %w", err)
	}
	if unknown := md.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("client.toml: unknown key %s", unknown[0])
	}
	f.source, err = update.OpenFiles(f.path("registry.cose"), f.path("root.toml"), s.now())
	if err != nil {
		return nil, err
	}
	return f, nil
}

// client returns a client that works from the folder's registry, after a look
// whether the given party has a newer one. An asker looks at her own MSP, which
// knows her anyway: a DP that saw her fetch and then her MSP's question could
// join the two (R14).
func (f *folder) client(ctx context.Context, from registry.PartyID) (*client.Client, error) {
	c := client.New(client.Config{Registry: f.source.Snapshot, Now: f.now})
	b, err := c.RegistryFile(ctx, from)
	if err != nil {
		return c, nil //nolint:nilerr // the registry at hand is good until it expires; the command itself will meet the trouble
	}
	if bytes.Equal(b, f.source.File()) {
		return c, nil
	}
	if err := f.takeOver(b); err != nil {
		return nil, fmt.Errorf("the registry that %s serves: %w", from, err)
	}
	return c, nil
}

// takeOver verifies a fetched registry before it replaces the one at hand.
func (f *folder) takeOver(b []byte) error {
	fresh := f.path("registry.cose.new")
	if err := writeFile(fresh, b); err != nil {
		return err
	}
	source, err := update.OpenFiles(fresh, f.path("root.toml"), f.now())
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := source.Snapshot().Succeeds(f.source.Snapshot()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, f.path("registry.cose")); err != nil {
		return err
	}
	_, err = f.source.Step(f.now())
	return err
}

// writeFile writes a file that only the person can read, whole or not at all.
func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = temporary.Write(b)
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return os.Rename(temporary.Name(), path)
}

// account returns the account at an MSP, or the first for the empty name.
func (f *folder) account(msp string) (registry.PartyID, string, error) {
	for _, a := range f.settings.Accounts {
		if msp != "" && a.MSP != msp {
			continue
		}
		id, err := registry.ParsePartyID(a.MSP)
		if err != nil {
			return registry.PartyID{}, "", fmt.Errorf("client.toml: account: %w", err)
		}
		b, err := os.ReadFile(f.path(a.Token))
		if err != nil {
			return registry.PartyID{}, "", err
		}
		return id, strings.TrimSpace(string(b)), nil
	}
	if msp == "" {
		return registry.PartyID{}, "", errors.New("no account; add [[account]] with msp and token to client.toml")
	}
	return registry.PartyID{}, "", fmt.Errorf("no account at %s; add [[account]] with msp and token to client.toml", msp)
}

// holderKey reads the person's key.
func (f *folder) holderKey() (key.Private, error) {
	k, err := keyfile.Signing(f.path("keys", "holder.pem"))
	if errors.Is(err, keyfile.ErrMissing) {
		return key.Private{}, errors.New("no key yet; make one with whither keygen")
	}
	return k, err
}

// own is a mapping of the person's, as kept in mappings/ID.json.
type own struct {
	Export   client.Export `json:"export"`
	Artefact []byte        `json:"artefact,omitempty"` // the raw evidence, which is the holder's to keep
}

func (f *folder) saveOwn(v mapping.Verified, artefact []byte) error {
	b, err := json.Marshal(own{Export: client.NewExport(v, f.source.File()), Artefact: artefact})
	if err != nil {
		return err
	}
	return writeFile(f.path("mappings", v.Claims().ID.String()+".json"), b)
}

// loadOwn reads a mapping of the person's; name is its id or the beginning of it.
func (f *folder) loadOwn(name string) (mapping.Verified, own, error) {
	var match []string
	ids, err := f.ownIDs()
	if err != nil {
		return mapping.Verified{}, own{}, err
	}
	for _, id := range ids {
		if strings.HasPrefix(id, name) {
			match = append(match, id)
		}
	}
	switch {
	case len(match) == 0:
		return mapping.Verified{}, own{}, errors.New("no mapping of that id here; see whither list")
	case len(match) > 1:
		return mapping.Verified{}, own{}, errors.New("several mappings begin like that; give more of the id")
	}
	b, err := os.ReadFile(f.path("mappings", match[0]+".json"))
	if err != nil {
		return mapping.Verified{}, own{}, err
	}
	var o own
	if err := json.Unmarshal(b, &o); err != nil {
		return mapping.Verified{}, own{}, fmt.Errorf("mappings/%s.json is damaged: %w", match[0], err)
	}
	u, err := mapping.Parse(o.Export.Bundle.Unpack())
	if err != nil {
		return mapping.Verified{}, own{}, err
	}
	// The DP's signature may have run out meanwhile: that is no fault of the
	// holder's, who must still be able to withdraw or replace.
	v, err := mapping.PolicyAt(f.source.Snapshot(), f.now()).VerifyForRenewal(u)
	return v, o, err
}

func (f *folder) ownIDs() ([]string, error) {
	files, err := filepath.Glob(f.path("mappings", "*.json"))
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(files))
	for i, name := range files {
		ids[i] = strings.TrimSuffix(filepath.Base(name), ".json")
	}
	slices.Sort(ids)
	return ids, nil
}

// parseCSI reads what a person types: a URI, an address, or a number, which
// without + needs a region.
func parseCSI(s, region string) (csi.ID, error) {
	id, err := contacts.Identifier(s, national.Region(region))
	if err != nil {
		return csi.ID{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	return id, nil
}

func parseParties(names []string) ([]registry.PartyID, error) {
	var out []registry.PartyID
	for _, n := range names {
		id, err := registry.ParsePartyID(n)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		out = append(out, id)
	}
	return out, nil
}
