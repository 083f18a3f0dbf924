// Package cast makes the federation of a measurement, on paper, and as many
// people in it as there shall be: real mappings with all their signatures, of
// people who share a few keys.
package cast

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
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
	"whither/possession/observe"
	"whither/registry"
	"whither/registry/repository"
	"whither/registry/tuf"
	"whither/registry/update"
)

// The parties. MSP is listed in the mappings, Asker asks for its users.
const (
	DP       = "dp.example"
	MSP      = "msp-a.example"
	Asker    = "msp-b.example"
	Observer = "observer.example"
)

// Provers returns the two provers.
func Provers() [2]string { return [2]string{"prover-a.example", "prover-b.example"} }

// Party is a member of the federation with all its keys.
type Party struct {
	ID   registry.PartyID
	Sign key.Private
	TLS  *pinned.Identity

	role        registry.Role
	operator    registry.Operator
	operatorKey key.Private
	bit         *uint16
}

// Evidence is what a mapping rests on.
type Evidence uint8

// The kinds of evidence.
const (
	Mail     Evidence = iota // a reply that two provers judged
	Phone                    // a number by a message that its carrier signed
	Observed                 // a reply whose key one of them was handed, with an observer's word
)

// kinds are those of the two provers' receipts.
func (e Evidence) kinds() [2]possession.Kind {
	switch e {
	case Phone:
		return [2]possession.Kind{possession.SIPMessage, possession.STIRWitness}
	case Observed:
		return [2]possession.Kind{possession.MailReply, possession.MailRecheck}
	default:
		return [2]possession.Kind{possession.MailReply, possession.MailWitness}
	}
}

// Federation is a DP, two MSPs, two provers and an observer, with every private
// key.
type Federation struct {
	Now     time.Time
	Parties map[string]*Party
	Secret  [offer.SecretSize]byte // of the DP's offers

	root    key.Private
	offers  *offer.Maker
	holders []key.Private
}

// holders is how many keys the people share: making a key costs as much as a
// signature, and nobody looks for keys that are the same.
const holders = 64

// New makes a federation as it stands at a time.
func New(now time.Time) (*Federation, error) {
	f := &Federation{Now: now.Truncate(time.Second), Parties: make(map[string]*Party)}
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
	if _, err := rand.Read(f.Secret[:]); err != nil {
		return nil, err
	}
	bits, provers := [2]uint16{0, 1}, Provers()
	for _, m := range []struct {
		name string
		role registry.Role
		bit  *uint16
	}{
		{DP, registry.RoleDP, nil},
		{MSP, registry.RoleMSP, &bits[0]},
		{Asker, registry.RoleMSP, &bits[1]},
		{provers[0], registry.RoleProver, nil},
		{provers[1], registry.RoleProver, nil},
		{Observer, registry.RoleObserver, nil},
	} {
		if f.Parties[m.name], err = f.join(m.name, m.role, m.bit); err != nil {
			return nil, err
		}
	}
	f.offers = offer.NewMaker(f.Parties[DP].ID, f.Secret)
	return f, nil
}

// join makes a party's keys.
func (f *Federation) join(name string, role registry.Role, bit *uint16) (*Party, error) {
	p := &Party{role: role, bit: bit}
	var err error
	if p.ID, err = registry.ParsePartyID(name); err != nil {
		return nil, err
	}
	if p.operator, err = registry.ParseOperator("op-" + name); err != nil {
		return nil, err
	}
	if p.operatorKey, err = key.Generate(rand.Reader); err != nil {
		return nil, err
	}
	if p.Sign, err = key.Generate(rand.Reader); err != nil {
		return nil, err
	}
	p.TLS, err = pinned.Generate(p.ID, f.Now)
	return p, err
}

// Files that Registry leaves in the folder.
const (
	SetFile  = "registry.set"
	RootFile = "root.json"
)

