// Package party makes and reads the keys that every party's folder has, and
// the self record that they sign. What a role keeps besides is the role's own.
//
//	keys/operator.pem  signs the self record
//	keys/sign.pem      signs in the party's role
//	keys/tls.pem       TLS identity
package party

import (
	"fmt"
	"path/filepath"
	"time"

	"whither/internal/keyfile"
	"whither/internal/pinned"
	"whither/key"
	"whither/registry"
)

// Keys are what a party signs and speaks with.
type Keys struct {
	Operator key.Private
	Sign     key.Private
	TLS      *pinned.Identity
}

// The files, below the party's folder.
const (
	operatorFile = "operator.pem"
	signFile     = "sign.pem"
	tlsFile      = "tls.pem"
)

func path(dir, name string) string { return filepath.Join(dir, "keys", name) }

// Make makes the keys of a new party. It refuses to overwrite any.
func Make(dir string, id registry.PartyID, now time.Time) (Keys, error) {
	var k Keys
	var err error
	if k.Operator, err = keyfile.MakeSigning(path(dir, operatorFile)); err != nil {
		return Keys{}, err
	}
	if k.Sign, err = keyfile.MakeSigning(path(dir, signFile)); err != nil {
		return Keys{}, err
	}
	if k.TLS, err = keyfile.MakeTLS(path(dir, tlsFile), id, now); err != nil {
		return Keys{}, err
	}
	return k, nil
}

// Load reads the keys of a party.
func Load(dir string) (Keys, error) {
	var k Keys
	var err error
	if k.Operator, err = keyfile.Signing(path(dir, operatorFile)); err != nil {
		return Keys{}, err
	}
	if k.Sign, err = keyfile.Signing(path(dir, signFile)); err != nil {
		return Keys{}, err
	}
	if k.TLS, err = keyfile.TLS(path(dir, tlsFile)); err != nil {
		return Keys{}, err
	}
	return k, nil
}

// Self returns the signed self record of a party with one signing key in one
// role, in use since the given time. disclosure is the digest of a DP's document,
// nil for others.
func (k Keys) Self(id registry.PartyID, role registry.Role, endpoint string, disclosure []byte, since, now time.Time) ([]byte, error) {
	pin := k.TLS.Pin()
	b, err := registry.SignSelf(registry.Self{
		ID: id, Issued: now.Unix(), Endpoint: endpoint, Pins: [][]byte{pin[:]}, Disclosure: disclosure,
		Keys: []registry.Key{{Role: role, Public: k.Sign.Public(), From: since.Unix()}},
	}, k.Operator)
	if err != nil {
		return nil, fmt.Errorf("party: self record: %w", err)
	}
	return b, nil
}
