package vectors_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

// The holder of all vectors, and her keys' names.
const (
	address = "bob@example.org"
	holder  = "bob"
)

// Parties besides those of worldtest.New.
const (
	dpB     = "dp-b.example"
	proverC = "prover-c.example" // run by the DP's operator
	proverD = "prover-d.example" // run by the operator of MSPA
	proverE = "prover-e.example" // run by the operator of prover A
)

// maker makes bundles. Everything in it is fixed, signatures too, which have
// no randomness: the same bytes come out at each run.
type maker struct {
	*worldtest.Federation
	t  testing.TB
	id csi.ID
}

func newMaker(t testing.TB) *maker {
	f := worldtest.New(t)
	f.Record.Policy.Levels = map[string]uint8{"mailto": 4, "tel": 2}
	f.Add(dpB, registry.RoleDP, nil)
	for _, p := range [][2]string{{proverC, worldtest.DP}, {proverD, worldtest.MSPA}, {proverE, worldtest.ProverA}} {
		f.Add(p[0], registry.RoleProver, nil)
		f.Grant(p[0]).Operator = f.Grant(p[1]).Operator
	}
	for i := range uint16(mapping.MaxEntries) {
		bit := i + 2
		f.Add(mspNumber(int(i)), registry.RoleMSP, &bit)
	}
	return &maker{Federation: f, t: t, id: worldtest.CSI(t, "mailto:"+address)}
}

// mspNumber names one of eight further MSPs.
func mspNumber(i int) string { return "msp-" + string(rune('1'+i)) + ".example" }

// retiredKey and nextKey are keys of MSPA besides its usual one.
const (
	retiredKey = "msp-a.example retired"
	nextKey    = "msp-a.example next"
)

// registries are the files that vectors are verified with: each a change to
// the one called "members".
var registries = map[string]func(*maker){
	"members":            func(*maker) {},
	"msp-closed-later":   func(m *maker) { m.standing(worldtest.MSPA, registry.Closed, day) },
	"msp-closed":         func(m *maker) { m.standing(worldtest.MSPA, registry.Closed, -day) },
	"msp-expelled-later": func(m *maker) { m.standing(worldtest.MSPA, registry.Expelled, day) },
	"msp-expelled":       func(m *maker) { m.standing(worldtest.MSPA, registry.Expelled, -day) },
	"msp-expelled-later-dp-of-its-operator": func(m *maker) {
		m.standing(worldtest.MSPA, registry.Expelled, day)
		m.Grant(worldtest.DP).Operator = m.Grant(worldtest.MSPA).Operator
	},
	"dp-closed-later":       func(m *maker) { m.standing(worldtest.DP, registry.Closed, day) },
	"dp-closed":             func(m *maker) { m.standing(worldtest.DP, registry.Closed, -day) },
	"dp-expelled-later":     func(m *maker) { m.standing(worldtest.DP, registry.Expelled, day) },
	"prover-expelled-later": func(m *maker) { m.standing(worldtest.ProverA, registry.Expelled, day) },
	"prover-expelled":       func(m *maker) { m.standing(worldtest.ProverB, registry.Expelled, -day) },
	"prover-closed":         func(m *maker) { m.standing(worldtest.ProverB, registry.Closed, -day) },
	"prover-of-dp":          func(m *maker) { m.Grant(worldtest.DP).Operator = m.Grant(worldtest.ProverB).Operator },
	"msp-keys": func(m *maker) {
		at, self := m.Now.Unix(), m.Selfs[worldtest.MSPA]
		self.Keys = append(self.Keys,
			registry.Key{Role: registry.RoleMSP, Public: worldtest.Key(m.t, retiredKey).Public(), From: at - 1000, Until: at + 1},
			registry.Key{Role: registry.RoleMSP, Public: worldtest.Key(m.t, nextKey).Public(), From: at + 1})
	},
	"msp-without-role": func(m *maker) {
		m.Grant(worldtest.MSPA).Roles = []registry.Role{registry.RoleDP}
		m.Grant(worldtest.MSPA).Bit = nil
	},
	"observers": func(m *maker) { m.Add(observer, registry.RoleObserver, nil) },
	"level-1":   func(m *maker) { m.Record.Policy.Levels["mailto"] = 1 },
	"no-levels": func(m *maker) { m.Record.Policy.Levels = map[string]uint8{} },
}

const day = 24 * time.Hour

func (m *maker) standing(name string, s registry.State, since time.Duration) {
	m.Grant(name).Standing = registry.Standing{State: s, Since: m.Now.Add(since).Unix()}
}

// tree is a payload as nested maps, for cases to bend in ways in which package
// mapping cannot.
type tree = map[int64]any

// private is the key of the claim that holds what CWT has no claim for.
const private = -65537

// own returns the private claim of a payload.
func own(p tree) tree { return p[private].(tree) }

// payload encodes claims by another way than package mapping does.
func payload(c mapping.Claims) tree {
	var digests [][]byte
	for _, d := range c.Receipts {
		digests = append(digests, bytes.Clone(d[:]))
	}
	w := tree{0: 1, 2: c.Lineage[:], 9: c.ReproveDays, 10: c.DPNonce[:], 11: digests}
	var entries []any
	for _, e := range c.Entries {
		entries = append(entries, []any{e.Provider.String(), e.URI, e.Tags, bytes.Clone(e.Nonce[:])})
	}
	if entries != nil {
		w[1] = entries
	}
	if c.Sequence != 0 {
		w[3], w[4] = c.Sequence, c.Predecessor[:]
	}
	if c.First {
		w[5] = true
	}
	if c.Residency != nil {
		w[6] = c.Residency
	}
	if c.Audience {
		w[7] = true
	}
	if c.CopyBy != nil {
		w[8] = c.CopyBy
	}
	return tree{
		1: c.DP.String(), 2: c.CSI.Canonical(), 4: c.Expires.Unix(), 6: c.Issued.Unix(), 7: c.ID[:],
		8: tree{1: tree{1: 1, -1: 6, -2: c.Holder.Bytes()}}, private: w,
	}
}

