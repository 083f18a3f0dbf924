package bench

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"whither/csi"
	"whither/internal/offer"
	"whither/internal/pinned"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/registry/update"
)

// The parties. msp is listed in the mappings, asker asks for its users.
const (
	dpName    = "dp.example"
	mspName   = "msp-a.example"
	askerName = "msp-b.example"
)

var proverNames = [2]string{"prover-a.example", "prover-b.example"}

// party is a member of the federation with all its keys.
type party struct {
	id          registry.PartyID
	role        registry.Role
	operator    registry.Operator
	operatorKey key.Private
	sign        key.Private
	tls         *pinned.Identity
	bit         *uint16
}

// federation is a DP, two MSPs and two provers, with every private key.
type federation struct {
	now     time.Time
	root    key.Private
	parties map[string]*party
	offers  *offer.Maker
	secret  [offer.SecretSize]byte // of the offers
	holders []key.Private
}

// holders is how many keys the people share: making a key costs as much as a
// signature, and nobody looks for keys that are the same.
const holders = 64

func newFederation(now time.Time) (*federation, error) {
	f := &federation{now: now.Truncate(time.Second), parties: make(map[string]*party)}
	var err error
	if f.root, err = key.Generate(rand.Reader); err != nil {
		return nil, err
	}
	for range holders {
		k, err := key.Generate(rand.Reader)
		if err != nil {
			return nil, err
		}
		f.holders = append(f.holders, k)
	}
	if _, err := rand.Read(f.secret[:]); err != nil {
		return nil, err
	}
	bits := [2]uint16{0, 1}
	for _, m := range []struct {
		name string
		role registry.Role
		bit  *uint16
	}{
		{dpName, registry.RoleDP, nil},
		{mspName, registry.RoleMSP, &bits[0]},
		{askerName, registry.RoleMSP, &bits[1]},
		{proverNames[0], registry.RoleProver, nil},
		{proverNames[1], registry.RoleProver, nil},
	} {
		if f.parties[m.name], err = f.join(m.name, m.role, m.bit); err != nil {
			return nil, err
		}
	}
	f.offers = offer.NewMaker(f.parties[dpName].id, f.secret)
	return f, nil
}

// join makes a party's keys.
func (f *federation) join(name string, role registry.Role, bit *uint16) (*party, error) {
	p := &party{role: role, bit: bit}
	var err error
	if p.id, err = registry.ParsePartyID(name); err != nil {
		return nil, err
	}
	if p.operator, err = registry.ParseOperator("op-" + name); err != nil {
		return nil, err
	}
	if p.operatorKey, err = key.Generate(rand.Reader); err != nil {
		return nil, err
	}
	if p.sign, err = key.Generate(rand.Reader); err != nil {
		return nil, err
	}
	p.tls, err = pinned.Generate(p.id, f.now)
	return p, err
}

// registry writes, into a folder, a signed registry with the DP at an endpoint,
// and opens it.
func (f *federation) registry(dir, endpoint string) (*update.Source, error) {
	since := f.now.Add(-48 * time.Hour).Unix()
	record := registry.Record{
		Version: 1, Federation: "federation.example", Issued: f.now.Add(-time.Hour), Expires: f.now.AddDate(1, 0, 0),
		Policy: registry.Policy{Levels: map[string]uint8{"mailto": 4}},
	}
	for _, name := range []string{dpName, mspName, askerName, proverNames[0], proverNames[1]} {
		p := f.parties[name]
		pin := p.tls.Pin()
		self := registry.Self{
			ID: p.id, Issued: since, Endpoint: "https://127.0.0.1:1", Pins: [][]byte{pin[:]},
			Keys: []registry.Key{{Role: p.role, Public: p.sign.Public(), From: since}},
		}
		if name == dpName {
			self.Endpoint = endpoint
		}
		signed, err := registry.SignSelf(self, p.operatorKey)
		if err != nil {
			return nil, err
		}
		record.Parties = append(record.Parties, registry.Entry{Self: signed, Grant: registry.Grant{
			ID: p.id, Operator: p.operator, OperatorKey: p.operatorKey.Public(), Roles: []registry.Role{p.role}, Bit: p.bit,
			Jurisdictions: []string{"CH"}, Standing: registry.Standing{State: registry.Active, Since: since},
		}})
	}
	b, err := registry.Sign(record, f.root)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "registry.cose")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return nil, err
	}
	return update.Open(path, registry.Root{Threshold: 1, Keys: []key.Public{f.root.Public()}}, f.now)
}

// person returns the CSI of the ith person.
func person(i int) (csi.ID, error) { return csi.Parse(fmt.Sprintf("mailto:user-%d@example.org", i)) }

// receipts returns what both provers sign when they have seen a person's reply.
func (f *federation) receipts(id csi.ID, holder key.Public) ([][]byte, error) {
	var out [][]byte
	for i, name := range proverNames {
		r := possession.Receipt{
			Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(id, holder), Kind: possession.MailReply, Level: possession.Level4,
			Artefact: sha256.Sum256([]byte("reply")), KeySeen: sha256.Sum256([]byte("published key")), Evidence: f.now, Signed: f.now,
		}
		if i > 0 {
			r.Kind = possession.MailWitness
		}
		b, err := r.Sign(f.parties[name].sign)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// submission is what a holder brings to the DP.
type submission struct {
	offer []byte
	u     mapping.Unverified
}

// submission makes the ith person's mapping, up to the DP's signature.
func (f *federation) submission(i int) (submission, error) {
	id, err := person(i)
	if err != nil {
		return submission{}, err
	}
	holder := f.holders[i%holders]
	o, err := f.offers.Make(id, holder.Public(), f.now)
	if err != nil {
		return submission{}, err
	}
	receipts, err := f.receipts(id, holder.Public())
	if err != nil {
		return submission{}, err
	}
	var random [48]byte
	if _, err := rand.Read(random[:]); err != nil {
		return submission{}, err
	}
	msp := f.parties[mspName]
	u, err := mapping.Claims{
		ID: mapping.ID(random[:]), Lineage: mapping.Lineage(random[16:]), CSI: id, DP: f.parties[dpName].id, Holder: holder.Public(),
		Entries: []mapping.Entry{{
			Provider: msp.id, URI: "mimi://" + mspName, Tags: []string{mapping.TagDefault}, Nonce: mapping.Nonce(random[32:]),
		}},
		First: true, Expires: f.now.Add(300 * 24 * time.Hour), ReproveDays: mapping.MinReprove, DPNonce: offer.Nonce(o),
	}.Sign(holder, receipts, f.now)
	if err != nil {
		return submission{}, err
	}
	u, err = u.AddMSP(msp.sign, f.now)
	return submission{offer: o, u: u}, err
}

// mapping makes the ith person's mapping, with all signatures.
func (f *federation) mapping(s *registry.Snapshot, i int) (mapping.Verified, error) {
	one, err := f.submission(i)
	if err != nil {
		return mapping.Verified{}, err
	}
	p, err := mapping.PolicyAt(s, f.now).VerifyProposal(one.u)
	if err != nil {
		return mapping.Verified{}, err
	}
	return p.Finish(f.parties[dpName].sign, f.now, f.now.Add(mapping.MaxDPLife), mapping.FoundFirst)
}
