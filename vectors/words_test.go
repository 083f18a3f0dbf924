package vectors_test

import (
	"slices"
	"time"

	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/possession"
	"whither/possession/observe"
	"whither/problem"
)

// observer is a party of the registry "observers".
const observer = "observer-a.example"

// published names the key that receipts have as the key seen.
func (m *maker) published() observe.Key {
	return observe.Key{
		Kind: observe.DKIM, Name: "example.org", Label: "s1",
		Digest: m.Receipt(m.id, worldtest.Key(m.t, holder).Public(), possession.MailReply, m.Now).KeySeen,
	}
}

// observation is the observer's word on a key.
func (m *maker) observation(k observe.Key) []byte {
	m.t.Helper()
	b, err := observe.Observation{Key: k, First: m.Now.Add(-time.Hour), Last: m.Now, DNSSEC: observe.Insecure, Signed: m.Now}.Sign(worldtest.Key(m.t, observer))
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// excerpt is the entry of a key in the observer's list of the day, among 1,000
// others.
func (m *maker) excerpt(k observe.Key) []byte {
	m.t.Helper()
	l := observe.List{Day: observe.DayOf(m.Now), Signed: m.Now, Entries: []observe.Entry{{Key: k, DNSSEC: observe.Insecure}}}
	for i := range 999 {
		name := string([]byte{'a' + byte(i/100), 'a' + byte(i/10%10), 'a' + byte(i%10)}) + ".example"
		l.Entries = append(l.Entries, observe.Entry{Key: observe.Key{Kind: observe.DKIM, Name: name, Label: "s1", Digest: [32]byte{1, byte(i)}}})
	}
	l.Sort()
	raw, err := l.Sign(worldtest.Key(m.t, observer))
	if err != nil {
		m.t.Fatal(err)
	}
	u, err := observe.ParseList(raw)
	if err != nil {
		m.t.Fatal(err)
	}
	members := newMaker(m.t)
	registries["observers"](members)
	v, err := u.Verify(members.Snapshot(), observe.Question{Now: m.Now})
	if err != nil {
		m.t.Fatal(err)
	}
	b, ok := v.Excerpt(k.Kind, k.Name, k.Digest)
	if !ok {
		m.t.Fatal("no excerpt")
	}
	return b
}

// recheck is the receipts of a reply whose key the second prover was handed, and
// what stands beside them.
func (m *maker) recheck(beside ...[]byte) [][]byte {
	return slices.Concat([][]byte{
		m.receipt(possession.MailReply, worldtest.ProverA, nil), m.receipt(possession.MailRecheck, worldtest.ProverB, nil),
	}, beside)
}

// words are mappings with observers' words among their receipts, and of numbers
// that their carriers signed for.
func words() []mappingCase {
	return []mappingCase{
		{
			name: "observed", why: "The key had left the DNS when the second prover judged the reply; an observer says that it was there.", registry: "observers",
			make: receipts(func(m *maker) [][]byte { return m.recheck(m.observation(m.published())) }),
		},
		{
			name: "observed by a list", why: "Likewise, by an entry of the observer's list of the day.", registry: "observers",
			make: receipts(func(m *maker) [][]byte { return m.recheck(m.excerpt(m.published())) }),
		},
		{
			name: "observed, a year after", why: "Nobody looks the key up again.", registry: "observers", after: 205 * day,
			make: func(m *maker) mapping.Bundle {
				d := m.draft(worldtest.MSPA)
				d.receipts = m.recheck(m.observation(m.published()))
				d.renew(200 * day)
				return d.bundle()
			},
		},
		{name: "signed by a carrier", why: "A message of the number that its carrier signed, and the witness: level 4.", make: phone(func(m *maker) [][]byte {
			return [][]byte{m.receipt(possession.SIPMessage, worldtest.ProverA, nil), m.receipt(possession.STIRWitness, worldtest.ProverB, nil)}
		})},
	}
}

// badWords are mappings whose receipts would need a word that is not there.
func badWords() []mappingCase {
	return []mappingCase{
		{
			name: "a reply and an observer", why: "R5: the observer has not seen the reply; one party says that there was one.", registry: "observers", expect: problem.EvidenceLevel,
			make: receipts(func(m *maker) [][]byte {
				return [][]byte{m.receipt(possession.MailReply, worldtest.ProverA, nil), m.observation(m.published())}
			}),
		},
		{
			name: "a key that nobody else saw", why: "Level 2 where level 4 is agreed.", registry: "observers", expect: problem.EvidenceLevel,
			make: receipts(func(m *maker) [][]byte { return m.recheck() }),
		},
		{
			name: "an observer of another domain", why: "A word on a key of somebody else.", registry: "observers", expect: problem.ReceiptForeign,
			make: receipts(func(m *maker) [][]byte {
				k := m.published()
				k.Name = "example.net"
				return m.recheck(m.observation(k))
			}),
		},
		{
			name: "an observer that nobody named", why: "It is no party of this registry.", expect: problem.ReceiptSigner,
			make: receipts(func(m *maker) [][]byte { return m.recheck(m.observation(m.published())) }),
		},
	}
}
