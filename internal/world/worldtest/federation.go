// Package worldtest makes federations on paper for tests: keys, a signed
// registry, receipts and mappings, all deterministic, without any socket or
// clock. What it makes is real, down to each signature; a test that wants a
// false statement bends the inputs and signs again.
//
// The running world, with sockets, is package internal/world.
package worldtest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
	"whither/registry/repository"
	"whither/registry/tuf"
)

// Names of the parties that New makes. The operator of X.example is op-X.example.
const (
	DP      = "dp.example"
	MSPA    = "msp-a.example"
	MSPB    = "msp-b.example"
	ProverA = "prover-a.example"
	ProverB = "prover-b.example"
)

// Federation is a registry with every private key behind it.
type Federation struct {
	T      testing.TB
	Now    time.Time
	Record registry.Record // Parties[i].Self is filled by Snapshot
	Selfs  map[string]*registry.Self

	public string // where Set publishes
}

// New makes a federation of a DP, two MSPs and two provers.
func New(t testing.TB) *Federation {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := &Federation{
		T: t, Now: now, Selfs: make(map[string]*registry.Self),
		Record: registry.Record{
			Version: 1, Federation: "federation.example", Issued: now.Add(-time.Hour), Expires: now.Add(10 * 365 * 24 * time.Hour),
			Policy: registry.Policy{Levels: map[string]uint8{"mailto": 4, "tel": 2}},
		},
	}
	f.Add(DP, registry.RoleDP, nil)
	for i, name := range []string{MSPA, MSPB} {
		bit := uint16(i)
		f.Add(name, registry.RoleMSP, &bit)
	}
	f.Add(ProverA, registry.RoleProver, nil)
	f.Add(ProverB, registry.RoleProver, nil)
	return f
}

