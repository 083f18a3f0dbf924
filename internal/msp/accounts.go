package msp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"whither/cosigner"
	"whither/csi"
	"whither/wire"
)

// Errors of the account store.
var (
	ErrAccounts = errors.New("msp: accounts file: want mode 0600 and strict JSON: {\"accounts\":[{\"name\":…,\"token\":…,\"csis\":[…]}]}")
	ErrTaken    = errors.New("msp: an account has this name or CSI already")
)

// maxAccounts bounds the file, in bytes: some ten thousand accounts, far more
// than development needs.
const maxAccounts = 4 << 20

// accountsFile is the content of the file.
type accountsFile struct {
	Accounts []accountRow `json:"accounts"`
}

// accountRow is one account. Token is the SHA-256 of the token's text: tokens
// are 32 random bytes, so that nothing slower is needed to keep them from
// whoever reads the file.
type accountRow struct {
	Name  string      `json:"name"`
	Token wire.Bytes  `json:"token"`
	CSIs  []csi.Clear `json:"csis"`
}

// Accounts is the development account store: a JSON file that is read whole.
// It is safe for concurrent use in one process; of several, one writes.
type Accounts struct {
	path string

	mu      sync.RWMutex
	raw     []byte // as the file was read last
	file    accountsFile
	byToken map[[sha256.Size]byte]accountRow
}

var _ cosigner.Accounts = (*Accounts)(nil)

// OpenAccounts reads the file at path; there may be none yet.
func OpenAccounts(path string) (*Accounts, error) {
	a := &Accounts{path: path, file: accountsFile{Accounts: []accountRow{}}}
	if _, err := a.Step(); err != nil {
		return nil, err
	}
	return a, nil
}

// Step takes the file over if it changed and is good. A bad file changes
// nothing: who was signed in stays so.
func (a *Accounts) Step() (changed bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	info, err := os.Stat(a.path)
	if errors.Is(err, fs.ErrNotExist) && a.raw == nil {
		return false, nil // nobody has an account yet
	}
	if err != nil {
		return false, fmt.Errorf("msp: accounts: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 || info.Size() > maxAccounts {
		return false, fmt.Errorf("%w: mode %o, %d bytes", ErrAccounts, info.Mode().Perm(), info.Size())
	}
	b, err := os.ReadFile(a.path)
	if err != nil {
		return false, fmt.Errorf("msp: accounts: %w", err)
	}
	if a.raw != nil && bytes.Equal(b, a.raw) {
		return false, nil
	}
	f, err := parseAccounts(b)
	if err != nil {
		return false, err
	}
	if err := a.take(f); err != nil {
		return false, err
	}
	a.raw = b
	return true, nil
}

func parseAccounts(b []byte) (accountsFile, error) {
	var f accountsFile
	if err := wire.Decode(wire.TypeJSON, b, maxAccounts, &f); err != nil {
		return accountsFile{}, fmt.Errorf("%w: %w", ErrAccounts, err)
	}
	return f, nil
}

// bytes returns f as the file holds it.
func (f accountsFile) bytes() ([]byte, error) {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("msp: accounts: %w", err)
	}
	return append(b, '\n'), nil
}

// take checks f and makes it the content. The caller holds the lock.
func (a *Accounts) take(f accountsFile) error {
	byToken := make(map[[sha256.Size]byte]accountRow, len(f.Accounts))
	names, csis := make(map[string]bool), make(map[csi.ID]bool)
	for _, row := range f.Accounts {
		if row.Name == "" || len(row.Token) != sha256.Size {
			return fmt.Errorf("%w: name or token of an account", ErrAccounts)
		}
		t := [sha256.Size]byte(row.Token)
		if _, twice := byToken[t]; twice || names[row.Name] {
			return fmt.Errorf("%w: in the accounts file", ErrTaken)
		}
		byToken[t], names[row.Name] = row, true
		for _, c := range row.CSIs {
			if csis[c.ID] {
				return fmt.Errorf("%w: in the accounts file", ErrTaken)
			}
			csis[c.ID] = true
		}
	}
	a.file, a.byToken = f, byToken
	return nil
}

// Add makes an account, writes the file and returns the account's token. The
// token is kept nowhere.
func (a *Accounts) Add(name string, csis ...csi.ID) (token string, err error) {
	token = rand.Text() + rand.Text() // 52 characters of base32, 256 bits
	sum := sha256.Sum256([]byte(token))
	row := accountRow{Name: name, Token: sum[:], CSIs: make([]csi.Clear, 0, len(csis))}
	for _, id := range csis {
		row.CSIs = append(row.CSIs, csi.Clear{ID: id})
	}
	err = a.change(func(rows []accountRow) []accountRow { return append(slices.Clip(rows), row) })
	if err != nil {
		return "", err
	}
	return token, nil
}

// Remove takes an account out of the file. What was confirmed for it is not
// touched; see [CloseAccount].
func (a *Accounts) Remove(name string) error {
	return a.change(func(rows []accountRow) []accountRow {
		return slices.DeleteFunc(slices.Clone(rows), func(row accountRow) bool { return row.Name == name })
	})
}

// change changes the accounts and writes the file, or neither.
func (a *Accounts) change(to func([]accountRow) []accountRow) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.file
	if err := a.take(accountsFile{Accounts: to(before.Accounts)}); err != nil {
		return err
	}
	b, err := a.file.bytes()
	if err == nil {
		err = replace(a.path, b)
	}
	if err != nil {
		return errors.Join(err, a.take(before))
	}
	a.raw = b
	return nil
}

// replace writes a file of mode 0600 that is there whole or not at all.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".accounts-*") // mode 0600
	if err != nil {
		return fmt.Errorf("msp: accounts: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("msp: accounts: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// Link implements [cosigner.Accounts].
func (a *Accounts) Link(_ context.Context, token string, id csi.ID) (cosigner.Link, error) {
	row, ok := a.row(token)
	switch {
	case !ok:
		return cosigner.NoAccount, nil
	case slices.ContainsFunc(row.CSIs, func(c csi.Clear) bool { return c.Equal(id) }):
		return cosigner.Linked, nil
	default:
		return cosigner.NotLinked, nil
	}
}

// csis returns the CSIs of an account.
func (a *Accounts) csis(name string) ([]csi.Clear, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	i := slices.IndexFunc(a.file.Accounts, func(row accountRow) bool { return row.Name == name })
	if i < 0 {
		return nil, false
	}
	return a.file.Accounts[i].CSIs, true
}

// some reports whether an account has such a CSI.
func (a *Accounts) some(such func(csi.ID) bool) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.ContainsFunc(a.file.Accounts, func(row accountRow) bool {
		return slices.ContainsFunc(row.CSIs, func(c csi.Clear) bool { return such(c.ID) })
	})
}

// account returns the name of the account that token signs in.
func (a *Accounts) account(token string) (name string, ok bool) {
	row, ok := a.row(token)
	return row.Name, ok
}

func (a *Accounts) row(token string) (accountRow, bool) {
	sum := sha256.Sum256([]byte(token))
	a.mu.RLock()
	defer a.mu.RUnlock()
	row, ok := a.byToken[sum]
	return row, ok
}
