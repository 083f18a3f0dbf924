// Package person keeps what one person has on her own device: her key, the
// accounts that sign her in, her mappings with their evidence, and enrolments
// that were interrupted. It is the folder of whither's --dir.
//
//	client.toml        settings (see Settings)
//	registry.set       the federation, as this person knows it
//	root.json          who may sign it
//	keys/holder.pem    her key; whoever has it is her
//	keys/*.token       tokens of her accounts
//	mappings/ID.json   her mappings and their raw evidence
//	enrolments/*.json  enrolments under way
//	choices/           where she writes to whom
//
// Every file is hers alone to read, and no file name tells an address.
package person

import (
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
	"whither/client/offline"
	"whither/internal/fetch"
	"whither/internal/keyfile"
	"whither/key"
	"whither/mapping"
	"whither/registry"
	"whither/registry/update"
)

// Settings is client.toml.
type Settings struct {
	// DP is the discovery provider at which this person enrols.
	DP string `toml:"dp"`
	// Accounts are the person's accounts at MSPs; the first one asks.
	Accounts []Account `toml:"account"`
	// Web is how OpenID providers are reached; nil: on the Internet.
	Web *fetch.Settings `toml:"web,omitempty"`
}

// Account is an account at an MSP.
type Account struct {
	MSP string `toml:"msp"`
	// Token is the file with the token that signs the person in, in the folder.
	Token string `toml:"token"`
}

// Folder is a person's folder.
type Folder struct {
	dir      string
	settings Settings
	source   *update.Source
	now      func() time.Time
}

// Path returns a path in the folder.
func (f *Folder) Path(parts ...string) string {
	return filepath.Join(append([]string{f.dir}, parts...)...)
}

// At returns a folder that may be empty; nothing of it is read.
func At(dir string, now func() time.Time) *Folder { return &Folder{dir: dir, now: now} }

// Open reads the settings and the registry.
func Open(dir string, now func() time.Time) (*Folder, error) {
	f := At(dir, now)
	b, err := os.ReadFile(f.Path("client.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no client.toml; make the folder with whither init, or give --dir", dir)
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
	root, err := os.ReadFile(f.Path("root.json"))
	if err != nil {
		return nil, err
	}
	f.source, err = update.Open(context.Background(), update.Options{Root: root, State: f.Path("registry.known"), File: f.Path("registry.set")}, now())
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Client returns a client that works from the folder's registry, after a look
// whether the given party has a newer one. An asker looks at her own MSP, which
// knows her anyway: a DP that saw her fetch and then her MSP's question could
// join the two (R14).
func (f *Folder) Client(ctx context.Context, from registry.PartyID) (*client.Client, error) {
	var web fetch.Config
	if s := f.settings.Web; s != nil {
		var err error
		if web, err = s.Config(f.dir, f.now); err != nil {
			return nil, fmt.Errorf("client.toml: %w", err)
		}
	}
	c := client.New(client.Config{Registry: f.source.Snapshot, Now: f.now, Web: client.Web{
		Resolver: web.Resolver, Roots: web.Roots, Port: web.Port, Allow: web.Allow,
	}})
	b, err := c.RegistryFile(ctx, from)
	if err != nil {
		return c, nil //nolint:nilerr // the registry at hand is good until it expires; the command itself will meet the trouble
	}
	if _, err := f.source.Take(b, f.now()); err != nil {
		return nil, fmt.Errorf("the registry that %s serves: %w", from, err)
	}
	return c, nil
}

// WriteFile writes a file that only the person can read, whole or not at all.
func WriteFile(path string, b []byte) error {
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

// Account returns the account at an MSP, or the first for the empty name.
func (f *Folder) Account(msp string) (registry.PartyID, string, error) {
	for _, a := range f.settings.Accounts {
		if msp != "" && a.MSP != msp {
			continue
		}
		id, err := registry.ParsePartyID(a.MSP)
		if err != nil {
			return registry.PartyID{}, "", fmt.Errorf("client.toml: account: %w", err)
		}
		b, err := os.ReadFile(f.Path(a.Token))
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

// HolderKey reads the person's key.
func (f *Folder) HolderKey() (key.Private, error) {
	k, err := keyfile.Signing(f.Path("keys", "holder.pem"))
	if errors.Is(err, keyfile.ErrMissing) {
		return key.Private{}, errors.New("no key yet; make one with whither keygen")
	}
	return k, err
}

// Own is a mapping of the person's, as kept in mappings/ID.json.
type Own struct {
	Export   offline.Export `json:"export"`
	Artefact []byte         `json:"artefact,omitempty"` // the raw evidence, which is the holder's to keep
}

// Save keeps a mapping of the person's, with its raw evidence.
func (f *Folder) Save(v mapping.Verified, artefact []byte) error {
	b, err := json.Marshal(Own{Export: offline.New(v, f.source.File()), Artefact: artefact})
	if err != nil {
		return err
	}
	return WriteFile(f.Path("mappings", v.Claims().ID.String()+".json"), b)
}

// Load reads a mapping of the person's; name is its id or the beginning of it.
func (f *Folder) Load(name string) (mapping.Verified, Own, error) {
	var match []string
	ids, err := f.IDs()
	if err != nil {
		return mapping.Verified{}, Own{}, err
	}
	for _, id := range ids {
		if strings.HasPrefix(id, name) {
			match = append(match, id)
		}
	}
	switch {
	case len(match) == 0:
		return mapping.Verified{}, Own{}, errors.New("no mapping of that id here; see whither list")
	case len(match) > 1:
		return mapping.Verified{}, Own{}, errors.New("several mappings begin like that; give more of the id")
	}
	b, err := os.ReadFile(f.Path("mappings", match[0]+".json"))
	if err != nil {
		return mapping.Verified{}, Own{}, err
	}
	var o Own
	if err := json.Unmarshal(b, &o); err != nil {
		return mapping.Verified{}, Own{}, fmt.Errorf("mappings/%s.json is damaged: %w", match[0], err)
	}
	u, err := mapping.Parse(o.Export.Bundle.Unpack())
	if err != nil {
		return mapping.Verified{}, Own{}, err
	}
	// The DP's signature may have run out meanwhile: that is no fault of the
	// holder's, who must still be able to withdraw or replace.
	v, err := mapping.PolicyAt(f.source.Snapshot(), f.now()).VerifyForRenewal(u)
	return v, o, err
}

// IDs returns the ids of the person's mappings, in order.
func (f *Folder) IDs() ([]string, error) {
	files, err := filepath.Glob(f.Path("mappings", "*.json"))
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

// Remove drops a mapping of the person's that has ended.
func (f *Folder) Remove(id string) error { return os.Remove(f.Path("mappings", id+".json")) }

// DP is the discovery provider at which the person enrols.
func (f *Folder) DP() (registry.PartyID, error) {
	id, err := registry.ParsePartyID(f.settings.DP)
	if err != nil {
		return id, fmt.Errorf("client.toml: dp: %w", err)
	}
	return id, nil
}

// Registry returns the registry as this person knows it, and its file.
func (f *Folder) Registry() (*registry.Snapshot, []byte) { return f.source.Snapshot(), f.source.File() }
