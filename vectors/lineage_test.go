package vectors_test

import (
	"time"

	"whither/internal/world/worldtest"
	"whither/mapping"
	"whither/problem"
)

// link is one statement before it is made, for cases to bend.
type link struct {
	kind         mapping.StatementKind
	csi          string
	lineage      mapping.Lineage
	older, newer string
	after        time.Duration // signed so long after the receipts
}

func (d *draft) statement(l link) []byte {
	d.m.t.Helper()
	at := d.m.Now.Add(l.after)
	b, err := mapping.Propose(l.kind, worldtest.CSI(d.m.t, "mailto:"+l.csi), l.lineage, d.m.key(l.older), d.m.key(l.newer).Public(), at)
	if err != nil {
		d.m.t.Fatal(err)
	}
	s, err := mapping.ParseProposal(b)
	if err != nil {
		d.m.t.Fatal(err)
	}
	if b, err = s.Accept(d.m.key(l.newer), at); err != nil {
		d.m.t.Fatal(err)
	}
	return b
}

// follow makes a mapping by the last of the keys that followed bob's, with
// bob's receipts. bend changes the links.
func follow(bend func(d *draft, links []link) []link, names ...string) func(*maker) mapping.Bundle {
	return one(func(d *draft) {
		last := d.m.key(names[len(names)-1])
		d.claims.Holder, d.claims.First = last.Public(), false
		d.sigs[0].key = last
		var links []link
		older := holder
		for _, newer := range names {
			links = append(links, link{mapping.Join, address, d.claims.Lineage, older, newer, 0})
			older = newer
		}
		if bend != nil {
			links = bend(d, links)
		}
		for _, l := range links {
			d.lineage = append(d.lineage, d.statement(l))
		}
	})
}

func first(bend func(*link)) func(*draft, []link) []link {
	return func(_ *draft, l []link) []link { bend(&l[0]); return l }
}

func lineages() []mappingCase {
	return []mappingCase{
		{name: "second app", why: "The holder's key has joined the one in the receipts.", make: follow(nil, "tablet")},
		{name: "handed over", why: "The holder's key has followed the one in the receipts.", make: follow(first(func(l *link) { l.kind = mapping.HandOver }), "phone")},
		{name: "four statements", why: "As many as travel beside a mapping.", make: follow(nil, "tablet", "phone", "laptop", "watch")},
	}
}

func badLineage() []mappingCase {
	wrong := func(name, why string, make func(*maker) mapping.Bundle) mappingCase {
		return mappingCase{name: name, why: why, make: make, expect: problem.LineageStatement}
	}
	return []mappingCase{
		wrong("five statements", "One more than travel.", follow(nil, "tablet", "phone", "laptop", "watch", "car")),
		wrong("join in another lineage", "A statement counts in its own lineage.", follow(first(func(l *link) { l.lineage[0] ^= 1 }), "tablet")),
		wrong("join for another CSI", "A statement counts for its own CSI.", follow(first(func(l *link) { l.csi = "alice@example.org" }), "tablet")),
		wrong("join of another key", "It leads to a key that is not the holder's.", follow(first(func(l *link) { l.newer = "phone" }), "tablet")),
		wrong("link missing", "The second key was never joined to the first.", follow(func(_ *draft, l []link) []link { return []link{l[0], l[2]} }, "tablet", "phone", "laptop")),
		wrong("links out of order", "The oldest stands first.", follow(func(_ *draft, l []link) []link { return []link{l[1], l[0]} }, "tablet", "phone")),
		wrong("a circle", "No key follows itself.", follow(func(_ *draft, l []link) []link { l[2].newer = "tablet"; l[1].newer = "phone"; return l }, "tablet", "phone", "tablet")),
		wrong("claims to start the lineage", "Who joined has not started it.", follow(func(d *draft, l []link) []link { d.claims.First = true; return l }, "tablet")),
		wrong("the newer key has not signed", "Nobody is drawn into a lineage.", follow(func(d *draft, _ []link) []link {
			b, err := mapping.Propose(mapping.Join, d.m.id, d.claims.Lineage, d.m.key(holder), d.m.key("tablet").Public(), d.m.Now)
			if err != nil {
				d.m.t.Fatal(err)
			}
			d.lineage = [][]byte{b}
			return nil
		}, "tablet")),
		wrong("signed by a stranger", "The older key has to sign.", follow(func(d *draft, l []link) []link {
			b := d.statement(l[0])
			b[len(b)-1] ^= 1
			d.lineage = [][]byte{b}
			return nil
		}, "tablet")),
		{name: "no statement", why: "The receipts are for another key.", make: follow(func(*draft, []link) []link { return nil }, "tablet"), expect: problem.ReceiptForeign},
		{name: "statement that is not needed", why: "Receipts are for the first key of the chain.", make: follow(func(d *draft, l []link) []link {
			d.receipts = d.m.MailReceipts(d.m.id, d.m.key("tablet").Public(), d.m.Now)
			return l
		}, "tablet"), expect: problem.ReceiptForeign},
		{name: "joined after the mapping", why: "The holder signed before it was one.", make: follow(first(func(l *link) { l.after = time.Second }), "tablet"), expect: problem.TimeOrder},
	}
}