// Key returns the private key that a name stands for.
func Key(t testing.TB, name string) key.Private {
	t.Helper()
	seed := sha256.Sum256([]byte("whither test key " + name))
	k, err := key.Generate(bytes.NewReader(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Party parses a party's name.
func Party(t testing.TB, name string) registry.PartyID {
	t.Helper()
	id, err := registry.ParsePartyID(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// CSI parses a CSI.
func CSI(t testing.TB, s string) csi.ID {
	t.Helper()
	id, err := csi.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Add puts a party with one role into the record. Its signing key is
// Key(name), its operator key Key("op-" + name), its operator "op-" + name.
func (f *Federation) Add(name string, role registry.Role, bit *uint16) {
	f.T.Helper()
	operator, err := registry.ParseOperator("op-" + name)
	if err != nil {
		f.T.Fatal(err)
	}
	id, since := Party(f.T, name), f.Now.Add(-48*time.Hour).Unix()
	f.Record.Parties = append(f.Record.Parties, registry.Entry{Grant: registry.Grant{
		ID: id, Operator: operator, OperatorKey: Key(f.T, "op-"+name).Public(), Roles: []registry.Role{role},
		Jurisdictions: []string{"CH"}, Bit: bit, Standing: registry.Standing{State: registry.Active, Since: since},
	}})
	pin := sha256.Sum256([]byte("pin " + name))
	f.Selfs[name] = &registry.Self{
		ID: id, Issued: since, Endpoint: "https://127.0.0.1:1", Pins: [][]byte{pin[:]},
		Keys: []registry.Key{{Role: role, Public: Key(f.T, name).Public(), From: since}},
	}
}

// Grant returns a party's grant, to be bent in place.
func (f *Federation) Grant(name string) *registry.Grant {
	f.T.Helper()
	for i := range f.Record.Parties {
		if f.Record.Parties[i].Grant.ID.String() == name {
			return &f.Record.Parties[i].Grant
		}
	}
	f.T.Fatalf("no party %s", name)
	return nil
}

// Signed fills in the self records and returns the record as it stands.
func (f *Federation) Signed() registry.Record {
	f.T.Helper()
	for i := range f.Record.Parties {
		e := &f.Record.Parties[i]
		var err error
		if e.Self, err = registry.SignSelf(*f.Selfs[e.Grant.ID.String()], Key(f.T, "op-"+e.Grant.ID.String())); err != nil {
			f.T.Fatal(err)
		}
	}
	return f.Record
}

// File returns the record as it stands, in bytes.
func (f *Federation) File() []byte {
	f.T.Helper()
	b, err := f.Signed().Marshal()
	if err != nil {
		f.T.Fatal(err)
	}
	return b
}

// Snapshot assembles the record as it stands; once it is published, it is what
// others will read.
func (f *Federation) Snapshot() *registry.Snapshot {
	f.T.Helper()
	if f.public != "" {
		return f.published().Snapshot
	}
	r, digest, err := registry.ParseRecord(f.File())
	if err != nil {
		f.T.Fatal(err)
	}
	s, err := registry.Assemble(r, digest, nil, f.Now)
	if err != nil {
		f.T.Fatal(err)
	}
	return s
}

// Publish publishes the record as it stands, now, as a TUF repository in a
// folder, and returns its first root.json. It may be called again.
func (f *Federation) Publish(dir string) (root []byte) {
	f.T.Helper()
	k := Key(f.T, "root")
	one := tuf.Signers{Threshold: 1, Keys: []key.Public{k.Public()}}
	r := repository.Repository{
		Dir: dir, Authority: tuf.Authority{Root: one, Federation: one, Publication: k.Public()}, Lives: lives(f.Record.Version), Bins: 2,
	}
	keys := repository.Keys{Roots: []key.Private{k}, Federation: []key.Private{k}, Publication: k}
	root, err := r.Read("1.root.json", registry.MaxSize)
	if errors.Is(err, tuf.ErrAbsent) {
		root, err = r.Root(f.Now, keys)
	}
	if err != nil {
		f.T.Fatal(err)
	}
	if _, err := r.Publish(f.Signed(), f.Now, keys); err != nil {
		f.T.Fatal(err)
	}
	return root
}

// lives are so long that a test may jump for a year. The snapshot's is four
// times as long with each version of the record: the one before has less than
// half of that left, so a record that counts up is published anew even if
// nothing else in it changed.
func lives(version uint64) repository.Lives {
	const year = 365 * 24 * time.Hour
	return repository.Lives{Root: 10 * year, Targets: 10 * year, Selves: 10 * year, Snapshot: 2 * year << (2 * (version - 1)), Timestamp: 10 * year}
}

// Set publishes the record as it stands, in a folder of its own, and returns
// what others are handed: the root, and the set. It may be called again; what
// changed has the next version then.
func (f *Federation) Set() (root, set []byte) {
	f.T.Helper()
	if f.public == "" {
		f.public = f.T.TempDir()
	}
	known := f.published()
	root, err := repository.Repository{Dir: f.public}.First()
	if err != nil {
		f.T.Fatal(err)
	}
	if set, err = known.Set.Marshal(); err != nil {
		f.T.Fatal(err)
	}
	return root, set
}

// published publishes the record as it stands and reads it.
func (f *Federation) published() tuf.Known {
	f.T.Helper()
	known, err := tuf.Walk(f.Publish(f.public), tuf.Known{}, f.Now, repository.ReadFolder(f.public))
	if err != nil {
		f.T.Fatal(err)
	}
	return known
}

// WriteRegistry writes what Set returns into a folder, under the names that
// parties and people use.
func (f *Federation) WriteRegistry(dir string) {
	f.T.Helper()
	root, set := f.Set()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "root.json"), root, 0o600), os.WriteFile(filepath.Join(dir, "registry.set"), set, 0o600)); err != nil {
		f.T.Fatal(err)
	}
}

// Receipt is a prover's receipt about a mail reply, good unless bent.
func (f *Federation) Receipt(id csi.ID, holder key.Public, kind possession.Kind, at time.Time) possession.Receipt {
	return possession.Receipt{
		Purpose: possession.PurposeEnrol, Subject: possession.SubjectOf(id, holder), Kind: kind, Level: possession.Level4,
		Artefact: sha256.Sum256([]byte("artefact")), KeySeen: sha256.Sum256([]byte("published key")), Evidence: at, Signed: at,
	}
}

// MailReceipts returns the pair of receipts of a mail reply at time at.
func (f *Federation) MailReceipts(id csi.ID, holder key.Public, at time.Time) [][]byte {
	f.T.Helper()
	return [][]byte{
		f.SignReceipt(f.Receipt(id, holder, possession.MailReply, at), ProverA),
		f.SignReceipt(f.Receipt(id, holder, possession.MailWitness, at), ProverB),
	}
}

// CodeReceipts returns the receipts of two provers for one-time codes, the
// first by message and the second by call.
func (f *Federation) CodeReceipts(id csi.ID, holder key.Public, at time.Time, byMessage, byCall string) [][]byte {
	f.T.Helper()
	var out [][]byte
	for i, prover := range []string{byMessage, byCall} {
		r := f.Receipt(id, holder, possession.CodeMessage+possession.Kind(i), at)
		r.Level, r.KeySeen, r.Artefact = possession.Level2, [32]byte{}, sha256.Sum256([]byte(prover))
		out = append(out, f.SignReceipt(r, prover))
	}
	return out
}

// SignReceipt signs r with a prover's key.
func (f *Federation) SignReceipt(r possession.Receipt, prover string) []byte {
	f.T.Helper()
	b, err := r.Sign(Key(f.T, prover))
	if err != nil {
		f.T.Fatal(err)
	}
	return b
}

// Claims returns a first mapping's claims for the given MSPs. name seeds its
// random parts, so that different names give different mappings.
func (f *Federation) Claims(id csi.ID, holder key.Public, name string, msps ...string) mapping.Claims {
	f.T.Helper()
	random := sha256.Sum256([]byte("random parts of " + name))
	c := mapping.Claims{
		ID: mapping.ID(random[:16]), CSI: id, DP: Party(f.T, DP), Holder: holder, Lineage: mapping.Lineage(random[16:]),
		First: true, Expires: f.Now.Add(300 * 24 * time.Hour), ReproveDays: mapping.MinReprove, DPNonce: mapping.Nonce(random[8:24]),
	}
	for _, msp := range msps {
		c.Entries = append(c.Entries, mapping.Entry{
			Provider: Party(f.T, msp), URI: "mimi://" + msp, Tags: []string{mapping.TagDefault}, Nonce: mapping.Nonce(random[4:20]),
		})
	}
	return c
}

// Propose signs claims as the holder and every listed MSP, at f.Now.
func (f *Federation) Propose(c mapping.Claims, holder key.Private, receipts [][]byte) mapping.Unverified {
	f.T.Helper()
	u, err := c.Sign(holder, receipts, f.Now)
	if err != nil {
		f.T.Fatal(err)
	}
	for _, e := range c.Entries {
		if u, err = u.AddMSP(Key(f.T, e.Provider.String()), f.Now); err != nil {
			f.T.Fatal(err)
		}
	}
	return u
}

// Finish has the DP verify and countersign a proposal, at f.Now for seven days.
func (f *Federation) Finish(u mapping.Unverified, found mapping.Found) mapping.Verified {
	f.T.Helper()
	p, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(u)
	if err != nil {
		f.T.Fatal(err)
	}
	v, err := p.Finish(Key(f.T, DP), f.Now, f.Now.Add(mapping.MaxDPLife), found)
	if err != nil {
		f.T.Fatal(err)
	}
	return v
}

// Mapping makes a finished first mapping of a mail address at one MSP, with
// evidence as old as f.Now.
func (f *Federation) Mapping(address, holder, msp string) mapping.Verified {
	f.T.Helper()
	id, k := CSI(f.T, "mailto:"+address), Key(f.T, holder)
	c := f.Claims(id, k.Public(), address+holder+msp, msp)
	return f.Finish(f.Propose(c, k, f.MailReceipts(id, k.Public(), f.Now)), mapping.FoundFirst)
}
