package registry_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"whither/internal/canon"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
)

// tree is a map with integer keys, for cases to bend in ways in which the
// package's own types cannot.
type tree = map[int64]any

// entry is a party before it is encoded.
type entry struct {
	id          string
	grant, self tree
	selfKey     string // signs the self record
	selfLabel   key.Label
	selfParams  cose.Params
	selfNamed   bool   // with a kid
	selfBytes   []byte // instead of a signed self
}

// draft is a record before it is encoded.
type draft struct {
	t       testing.TB
	now     time.Time
	body    tree // without the parties
	parties []*entry
	encoded func([]byte) []byte // bends the bytes
}

const day = 24 * time.Hour

// newDraft is a good registry: a DP, two MSPs with a gap between their bits, and
// two provers, of whom one observes as well.
func newDraft(t testing.TB) *draft {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	d := &draft{t: t, now: now, body: tree{
		1: 7, 2: "federation.example", 3: now.Unix(), 4: now.Add(30 * day).Unix(), 5: tree{1: map[string]uint8{"mailto": 4, "tel": 2}},
	}}
	d.add("dp.example", "dp")
	d.add("msp-a.example", "msp").grant[8] = 0
	d.add("msp-b.example", "msp").grant[8] = 2
	d.add("prover-a.example", "observer", "prover")
	d.add("prover-b.example", "prover")
	return d
}

// add puts an active party into the draft, with one key for each role. Its
// operator is op- and its id.
func (d *draft) add(id string, roles ...string) *entry {
	since := d.now.Add(-day).Unix()
	operator := "op-" + id
	pin := sha256.Sum256([]byte("pin " + id))
	var keys []any
	for _, r := range roles {
		keys = append(keys, tree{1: r, 2: d.key(id + " " + r), 3: since})
	}
	p := &entry{
		id: id, selfKey: operator, selfLabel: key.LabelSelf, selfParams: cose.Params{Role: 2, Time: since},
		grant: tree{1: id, 2: operator, 3: d.key(operator), 4: roles, 7: []string{"CH"}, 9: tree{1: "active", 2: since}},
		self:  tree{1: id, 2: since, 3: "https://" + id + ":8443", 4: [][]byte{pin[:]}, 5: keys},
	}
	d.parties = append(d.parties, p)
	return p
}

func (d *draft) key(name string) tree { return keyTree(worldtest.Key(d.t, name).Public()) }