// Registry publishes, in a folder, a registry with the DP at an endpoint, and
// opens it.
func (f *Federation) Registry(dir, endpoint string) (*update.Source, error) {
	since := f.Now.Add(-48 * time.Hour).Unix()
	record := registry.Record{
		Federation: "federation.example",
		Policy:     registry.Policy{Levels: map[string]uint8{"mailto": 4, "tel": 4}},
	}
	provers := Provers()
	for _, name := range []string{DP, MSP, Asker, provers[0], provers[1], Observer} {
		p := f.Parties[name]
		pin := p.TLS.Pin()
		self := registry.Self{
			ID: p.ID, Issued: since, Endpoint: "https://127.0.0.1:1", Pins: [][]byte{pin[:]},
			Keys: []registry.Key{{Role: p.role, Public: p.Sign.Public(), From: since}},
		}
		if name == DP {
			self.Endpoint = endpoint
		}
		signed, err := registry.SignSelf(self, p.operatorKey)
		if err != nil {
			return nil, err
		}
		record.Parties = append(record.Parties, registry.Entry{Self: signed, Grant: registry.Grant{
			ID: p.ID, Operator: p.operator, OperatorKey: p.operatorKey.Public(), Roles: []registry.Role{p.role}, Bit: p.bit,
			Jurisdictions: []string{"CH"}, Standing: registry.Standing{State: registry.Active, Since: since},
		}})
	}
	folder, err := os.MkdirTemp(dir, "public-")
	if err != nil {
		return nil, err
	}
	one := tuf.Signers{Threshold: 1, Keys: []key.Public{f.root.Public()}}
	public := repository.Repository{
		Dir: folder, Authority: tuf.Authority{Root: one, Federation: one, Publication: f.root.Public()},
		Lives: repository.ByHand(), Bins: 1,
	}
	keys := repository.Keys{Roots: []key.Private{f.root}, Federation: []key.Private{f.root}, Publication: f.root}
	root, err := public.Root(f.Now, keys)
	if err != nil {
		return nil, err
	}
	if _, err := public.Publish(record, f.Now, keys); err != nil {
		return nil, err
	}
	source, err := update.Open(context.Background(), update.Options{Root: root, Fetch: update.Folder(public.Dir)}, f.Now)
	if err != nil {
		return nil, err
	}
	return source, errors.Join(
		os.WriteFile(filepath.Join(dir, SetFile), source.File(), 0o600), os.WriteFile(filepath.Join(dir, RootFile), root, 0o600))
}

// Person returns the CSI of the ith person.
func Person(i int) (csi.ID, error) { return csi.Parse(fmt.Sprintf("mailto:user-%d@example.org", i)) }

// number returns the CSI of the ith person who has evidence for a number.
func number(i int) (csi.ID, error) { return csi.Parse(fmt.Sprintf("tel:+4179%07d", i)) }

// domainKey names the key under which replies are signed.
func domainKey() [sha256.Size]byte { return sha256.Sum256([]byte("published key")) }

// receipts returns what both provers sign when they have seen a person's
// evidence, and the observer's word.
func (f *Federation) receipts(e Evidence, id csi.ID, holder key.Public) ([][]byte, error) {
	var out [][]byte
	for i, name := range Provers() {
		b, err := possession.Receipt{
			Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(id, holder), Kind: e.kinds()[i], Level: possession.Level4,
			Artefact: sha256.Sum256([]byte("reply")), KeySeen: domainKey(), Evidence: f.Now, Signed: f.Now,
		}.Sign(f.Parties[name].Sign)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	if e != Observed {
		return out, nil
	}
	word, err := observe.Observation{
		Key:   observe.Key{Kind: observe.DKIM, Name: id.Domain(), Label: "s1", Digest: domainKey()},
		First: f.Now.Add(-time.Hour), Last: f.Now, Signed: f.Now,
	}.Sign(f.Parties[Observer].Sign)
	return append(out, word), err
}

// Submission is what a holder brings to the DP.
type Submission struct {
	Offer   []byte
	Mapping mapping.Unverified
}

// Submission makes the ith person's mapping, by mail and up to the DP's
// signature.
func (f *Federation) Submission(i int) (Submission, error) { return f.submission(Mail, i) }

func (f *Federation) submission(e Evidence, i int) (Submission, error) {
	id, err := Person(i)
	if e == Phone {
		id, err = number(i)
	}
	if err != nil {
		return Submission{}, err
	}
	holder := f.holders[i%holders]
	o, err := f.offers.Make(id, holder.Public(), f.Now)
	if err != nil {
		return Submission{}, err
	}
	receipts, err := f.receipts(e, id, holder.Public())
	if err != nil {
		return Submission{}, err
	}
	var random [48]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Submission{}, err
	}
	msp := f.Parties[MSP]
	u, err := mapping.Claims{
		ID: mapping.ID(random[:]), Lineage: mapping.Lineage(random[16:]), CSI: id, DP: f.Parties[DP].ID, Holder: holder.Public(),
		Entries: []mapping.Entry{{
			Provider: msp.ID, URI: "mimi://" + MSP, Tags: []string{mapping.TagDefault}, Nonce: mapping.Nonce(random[32:]),
		}},
		First: true, Expires: f.Now.Add(300 * 24 * time.Hour), ReproveDays: mapping.MinReprove, DPNonce: offer.Nonce(o),
	}.Sign(holder, receipts, f.Now)
	if err != nil {
		return Submission{}, err
	}
	u, err = u.AddMSP(msp.Sign, f.Now)
	return Submission{Offer: o, Mapping: u}, err
}

// Mapping makes the ith person's mapping, with all signatures.
func (f *Federation) Mapping(s *registry.Snapshot, e Evidence, i int) (mapping.Verified, error) {
	one, err := f.submission(e, i)
	if err != nil {
		return mapping.Verified{}, err
	}
	p, err := mapping.PolicyAt(s, f.Now).VerifyProposal(one.Mapping)
	if err != nil {
		return mapping.Verified{}, err
	}
	return p.Finish(f.Parties[DP].Sign, f.Now, f.Now.Add(mapping.MaxDPLife), mapping.FoundFirst)
}