// part is one signature.
type part struct {
	key    key.Private
	label  key.Label
	named  bool
	params cose.Params
}

// draft is a mapping before it is encoded, for cases to bend.
type draft struct {
	m        *maker
	claims   mapping.Claims
	receipts [][]byte
	lineage  [][]byte
	payload  tree
	sigs     []part
	encoded  func([]byte) []byte // bends the payload's bytes before they are signed
	message  func([]byte) []byte // bends the whole message's bytes
}

// draft starts from a good mapping with the given MSPs.
func (m *maker) draft(msps ...string) *draft {
	k := worldtest.Key(m.t, holder)
	c := m.Claims(m.id, k.Public(), "vector", msps...)
	c.Issued = m.Now
	d := &draft{m: m, claims: c, receipts: m.MailReceipts(m.id, k.Public(), m.Now)}
	at := m.Now.Unix()
	d.sigs = append(d.sigs, part{k, key.LabelMapping, false, cose.Params{Role: 1, Time: at}})
	for _, name := range msps {
		d.sigs = append(d.sigs, part{worldtest.Key(m.t, name), key.LabelMapping, true, cose.Params{Role: 2, Time: at}})
	}
	d.sigs = append(d.sigs, part{
		worldtest.Key(m.t, worldtest.DP), key.LabelMapping, true,
		cose.Params{Role: 3, Time: at, Until: at + 7*86400, Found: 1},
	})
	return d
}

// dp is the DP's signature, the last one.
func (d *draft) dp() *part { return &d.sigs[len(d.sigs)-1] }

// bundle encodes and signs what the draft has become.
func (d *draft) bundle() mapping.Bundle {
	d.m.t.Helper()
	if d.payload == nil {
		d.bent()
	}
	b := d.m.marshal(d.payload)
	if d.encoded != nil {
		b = d.encoded(b)
	}
	msg := cose.Message{Payload: b}
	var err error
	for _, p := range d.sigs {
		if msg, err = msg.With(p.label, p.key, p.named, p.params); err != nil {
			d.m.t.Fatal(err)
		}
	}
	out, err := msg.Marshal()
	if err != nil {
		d.m.t.Fatal(err)
	}
	if d.message != nil {
		out = d.message(out)
	}
	return mapping.Bundle{Mapping: out, Receipts: d.receipts, Lineage: d.lineage}
}

// bent fills the payload for a case to bend; receipts stay as they are.
func (d *draft) bent() tree {
	d.claims.Receipts = nil
	for _, r := range d.receipts {
		d.claims.Receipts = append(d.claims.Receipts, possession.Digest(r))
	}
	d.payload = payload(d.claims)
	return d.payload
}

// codes are the receipts of two provers for one-time codes.
func (m *maker) codes(byMessage, byCall string) [][]byte {
	return m.CodeReceipts(m.id, worldtest.Key(m.t, holder).Public(), m.Now, byMessage, byCall)
}

// receipt is a good receipt of a kind, bent.
func (m *maker) receipt(kind possession.Kind, prover string, bend func(*possession.Receipt)) []byte {
	r := m.Receipt(m.id, worldtest.Key(m.t, holder).Public(), kind, m.Now)
	if bend != nil {
		bend(&r)
	}
	return m.SignReceipt(r, prover)
}

// coseSign is COSE_Sign in a type that can hold more than is allowed.
type coseSign struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected tree
	Payload     any
	Signatures  []coseSignature
}

type coseSignature struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected tree
	Signature   []byte
}

// structure bends a good mapping at one MSP after it was signed.
func structure(bend func(*coseSign)) func(*maker) mapping.Bundle {
	return one(func(d *draft) {
		d.message = func(b []byte) []byte {
			d.m.t.Helper()
			var s coseSign
			if err := unmarshal(b[2:], &s); err != nil {
				d.m.t.Fatal(err)
			}
			bend(&s)
			return append([]byte{0xd8, 98}, d.m.marshal(s)...)
		}
	})
}

// header bends the protected header of the first signature. What it signs is
// not made anew: a form that is refused is refused before.
func header(bend func(tree)) func(*maker) mapping.Bundle {
	return func(m *maker) mapping.Bundle {
		return structure(func(s *coseSign) {
			var h tree
			if err := unmarshal(s.Signatures[0].Protected, &h); err != nil {
				m.t.Fatal(err)
			}
			bend(h)
			s.Signatures[0].Protected = m.marshal(h)
		})(m)
	}
}

// params returns the parameters in a protected header.
func params(h tree) map[any]any { return h[private].(map[any]any) }

func unmarshal(b []byte, v any) error { return canon.Unmarshal(b, len(b), v) }

func (m *maker) marshal(v any) []byte {
	m.t.Helper()
	b, err := canon.Marshal(v)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// insertAt bends bytes by inserting some.
func insertAt(at int, fresh ...byte) func([]byte) []byte {
	return func(b []byte) []byte { return slices.Insert(bytes.Clone(b), at, fresh...) }
}