func (d *draft) marshal(v any) []byte {
	d.t.Helper()
	b, err := canon.Marshal(v)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// payload encodes the body with its parties, by another way than the package.
func (d *draft) payload() []byte {
	d.t.Helper()
	entries := []any{}
	for _, p := range d.parties {
		b := p.selfBytes
		if b == nil {
			var err error
			if b, err = cose.Sign1(p.selfLabel, d.marshal(p.self), worldtest.Key(d.t, p.selfKey), p.selfNamed, p.selfParams); err != nil {
				d.t.Fatal(err)
			}
		}
		entries = append(entries, tree{1: p.grant, 2: b})
	}
	if _, set := d.body[6]; !set {
		d.body[6] = entries
	}
	return d.marshal(d.body)
}

// file encodes what the draft has become.
func (d *draft) file() []byte {
	d.t.Helper()
	b := d.payload()
	if d.encoded != nil {
		b = d.encoded(b)
	}
	return b
}

// dp, mspA and proverA are the parties that cases bend.
func (d *draft) dp() *entry      { return d.parties[0] }
func (d *draft) mspA() *entry    { return d.parties[1] }
func (d *draft) proverA() *entry { return d.parties[3] }

// keys returns a party's keys.
func (p *entry) keys() []any { return p.self[5].([]any) }

type vectorCase struct {
	name, why string
	expect    string
	bend      func(*draft)
	after     time.Duration // when it is verified, after the draft's now
	previous  string        // the vector before it, for whoever remembers
}

// vectorCases are all vectors, first those that are accepted.
var vectorCases = slices.Concat(acceptCases, malformedCases, timeCases, grantCases, evidenceCases, selfCases, sharedCases, rollbackCases)

var acceptCases = []vectorCase{
	{name: "members", why: "Five parties.", expect: "accept"},
	{name: "at the edge of skew", why: "Issued 120 seconds from now.", expect: "accept", after: -120 * time.Second},
	{name: "in its last second", why: "One second before it expires.", expect: "accept", after: 30*day - time.Second},
	{name: "nobody", why: "A federation without parties.", expect: "accept", bend: func(d *draft) { d.parties = nil }},
	{name: "every member", why: "Schemes, ranges and the age of evidence are set, and a key has an end.", expect: "accept", bend: func(d *draft) {
		p := d.proverA()
		p.grant[5], p.grant[6] = []string{"mailto"}, []string{"example.org"}
		p.keys()[0].(tree)[4] = d.now.Unix()
		d.body[5].(tree)[2] = 12
	}},
	{name: "word on evidence", why: "Kinds that do not count, an OpenID issuer and trust anchors.", expect: "accept", bend: func(d *draft) { d.evidence() }},
	{name: "an issuer of handles", why: "It speaks for accounts at its own host and for no mail domain.", expect: "accept", bend: func(d *draft) {
		issuer := d.evidence()[2].([]any)[0].(tree)
		delete(issuer, 3)
		issuer[4] = "preferred_username"
	}},
	{name: "codes of a carrier", why: "Its provider codes are tied to its ranges.", expect: "accept", bend: func(d *draft) {
		p := d.add("carrier.example", "csip")
		p.grant[5], p.grant[6], p.grant[10] = []string{"tel"}, []string{"+4179", "+4178"}, []string{"7381"}
	}},
	{name: "old and new key", why: "A key and the one after it; both count, each for its time.", expect: "accept", bend: func(d *draft) {
		old := d.dp().keys()[0].(tree)
		old[4] = d.now.Unix()
		d.dp().self[5] = append(d.dp().keys(), tree{1: "dp", 2: d.key("dp.example next"), 3: d.now.Unix()})
	}},
	{name: "two tls keys", why: "Two pins while a party changes its TLS key.", expect: "accept", bend: func(d *draft) {
		pin := sha256.Sum256([]byte("pin dp.example next"))
		d.dp().self[4] = append(d.dp().self[4].([][]byte), pin[:])
	}},
	{name: "a key without the role", why: "The self record lists a prover's key; the grant gives no such role, so it is no key.", expect: "accept", bend: func(d *draft) {
		d.dp().self[5] = append(d.dp().keys(), tree{1: "prover", 2: d.key("dp.example prover"), 3: d.now.Unix()})
	}},
	{name: "a key of an unknown role", why: "As before: it has no authority and is passed over.", expect: "accept", bend: func(d *draft) {
		d.dp().self[5] = append(d.dp().keys(), tree{1: "king", 2: d.key("dp.example king"), 3: d.now.Unix()})
	}},
	{name: "no keys", why: "A party that signs nothing.", expect: "accept", bend: func(d *draft) { delete(d.mspA().self, 5) }},
	{name: "closed and expelled", why: "They stay listed, so that their past can be judged, and cannot be reached.", expect: "accept", bend: func(d *draft) {
		d.mspA().grant[9] = tree{1: "closed", 2: d.now.Unix()}
		d.proverA().grant[9] = tree{1: "expelled", 2: d.now.Unix()}
	}},
	{name: "high bit", why: "The table is as long as its highest position.", expect: "accept", bend: func(d *draft) { d.mspA().grant[8] = 65535 }},
	{name: "the next version", why: "Follows the first one.", expect: "accept", previous: "members", bend: func(d *draft) { d.body[1] = 8 }},
	{name: "the same again", why: "The same version with the same digest follows itself.", expect: "accept", previous: "members"},
}

var malformedCases = []vectorCase{
	{name: "empty", why: "No bytes.", expect: "malformed", bend: func(d *draft) { d.encoded = func([]byte) []byte { return nil } }},
	{name: "truncated", why: "The last byte is missing.", expect: "malformed", bend: func(d *draft) { d.encoded = func(b []byte) []byte { return b[:len(b)-1] } }},
	{name: "trailing byte", why: "One byte after the record.", expect: "malformed", bend: func(d *draft) { d.encoded = func(b []byte) []byte { return append(b, 0) } }},
	{name: "unknown member", why: "The body has a member that this version does not know.", expect: "malformed", bend: func(d *draft) { d.body[7] = 1 }},
	{name: "missing member", why: "The body has no policy.", expect: "malformed", bend: func(d *draft) { delete(d.body, 5) }},
	{name: "member twice", why: "A duplicate key in the body.", expect: "malformed", bend: func(d *draft) {
		d.encoded = func(b []byte) []byte { return append(append([]byte{b[0] + 1}, b[1], b[2]), b[1:]...) }
	}},
	{name: "members out of order", why: "Keys of the body are not sorted.", expect: "malformed", bend: func(d *draft) {
		d.encoded = func(b []byte) []byte { return append(append([]byte{b[0]}, b[3:]...), b[1], b[2]) }
	}},
	{name: "version is a text", why: "A member of another type.", expect: "malformed", bend: func(d *draft) { d.body[1] = "7" }},
	{name: "negative version", why: "Versions count from zero.", expect: "malformed", bend: func(d *draft) { d.body[1] = -1 }},
	{name: "zero is written", why: "An optional member that is zero is left out.", expect: "malformed", bend: func(d *draft) { d.body[5].(tree)[2] = 0 }},
	{name: "empty is written", why: "An optional list that is empty is left out.", expect: "malformed", bend: func(d *draft) { d.dp().grant[5] = []string{} }},
	{name: "null", why: "Null stands for nothing.", expect: "malformed", bend: func(d *draft) { d.body[6] = nil }},
	{name: "capital in an id", why: "Names are in lower case.", expect: "malformed", bend: func(d *draft) { d.dp().grant[1] = "DP.example" }},
	{name: "one label", why: "A name has at least two labels.", expect: "malformed", bend: func(d *draft) { d.dp().grant[2] = "localhost" }},
	{name: "operator key of another curve", why: "Ed25519 only.", expect: "malformed", bend: func(d *draft) {
		d.dp().grant[3] = tree{1: 1, -1: 7, -2: worldtest.Key(d.t, "op-dp.example").Public().Bytes()}
	}},
	{name: "operator key of small order", why: "Under such a key a signature binds nobody.", expect: "malformed", bend: func(d *draft) {
		d.dp().grant[3] = tree{1: 1, -1: 6, -2: append([]byte{1}, make([]byte, 31)...)}
	}},
	{name: "bit too high", why: "Positions are below 65536.", expect: "malformed", bend: func(d *draft) { d.mspA().grant[8] = 65536 }},
}

var timeCases = []vectorCase{
	{name: "from the future", why: "Issued 121 seconds from now.", expect: "not-yet", after: -121 * time.Second},
	{name: "expired now", why: "It is good before its expiry, not at it.", expect: "expired", after: 30 * day},
	{name: "expired long ago", why: "A year later.", expect: "expired", after: 365 * day},
}

var grantCases = []vectorCase{
	{name: "no role", why: "A grant without a role grants nothing.", expect: "content", bend: func(d *draft) { d.dp().grant[4] = []string{} }},
	{name: "unknown role", why: "Not one of the eight roles.", expect: "content", bend: func(d *draft) { d.dp().grant[4] = []string{"king"} }},
	{name: "roles unsorted", why: "A set has one order.", expect: "content", bend: func(d *draft) { d.proverA().grant[4] = []string{"prover", "observer"} }},
	{name: "role twice", why: "A set has each once.", expect: "content", bend: func(d *draft) { d.dp().grant[4] = []string{"dp", "dp"} }},
	{name: "dp with a bit", why: "Only an MSP has a position.", expect: "content", bend: func(d *draft) { d.dp().grant[8] = 1 }},
	{name: "msp without a bit", why: "Every MSP has one.", expect: "content", bend: func(d *draft) { delete(d.mspA().grant, 8) }},
	{name: "jurisdiction in lower case", why: "ISO 3166-1 alpha-2 is in capitals.", expect: "content", bend: func(d *draft) { d.dp().grant[7] = []string{"ch"} }},
	{name: "jurisdiction of three letters", why: "Alpha-2 has two.", expect: "content", bend: func(d *draft) { d.dp().grant[7] = []string{"CHE"} }},
	{name: "unknown standing", why: "Active, closed or expelled.", expect: "content", bend: func(d *draft) { d.dp().grant[9] = tree{1: "fine", 2: d.now.Unix()} }},
	{name: "party twice", why: "An id names one party.", expect: "content", bend: func(d *draft) { d.parties = append(d.parties, d.dp()) }},
}

var evidenceCases = []vectorCase{
	{name: "evidence is empty", why: "What is empty is left out.", expect: "malformed", bend: func(d *draft) { d.body[5].(tree)[3] = tree{} }},
	{name: "evidence with an unknown member", why: "Not of this version.", expect: "malformed", bend: func(d *draft) { d.evidence()[6] = 1 }},
	{name: "refused kinds unsorted", why: "A set has one order.", expect: "content", bend: func(d *draft) {
		d.evidence()[1] = []string{"smime", "code-call"}
	}},
	{name: "refused kind twice", why: "A set has each once.", expect: "content", bend: func(d *draft) {
		d.evidence()[1] = []string{"smime", "smime"}
	}},
	{name: "refused kind without a name", why: "It would refuse nothing.", expect: "content", bend: func(d *draft) { d.evidence()[1] = []string{""} }},
	{name: "issuer twice", why: "Two words on one provider.", expect: "content", bend: func(d *draft) {
		all := d.evidence()[2].([]any)
		d.evidence()[2] = append(all, all[0])
	}},
	{name: "issuer of http", why: "Whoever is on the way could be it.", expect: "content", bend: issuer(func(i tree) { i[1] = "http://op.example.org" })},
	{name: "issuer with a query", why: "An issuer has none (OpenID Connect Discovery).", expect: "content", bend: issuer(func(i tree) { i[1] = "https://op.example.org?a" })},
	{name: "issuer with a user", why: "As before.", expect: "content", bend: issuer(func(i tree) { i[1] = "https://bob@op.example.org" })},
	{name: "issuer without clients", why: "No token could be for anybody.", expect: "content", bend: issuer(func(i tree) { i[2] = []string{} })},
	{name: "clients unsorted", why: "A set has one order.", expect: "content", bend: issuer(func(i tree) { i[2] = []string{"b", "a"} })},
	{name: "issuer of nothing", why: "Without domain and handle it speaks for nobody.", expect: "content", bend: issuer(func(i tree) { delete(i, 3) })},
	{name: "domain in capitals", why: "Names are in lower case.", expect: "content", bend: issuer(func(i tree) { i[3] = []string{"Example.org"} })},
	{name: "anchor with a short digest", why: "A digest is a SHA-256.", expect: "content", bend: func(d *draft) { d.evidence()[3] = []any{tree{1: []byte{1, 2, 3}}} }},
	{name: "anchor twice", why: "Two words on one root.", expect: "content", bend: func(d *draft) {
		all := d.evidence()[3].([]any)
		d.evidence()[3] = append(all, all[0])
	}},
	{name: "anchor for a number with plus", why: "Prefixes of anchors are digits.", expect: "content", bend: func(d *draft) {
		d.evidence()[3].([]any)[0].(tree)[2] = []string{"+41"}
	}},
}

// evidence gives the draft a good word on evidence and returns it to be bent.
func (d *draft) evidence() tree {
	policy := d.body[5].(tree)
	if e, ok := policy[3].(tree); ok {
		return e
	}
	anchor := func(name string) []byte { sum := sha256.Sum256([]byte(name)); return sum[:] }
	e := tree{
		1: []string{"code-call", "smime"},
		2: []any{tree{1: "https://op.example.org", 2: []string{"whither"}, 3: []string{"example.org"}}},
		3: []any{tree{1: anchor("carriers"), 2: []string{"41", "423"}}},
		4: []any{tree{1: anchor("authorities")}},
		5: []any{tree{1: anchor("mail")}},
	}
	policy[3] = e
	return e
}

// issuer bends the OpenID issuer of the federation's word on evidence.
func issuer(bend func(tree)) func(*draft) {
	return func(d *draft) { bend(d.evidence()[2].([]any)[0].(tree)) }
}

var selfCases = []vectorCase{
	{name: "self record is no cose", why: "Bytes that are not a COSE_Sign1.", expect: "content", bend: func(d *draft) { d.dp().selfBytes = []byte{1, 2, 3} }},
	{name: "self record by another operator", why: "Not signed by the operator key of its grant.", expect: "content", bend: func(d *draft) { d.dp().selfKey = "op-msp-a.example" }},
	{name: "self record by a role key", why: "The signing key of a role is no operator key.", expect: "content", bend: func(d *draft) { d.dp().selfKey = "dp.example dp" }},
	{name: "self record under another label", why: "Signed as a receipt.", expect: "content", bend: func(d *draft) { d.dp().selfLabel = key.LabelReceipt }},
	{name: "self record in another role", why: "Signed in another role.", expect: "content", bend: func(d *draft) { d.dp().selfParams.Role = 1 }},
	{name: "self record with a kid", why: "The grant beside it has the key; an id of it would be a second way to say so.", expect: "content", bend: func(d *draft) { d.dp().selfNamed = true }},
	{name: "self record of another party", why: "Its id is not that of the grant beside it.", expect: "content", bend: func(d *draft) { d.dp().self[1] = "msp-a.example" }},
	{name: "self record dated otherwise", why: "Its time is not that of its signature.", expect: "content", bend: func(d *draft) { d.dp().selfParams.Time++ }},
	{name: "self record from the future", why: "Issued 121 seconds from now.", expect: "content", bend: func(d *draft) {
		d.dp().self[2] = d.now.Unix() + 121
		d.dp().selfParams.Time = d.now.Unix() + 121
	}},
	{name: "self record with an unknown member", why: "Not of this version.", expect: "content", bend: func(d *draft) { d.dp().self[9] = 1 }},
	{name: "endpoint without tls", why: "Plain HTTP is no endpoint.", expect: "content", bend: func(d *draft) { d.dp().self[3] = "http://dp.example:8443" }},
	{name: "endpoint with a path", why: "Paths are those of the messages.", expect: "content", bend: func(d *draft) { d.dp().self[3] = "https://dp.example:8443/x" }},
	{name: "endpoint with a query", why: "As before.", expect: "content", bend: func(d *draft) { d.dp().self[3] = "https://dp.example:8443?x" }},
	{name: "endpoint with a user", why: "As before.", expect: "content", bend: func(d *draft) { d.dp().self[3] = "https://bob@dp.example:8443" }},
	{name: "endpoint without a host", why: "Nowhere to go.", expect: "content", bend: func(d *draft) { d.dp().self[3] = "https://" }},
	{name: "no pin", why: "Nobody could be sure to speak to it.", expect: "content", bend: func(d *draft) { d.dp().self[4] = [][]byte{} }},
	{name: "short pin", why: "A pin is a SHA-256.", expect: "content", bend: func(d *draft) { d.dp().self[4] = [][]byte{{1, 2, 3}} }},
}

var sharedCases = []vectorCase{
	{name: "bit shared", why: "A position has one owner.", expect: "content", bend: func(d *draft) { d.mspA().grant[8] = 2 }},
	{name: "pin shared", why: "A TLS key has one owner.", expect: "content", bend: func(d *draft) { d.dp().self[4] = d.mspA().self[4] }},
	{name: "pin twice", why: "As before, of one party.", expect: "content", bend: func(d *draft) {
		pin := d.dp().self[4].([][]byte)[0]
		d.dp().self[4] = [][]byte{pin, bytes.Clone(pin)}
	}},
	{name: "key shared", why: "A signing key has one owner.", expect: "content", bend: func(d *draft) {
		d.dp().keys()[0].(tree)[2] = d.key("msp-a.example msp")
		d.mspA().keys()[0].(tree)[2] = d.key("msp-a.example msp")
	}},
	{name: "key in two roles", why: "One key serves one role.", expect: "content", bend: func(d *draft) {
		d.proverA().keys()[1].(tree)[2] = d.proverA().keys()[0].(tree)[2]
	}},
}

var rollbackCases = []vectorCase{
	{name: "rollback", why: "An older version than the one already seen.", expect: "rollback", previous: "the next version"},
	{name: "split view", why: "The version already seen with another digest: one of the two was made for somebody alone.", expect: "rollback", previous: "members", bend: func(d *draft) {
		d.body[2] = "federation-of-nobody.example"
	}},
}
