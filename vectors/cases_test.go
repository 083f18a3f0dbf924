package vectors_test

import (
	"bytes"
	"slices"
	"time"

	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
)

// mappingCase makes one vector.
type mappingCase struct {
	name     string
	why      string        // what it shows, one sentence
	registry string        // the file that it is verified with; empty: members
	after    time.Duration // verified so long after the mapping was made
	make     func(*maker) mapping.Bundle
	expect   problem.Kind // empty: accepted
}

// one makes a mapping at one MSP, bent.
func one(bend func(*draft)) func(*maker) mapping.Bundle {
	return func(m *maker) mapping.Bundle { return bent(m.draft(worldtest.MSPA), bend) }
}

// two makes a mapping at two MSPs, bent.
func two(bend func(*draft)) func(*maker) mapping.Bundle {
	return func(m *maker) mapping.Bundle { return bent(m.draft(worldtest.MSPA, worldtest.MSPB), bend) }
}

func bent(d *draft, bend func(*draft)) mapping.Bundle {
	if bend != nil {
		bend(d)
	}
	return d.bundle()
}

// claims bends the claims of a mapping at one MSP.
func claims(bend func(*mapping.Claims)) func(*maker) mapping.Bundle {
	return one(func(d *draft) { bend(&d.claims) })
}

// claim bends the payload of a mapping at one MSP, and its private claim.
func claim(bend func(p, w tree)) func(*maker) mapping.Bundle {
	return one(func(d *draft) {
		p := d.bent()
		bend(p, own(p))
	})
}

// entry bends the one entry: [provider, URI, tags, nonce].
func entry(bend func(e []any)) func(*maker) mapping.Bundle {
	return claim(func(_, w tree) { bend(w[1].([]any)[0].([]any)) })
}

// receipts makes a mapping at one MSP that rests on these.
func receipts(make func(*maker) [][]byte) func(*maker) mapping.Bundle {
	return one(func(d *draft) { d.receipts = make(d.m) })
}

// phone makes a mapping of a telephone number at one MSP that rests on these.
func phone(make func(*maker) [][]byte) func(*maker) mapping.Bundle {
	return func(m *maker) mapping.Bundle {
		m.id = worldtest.CSI(m.t, "tel:+14085550123")
		return receipts(make)(m)
	}
}

// message bends the bytes of a good mapping at one MSP.
func message(bend func([]byte) []byte) func(*maker) mapping.Bundle {
	return one(func(d *draft) { d.message = bend })
}

// encoded bends the bytes of its payload before they are signed.
func encoded(bend func([]byte) []byte) func(*maker) mapping.Bundle {
	return one(func(d *draft) { d.encoded = bend })
}

// renewed renews a good mapping once for each duration, so long after it was made.
func renewed(after ...time.Duration) func(*maker) mapping.Bundle {
	return func(m *maker) mapping.Bundle {
		d := m.draft(worldtest.MSPA)
		for _, a := range after {
			d.renew(a)
		}
		return d.bundle()
	}
}

// renew puts a later signature of the DP in the place of the one before.
func (d *draft) renew(after time.Duration) {
	at := d.m.Now.Add(after).Unix()
	*d.dp() = part{
		d.dp().key, key.LabelRenewal, true,
		cose.Params{Role: 4, Time: at, Until: at + 7*86400, Found: 1, Admitted: d.m.Now.Unix()},
	}
}

func accepted() []mappingCase {
	return append([]mappingCase{
		{name: "one MSP", why: "The smallest ordinary mapping: one MSP, tag Default, a mail reply and its witness.", make: one(nil)},
		{name: "two MSPs", why: "On the user's wish several MSPs stand in one mapping; each signs.", make: two(nil)},
		{name: "eight MSPs", why: "The most that one mapping lists.", make: func(m *maker) mapping.Bundle {
			var names []string
			for i := range mapping.MaxEntries {
				names = append(names, mspNumber(i))
			}
			return m.draft(names...).bundle()
		}},
		{name: "no MSP", why: "Registered, and not to be found: no entries, no MSP's signature.", make: func(m *maker) mapping.Bundle {
			return m.draft().bundle()
		}},
		{name: "no tag", why: "Tags may be absent.", make: claims(func(c *mapping.Claims) { c.Entries[0].Tags = []string{} })},
		{name: "several tags", why: "A list of registered words, the MSP's own name among them.", make: claims(func(c *mapping.Claims) {
			c.Entries[0].Tags = []string{mapping.TagPersonal, mapping.TagBusiness, worldtest.MSPA}
		})},
		{name: "every optional claim", why: "Residency, audience, copies and the longest re-prove term.", make: claims(func(c *mapping.Claims) {
			c.Residency, c.Audience, c.ReproveDays = []string{"CH", "DE"}, true, mapping.MaxReprove
			c.CopyBy = append(c.CopyBy, c.DP)
			c.First = false
		})},
		{name: "successor", why: "Sequence 1 names the digest of its predecessor's payload.", make: one(func(d *draft) {
			d.claims.Sequence, d.claims.First, d.claims.Predecessor = 1, false, mapping.Digest{1, 2, 3}
			d.dp().params.Found = uint8(mapping.FoundSuccessor)
		})},
		{name: "highest sequence", why: "2^32 - 1.", make: one(func(d *draft) {
			d.claims.Sequence, d.claims.First, d.claims.Predecessor = 1<<32-1, false, mapping.Digest{1}
			d.dp().params.Found = uint8(mapping.FoundSuccessor)
		})},
		{name: "provisional", why: "Admitted before every peer had answered.", make: one(func(d *draft) { d.dp().params.Found = uint8(mapping.FoundProvisional) })},
		{name: "won a hold", why: "Admitted after other lineages were silent.", make: one(func(d *draft) { d.dp().params.Found = uint8(mapping.FoundSilent) })},
		{name: "renewed", why: "The DP's signature replaced under another label; payload and other signatures untouched.", after: 6 * day, make: renewed(5 * day)},
		{name: "renewed long after", why: "The time of admission stays.", after: 205 * day, make: renewed(100*day, 200*day)},
		{name: "clock behind", why: "Two minutes of skew are allowed.", after: -2 * time.Minute, make: one(nil)},
		{name: "last second of the DP's signature", why: "Good until, not at, its end.", after: 7*day - time.Second, make: one(nil)},
		{name: "one year from the evidence", why: "The longest life.", make: claims(func(c *mapping.Claims) { c.Expires = c.Issued.Add(mapping.MaxLife) })},
		{name: "signed one after the other", why: "Each signature has a time of its own.", after: time.Hour, make: two(func(d *draft) {
			for i := range d.sigs[1:] {
				d.sigs[i+1].params.Time += int64(60 * (i + 1))
			}
		})},
		{name: "three receipts", why: "One more witness does no harm.", make: receipts(func(m *maker) [][]byte {
			return append(m.MailReceipts(m.id, worldtest.Key(m.t, holder).Public(), m.Now), m.receipt(possession.MailWitness, proverE, nil))
		})},
		{
			name: "level 2 where level 1 is agreed", why: "Two provers saw different keys: level 2, the least that ever counts.", registry: "level-1",
			make: receipts(func(m *maker) [][]byte {
				return [][]byte{m.receipt(possession.MailReply, worldtest.ProverA, nil), m.receipt(possession.MailWitness, worldtest.ProverB, seenOther)}
			}),
		},
		{name: "telephone", why: "Codes by message and by call, of two provers: level 2.", make: phone(func(m *maker) [][]byte {
			return m.codes(worldtest.ProverA, worldtest.ProverB)
		})},
		{name: "MSP closed later", why: "What a closed party signed before counts.", registry: "msp-closed-later", after: 2 * day, make: one(nil)},
		{name: "MSP expelled later", why: "The DP's clock puts the signature before the expulsion.", registry: "msp-expelled-later", after: 2 * day, make: one(nil)},
		{name: "DP closed later", why: "What a closed DP signed before counts until it runs out.", registry: "dp-closed-later", after: 2 * day, make: one(nil)},
		{name: "prover expelled later", why: "The DP's clock puts the receipt before the expulsion.", registry: "prover-expelled-later", after: 2 * day, make: one(nil)},
		{
			name: "MSP key retired later", why: "An old key stays listed with its validity.", registry: "msp-keys", after: day,
			make: one(func(d *draft) { d.sigs[1].key = worldtest.Key(d.m.t, retiredKey) }),
		},
	}, slices.Concat(lineages(), words())...)
}

// seenOther bends a receipt to name another published key.
func seenOther(r *possession.Receipt) { r.KeySeen[0] ^= 1 }

func refused() []mappingCase {
	var all []mappingCase
	for _, group := range [][]mappingCase{
		malformedMessage(), malformedPayload(), malformedEntry(), outOfBounds(), badRoles(), badSigners(), badTimes(), badStanding(), badEvidence(), badWords(), badLineage(),
	} {
		all = append(all, group...)
	}
	return all
}

func malformedMessage() []mappingCase {
	const k = problem.MappingMalformed
	set := func(at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte { b = bytes.Clone(b); b[at] = to; return b }
	}
	return []mappingCase{
		{name: "empty", why: "No bytes.", expect: k, make: message(func([]byte) []byte { return []byte{} })},
		{name: "truncated", why: "The last byte is missing.", expect: k, make: message(func(b []byte) []byte { return b[:len(b)-1] })},
		{name: "trailing byte", why: "One byte after the message.", expect: k, make: message(func(b []byte) []byte { return append(bytes.Clone(b), 0) })},
		{name: "no tag", why: "COSE_Sign must be tagged.", expect: k, make: message(func(b []byte) []byte { return b[2:] })},
		{name: "tag of COSE_Sign1", why: "Tag 18 instead of 98.", expect: k, make: message(func(b []byte) []byte { return append([]byte{0xd2}, b[2:]...) })},
		{name: "tag in a longer form", why: "98 has one shortest form.", expect: k, make: message(func(b []byte) []byte { return append([]byte{0xd9, 0, 98}, b[2:]...) })},
		{name: "self-described CBOR", why: "No tag but COSE_Sign's.", expect: k, make: message(func(b []byte) []byte { return append([]byte{0xd9, 0xd9, 0xf7}, b...) })},
		{name: "array of indefinite length", why: "Lengths are definite.", expect: k, make: message(func(b []byte) []byte { return append(set(2, 0x9f)(b), 0xff) })},
		{name: "array length in a longer form", why: "4 has one shortest form.", expect: k, make: message(func(b []byte) []byte { return insertAt(3, 4)(set(2, 0x98)(b)) })},
		{name: "five elements", why: "COSE_Sign has four.", expect: k, make: message(func(b []byte) []byte { return append(set(2, 0x85)(b), 0xf6) })},
		{name: "body header", why: "The body's protected header is empty.", expect: k, make: structure(func(s *coseSign) { s.Protected = []byte{0xa0} })},
		{name: "body unprotected header", why: "Unprotected maps are empty.", expect: k, make: structure(func(s *coseSign) { s.Unprotected = tree{1: 1} })},
		{name: "unprotected header", why: "Unprotected maps are empty.", expect: k, make: structure(func(s *coseSign) { s.Signatures[0].Unprotected = tree{1: 1} })},
		{name: "signature of 63 bytes", why: "Ed25519 has 64.", expect: k, make: structure(func(s *coseSign) { s.Signatures[0].Signature = s.Signatures[0].Signature[:63] })},
		{name: "no payload", why: "A detached payload is not taken.", expect: k, make: structure(func(s *coseSign) { s.Payload = nil })},
		{name: "payload as text", why: "The payload is a byte string.", expect: k, make: structure(func(s *coseSign) { s.Payload = "payload" })},
		{name: "algorithm EdDSA", why: "Ed25519 is named in full: -19, not -8.", expect: k, make: header(func(h tree) { h[1] = -8 })},
		{name: "nothing critical", why: "Our parameters are critical.", expect: k, make: header(func(h tree) { h[2] = []int64{} })},
		{name: "no list of what is critical", why: "Our parameters are critical.", expect: k, make: header(func(h tree) { delete(h, 2) })},
		{name: "another critical label", why: "Nothing else is understood.", expect: k, make: header(func(h tree) { h[2] = []int64{-65537, -65538}; h[-65538] = 1 })},
		{name: "kid of 15 bytes", why: "A kid has 16.", expect: k, make: header(func(h tree) { h[4] = make([]byte, 15) })},
		{name: "unknown header", why: "A content type.", expect: k, make: header(func(h tree) { h[3] = 60 })},
		{name: "unknown parameter", why: "A parameter that nobody knows is refused, not skipped.", expect: k, make: header(func(h tree) { params(h)[uint64(6)] = 1 })},
		{name: "no time", why: "Each signature has a time of its own.", expect: k, make: header(func(h tree) { delete(params(h), uint64(2)) })},
		{name: "time before 1970", why: "Times are not negative.", expect: k, make: header(func(h tree) { params(h)[uint64(2)] = -1 })},
		{name: "end written as zero", why: "What is zero is left out.", expect: k, make: header(func(h tree) { params(h)[uint64(3)] = 0 })},
		{name: "larger than 6 KiB", why: "A bound before anything is read.", expect: k, make: message(func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, mapping.MaxSize)...) })},
		{name: "seventeen signatures", why: "At most 16.", expect: k, make: structure(func(s *coseSign) {
			for len(s.Signatures) < 17 {
				s.Signatures = append(s.Signatures, s.Signatures[1])
			}
		})},
	}
}

func malformedPayload() []mappingCase {
	const k = problem.MappingMalformed
	return []mappingCase{
		{name: "unknown claim", why: "A claim that nobody knows is refused, not skipped.", expect: k, make: claim(func(p, _ tree) { p[5] = 1 })},
		{name: "unknown private claim", why: "Likewise inside.", expect: k, make: claim(func(_, w tree) { w[12] = 1 })},
		{name: "no issuer", why: "A missing claim.", expect: k, make: claim(func(p, _ tree) { delete(p, 1) })},
		{name: "no holder key", why: "A missing claim.", expect: k, make: claim(func(p, _ tree) { delete(p, 8) })},
		{name: "null expiry", why: "null is no value.", expect: k, make: claim(func(p, _ tree) { p[4] = nil })},
		{name: "expiry as text", why: "Times are integers.", expect: k, make: claim(func(p, _ tree) { p[4] = "2027" })},
		{name: "expiry as floating point", why: "Times are integers; there are no floating-point numbers.", expect: k, make: claim(func(p, _ tree) { p[4] = 1.5 })},
		{name: "version 2", why: "A version that is not known.", expect: k, make: claim(func(_, w tree) { w[0] = 2 })},
		{name: "CSI not canonical", why: "Bob@ instead of bob@.", expect: k, make: claim(func(p, _ tree) { p[2] = "mailto:Bob@example.org" })},
		{name: "CSI of an unknown scheme", why: "sip: is no CSI here.", expect: k, make: claim(func(p, _ tree) { p[2] = "sip:bob@example.org" })},
		{name: "DP in capitals", why: "Names of parties are in lower case.", expect: k, make: claim(func(p, _ tree) { p[1] = "DP.example" })},
		{name: "short mapping id", why: "15 bytes.", expect: k, make: claim(func(p, _ tree) { p[7] = make([]byte, 15) })},
		{name: "short lineage", why: "15 bytes.", expect: k, make: claim(func(_, w tree) { w[2] = make([]byte, 15) })},
		{name: "short DP nonce", why: "15 bytes.", expect: k, make: claim(func(_, w tree) { w[10] = make([]byte, 15) })},
		{name: "short predecessor", why: "31 bytes.", expect: k, make: claim(func(_, w tree) { w[3], w[4] = 1, make([]byte, 31) })},
		{name: "short receipt digest", why: "31 bytes.", expect: k, make: claim(func(_, w tree) { w[11] = [][]byte{make([]byte, 31)} })},
		{name: "first written as false", why: "What is false is left out.", expect: k, make: claim(func(_, w tree) { w[5] = false })},
		{name: "sequence written as zero", why: "What is zero is left out.", expect: k, make: claim(func(_, w tree) { w[3] = 0 })},
		{name: "entries written as empty", why: "What is empty is left out.", expect: k, make: claim(func(_, w tree) { w[1] = []any{} })},
		{name: "holder key of small order", why: "Such a key signs for nobody.", expect: k, make: claim(func(p, _ tree) {
			p[8] = tree{1: tree{1: 1, -1: 6, -2: append([]byte{1}, make([]byte, 31)...)}}
		})},
		{name: "holder key on another curve", why: "P-256.", expect: k, make: claim(func(p, _ tree) {
			p[8] = tree{1: tree{1: 2, -1: 1, -2: make([]byte, 32)}}
		})},
		{name: "holder key with more members", why: "A COSE_Key of kty, crv and x alone.", expect: k, make: claim(func(p, _ tree) {
			p[8].(tree)[1].(tree)[3] = -19
		})},
		{name: "duplicate claim", why: "exp twice.", expect: k, make: encoded(func(b []byte) []byte {
			at := bytes.Index(b, []byte{0x04, 0x1a})
			b = insertAt(at, b[at:at+6]...)(b)
			b[0]++
			return b
		})},
		{name: "claims out of order", why: "Keys are sorted bytewise.", expect: k, make: encoded(func(b []byte) []byte {
			at := bytes.Index(b, []byte{0x04, 0x1a}) // exp and then iat, six bytes each
			swapped := append(bytes.Clone(b[at+6:at+12]), b[at:at+6]...)
			copy(b[at:], swapped)
			return b
		})},
		{name: "expiry in a longer form", why: "Eight bytes for what fits into four.", expect: k, make: encoded(func(b []byte) []byte {
			at := bytes.Index(b, []byte{0x04, 0x1a})
			b[at+1] = 0x1b
			return insertAt(at+2, 0, 0, 0, 0)(b)
		})},
		{name: "map of indefinite length", why: "Lengths are definite.", expect: k, make: encoded(func(b []byte) []byte {
			b[0] = 0xbf
			return append(b, 0xff)
		})},
		{name: "text that is not UTF-8", why: "In the CSI.", expect: k, make: encoded(func(b []byte) []byte {
			b[bytes.Index(b, []byte("bob@"))] = 0xff
			return b
		})},
		{name: "bytes after the claims", why: "The payload is one item.", expect: k, make: encoded(func(b []byte) []byte { return append(b, 0) })},
	}
}

func malformedEntry() []mappingCase {
	const bounds = problem.MappingClaims
	words := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = mapping.TagPersonal
		}
		return out
	}
	return []mappingCase{
		{name: "entry of five elements", why: "An entry has four.", expect: problem.MappingMalformed, make: claim(func(_, w tree) {
			w[1].([]any)[0] = append(w[1].([]any)[0].([]any), 1)
		})},
		{name: "short MSP nonce", why: "15 bytes.", expect: problem.MappingMalformed, make: entry(func(e []any) { e[3] = make([]byte, 15) })},
		{name: "URI of another provider", why: "mimi:// leads to whoever signs.", expect: bounds, make: entry(func(e []any) { e[1] = "mimi://" + worldtest.MSPB })},
		{name: "URI with a path", why: "The provider, no user.", expect: bounds, make: entry(func(e []any) { e[1] = "mimi://" + worldtest.MSPA + "/u/bob" })},
		{name: "https URI", why: "Another scheme.", expect: bounds, make: entry(func(e []any) { e[1] = "https://" + worldtest.MSPA })},
		{name: "Default in a list", why: "Default stands alone.", expect: bounds, make: entry(func(e []any) { e[2] = []string{mapping.TagDefault, mapping.TagBusiness} })},
		{name: "tag twice", why: "A tag stands once.", expect: bounds, make: entry(func(e []any) { e[2] = words(2) })},
		{name: "nine tags", why: "At most eight.", expect: bounds, make: entry(func(e []any) { e[2] = words(9) })},
		{name: "tag of 33 bytes", why: "At most 32.", expect: bounds, make: entry(func(e []any) { e[2] = []string{string(bytes.Repeat([]byte{'a'}, 33))} })},
		{name: "free word", why: "Everybody who asks would read it.", expect: bounds, make: entry(func(e []any) { e[2] = []string{"friends"} })},
		{name: "default in lower case", why: "Registered words are taken as they are.", expect: bounds, make: entry(func(e []any) { e[2] = []string{"default"} })},
		{name: "name of another MSP as tag", why: "An MSP's name is a tag of its own entry only.", expect: bounds, make: entry(func(e []any) { e[2] = []string{worldtest.MSPB} })},
		{name: "MSP twice", why: "Each MSP has one entry.", expect: bounds, make: claim(func(_, w tree) { w[1] = append(w[1].([]any), w[1].([]any)[0]) })},
		{name: "nine MSPs", why: "At most eight.", expect: bounds, make: claim(func(_, w tree) {
			for i := range mapping.MaxEntries {
				w[1] = append(w[1].([]any), []any{mspNumber(i), "mimi://" + mspNumber(i), []string{}, make([]byte, 16)})
			}
		})},
	}
}

func outOfBounds() []mappingCase {
	const k = problem.MappingClaims
	digests := func(n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = append([]byte{byte(i)}, make([]byte, 31)...)
		}
		return out
	}
	return []mappingCase{
		{name: "expires when issued", why: "A life of no length.", expect: k, make: claim(func(p, _ tree) { p[4] = p[6] })},
		{name: "later without predecessor", why: "Sequence 1 follows something.", expect: k, make: claim(func(_, w tree) { w[3] = 1; delete(w, 5) })},
		{name: "first with predecessor", why: "Sequence 0 follows nothing.", expect: k, make: claim(func(_, w tree) { w[4] = append(make([]byte, 31), 1) })},
		{name: "first at sequence 1", why: "Only sequence 0 starts a lineage.", expect: k, make: claim(func(_, w tree) { w[3], w[4] = 1, append(make([]byte, 31), 1) })},
		{name: "sequence 2^32", why: "At most 2^32 - 1.", expect: k, make: claim(func(_, w tree) {
			w[3], w[4] = uint64(1)<<32, append(make([]byte, 31), 1)
			delete(w, 5)
		})},
		{name: "re-prove term of six days", why: "7 to 30.", expect: k, make: claim(func(_, w tree) { w[9] = 6 })},
		{name: "re-prove term of 31 days", why: "7 to 30.", expect: k, make: claim(func(_, w tree) { w[9] = 31 })},
		{name: "no receipt named", why: "A mapping rests on evidence.", expect: k, make: claim(func(_, w tree) { w[11] = [][]byte{} })},
		{name: "nine receipts named", why: "At most eight.", expect: k, make: claim(func(_, w tree) { w[11] = digests(9) })},
		{name: "residency unsorted", why: "A set has one order.", expect: k, make: claim(func(_, w tree) { w[6] = []string{"DE", "CH"} })},
		{name: "residency twice", why: "A set has no repetition.", expect: k, make: claim(func(_, w tree) { w[6] = []string{"CH", "CH"} })},
		{name: "residency in lower case", why: "ISO 3166-1 alpha-2.", expect: k, make: claim(func(_, w tree) { w[6] = []string{"ch"} })},
		{name: "nine copies", why: "At most eight DPs.", expect: k, make: claim(func(_, w tree) {
			w[8] = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example", "h.example", "i.example"}
		})},
	}
}

// badRoles: signatures that are missing, doubled, swapped or misnamed. The
// order in a draft of two MSPs is holder, MSP A, MSP B, DP.
func badRoles() []mappingCase {
	keep := func(places ...int) func(*maker) mapping.Bundle {
		return two(func(d *draft) {
			all := d.sigs
			d.sigs = nil
			for _, i := range places {
				d.sigs = append(d.sigs, all[i])
			}
		})
	}
	const role = problem.SignatureRole
	return []mappingCase{
		{name: "no signature", why: "Nobody vouches.", expect: problem.HolderSignature, make: keep()},
		{name: "holder alone", why: "No DP.", expect: problem.DPMissing, make: keep(0)},
		{name: "holder and MSPs", why: "No DP.", expect: problem.DPMissing, make: keep(0, 1, 2)},
		{name: "DP alone", why: "R4: a DP makes no mapping by itself.", expect: problem.HolderSignature, make: keep(3)},
		{name: "MSPs and DP", why: "No holder.", expect: problem.HolderSignature, make: keep(1, 2, 3)},
		{name: "holder and DP", why: "No MSP.", expect: problem.MSPMissing, make: keep(0, 3)},
		{name: "first MSP missing", why: "Each listed MSP signs.", expect: problem.MSPMissing, make: keep(0, 2, 3)},
		{name: "second MSP missing", why: "Each listed MSP signs.", expect: problem.MSPMissing, make: keep(0, 1, 3)},
		{name: "MSPs swapped", why: "In the order of the entries.", expect: problem.MSPForeign, make: keep(0, 2, 1, 3)},
		{name: "one MSP for both", why: "Each for its own entry.", expect: problem.MSPForeign, make: keep(0, 1, 1, 3)},
		{name: "holder doubled", why: "Each once.", expect: role, make: keep(0, 0, 1, 2, 3)},
		{name: "MSP doubled", why: "Each once.", expect: role, make: keep(0, 1, 2, 2, 3)},
		{name: "DP doubled", why: "Each once.", expect: role, make: keep(0, 1, 2, 3, 3)},
		{name: "DP first", why: "The DP signs last.", expect: problem.DPMissing, make: keep(3, 0, 1, 2)},
		{name: "MSP where none is listed", why: "No more signatures than entries.", expect: role, make: func(m *maker) mapping.Bundle {
			return bent(m.draft(), func(d *draft) {
				d.sigs = []part{d.sigs[0], {worldtest.Key(m.t, worldtest.MSPA), key.LabelMapping, true, d.sigs[0].params}, d.sigs[1]}
				d.sigs[1].params.Role = 2
			})
		}},
		{name: "unknown role", why: "Role 9 in the DP's place.", expect: role, make: one(func(d *draft) { d.dp().params.Role = 9 })},
		{name: "holder with a kid", why: "The holder's key is in the payload.", expect: role, make: one(func(d *draft) { d.sigs[0].named = true })},
		{name: "MSP without a kid", why: "The kid says which key of the registry.", expect: role, make: one(func(d *draft) { d.sigs[1].named = false })},
		{name: "DP without a kid", why: "The kid says which key of the registry.", expect: role, make: one(func(d *draft) { d.dp().named = false })},
		{name: "MSP with an end", why: "Only the DP's signature has one.", expect: role, make: one(func(d *draft) { d.sigs[1].params.Until = d.sigs[1].params.Time + 1 })},
		{name: "holder with a finding", why: "Only the DP finds.", expect: role, make: one(func(d *draft) { d.sigs[0].params.Found = 1 })},
		{name: "DP without a finding", why: "The DP says what it found.", expect: role, make: one(func(d *draft) { d.dp().params.Found = 0 })},
		{name: "DP with an unknown finding", why: "1 to 4.", expect: role, make: one(func(d *draft) { d.dp().params.Found = 5 })},
		{name: "admission with a time of admission", why: "Only a renewal has one.", expect: role, make: one(func(d *draft) { d.dp().params.Admitted = 1 })},
		{name: "renewal without a time of admission", why: "A renewal says when the DP signed first.", expect: role, make: one(func(d *draft) {
			d.dp().params.Role, d.dp().label = 4, key.LabelRenewal
		})},
		{name: "renewal before admission", why: "A renewal comes later.", expect: role, make: one(func(d *draft) {
			d.dp().params.Role, d.dp().label, d.dp().params.Admitted = 4, key.LabelRenewal, d.dp().params.Time+1
		})},
	}
}

func badSigners() []mappingCase {
	stranger := func(i int, name string) func(*maker) mapping.Bundle {
		return one(func(d *draft) { d.sigs[i].key = worldtest.Key(d.m.t, name) })
	}
	return []mappingCase{
		{name: "holder by another key", why: "The key of the payload signs.", expect: problem.HolderSignature, make: stranger(0, "mallory")},
		{name: "holder by the DP", why: "R4: a DP cannot stand in for the holder.", expect: problem.HolderSignature, make: stranger(0, worldtest.DP)},
		{name: "holder's signature broken", why: "One bit.", expect: problem.HolderSignature, make: structure(func(s *coseSign) { s.Signatures[0].Signature[0] ^= 1 })},
		{name: "holder under another label", why: "A signature made for one purpose is none for another.", expect: problem.HolderSignature, make: one(func(d *draft) { d.sigs[0].label = key.LabelWithdrawal })},
		{name: "MSP by a stranger", why: "A key that is in no registry.", expect: problem.SignerUnknown, make: stranger(1, "stranger")},
		{name: "MSP by the DP's key", why: "One key, one role.", expect: problem.SignerUnknown, make: stranger(1, worldtest.DP)},
		{name: "MSP by another MSP", why: "Not the one that is listed.", expect: problem.MSPForeign, make: stranger(1, worldtest.MSPB)},
		{name: "MSP under another label", why: "A signature made for one purpose is none for another.", expect: problem.MSPSignature, make: one(func(d *draft) { d.sigs[1].label = key.LabelReceipt })},
		{name: "MSP without the role", why: "Authority is read from the grant.", registry: "msp-without-role", expect: problem.SignerUnknown, make: one(nil)},
		{name: "MSP by a retired key", why: "The key's validity had ended.", registry: "msp-keys", after: day, expect: problem.SignerUnknown, make: one(func(d *draft) {
			d.sigs[1].key = worldtest.Key(d.m.t, retiredKey)
			d.sigs[1].params.Time++
			d.dp().params.Time++
		})},
		{name: "MSP by a future key", why: "The key's validity had not begun.", registry: "msp-keys", after: day, expect: problem.SignerUnknown, make: stranger(1, nextKey)},
		{name: "DP by a stranger", why: "A key that is in no registry.", expect: problem.SignerUnknown, make: stranger(2, "stranger")},
		{name: "DP by the MSP's key", why: "One key, one role.", expect: problem.SignerUnknown, make: stranger(2, worldtest.MSPA)},
		{name: "DP by another DP", why: "Not the one that the payload names.", expect: problem.DPForeign, make: stranger(2, dpB)},
		{name: "admission under the label of a renewal", why: "Role and label belong together.", expect: problem.DPSignature, make: one(func(d *draft) { d.dp().label = key.LabelRenewal })},
		{name: "renewal under the label of an admission", why: "Role and label belong together.", expect: problem.DPSignature, make: one(func(d *draft) {
			d.dp().params.Role, d.dp().params.Admitted = 4, d.dp().params.Time
		})},
		{name: "DP's signature broken", why: "The last bit.", expect: problem.DPSignature, make: structure(func(s *coseSign) { s.Signatures[2].Signature[63] ^= 1 })},
		{name: "payload changed after signing", why: "The DP's signature is looked at first.", expect: problem.DPSignature, make: message(func(b []byte) []byte {
			return bytes.Replace(b, []byte("bob@"), []byte("bot@"), 1)
		})},
	}
}

func badTimes() []mappingCase {
	shift := func(i int, by int64) func(*maker) mapping.Bundle {
		return one(func(d *draft) { d.sigs[i].params.Time += by })
	}
	return []mappingCase{
		{name: "holder not at the time of issue", why: "iat is the time of the holder's signature.", expect: problem.TimeOrder, make: shift(0, -1)},
		{name: "MSP before holder", why: "Who signs later has the later time.", expect: problem.TimeOrder, make: shift(1, -1)},
		{name: "DP before MSP", why: "Who signs later has the later time.", expect: problem.TimeOrder, make: one(func(d *draft) { d.dp().params.Time--; d.dp().params.Until-- })},
		{name: "admission before MSP, renewed", why: "A renewal's time of admission counts.", after: 2 * day, expect: problem.TimeOrder, make: one(func(d *draft) {
			at := d.dp().params.Time
			d.dp().label, d.dp().params = key.LabelRenewal, cose.Params{Role: 4, Time: at + 86400, Until: at + 2*86400 + 1, Found: 1, Admitted: at - 1}
		})},
		{name: "dated in the future", why: "More than 120 seconds.", after: -2*time.Minute - time.Second, expect: problem.TimeFuture, make: one(nil)},
		{name: "DP's signature run out", why: "Seven days.", after: 7 * day, expect: problem.MappingStale, make: one(nil)},
		{name: "DP without an end", why: "An end in 1970.", expect: problem.MappingStale, make: one(func(d *draft) { d.dp().params.Until = 0 })},
		{name: "DP signed for eight days", why: "At most seven.", expect: problem.MappingLife, make: one(func(d *draft) { d.dp().params.Until += 86400 })},
		{name: "expired", why: "At exp, even under a fresh DP signature.", after: 300 * day, expect: problem.MappingExpired, make: renewed(299 * day)},
		{name: "outlives its evidence", why: "One year and one second.", expect: problem.MappingLife, make: claims(func(c *mapping.Claims) { c.Expires = c.Issued.Add(mapping.MaxLife + time.Second) })},
	}
}

func badStanding() []mappingCase {
	const k = problem.SignerStanding
	return []mappingCase{
		{name: "MSP closed", why: "It signed after it had left.", registry: "msp-closed", expect: k, make: one(nil)},
		{name: "MSP expelled", why: "It signed after it was put out.", registry: "msp-expelled", expect: k, make: one(nil)},
		{name: "MSP expelled, the DP its own", why: "A DP of the same operator attests nothing.", registry: "msp-expelled-later-dp-of-its-operator", after: 2 * day, expect: k, make: one(nil)},
		{name: "DP closed", why: "It signed after it had left.", registry: "dp-closed", expect: k, make: one(nil)},
		{name: "DP expelled later", why: "Nobody else's clock stands behind the DP's signature.", registry: "dp-expelled-later", after: 2 * day, expect: k, make: one(nil)},
		{name: "prover expelled", why: "It signed after it was put out.", registry: "prover-expelled", expect: problem.ReceiptStanding, make: one(nil)},
		{name: "prover closed", why: "It signed after it had left.", registry: "prover-closed", expect: problem.ReceiptStanding, make: one(nil)},
	}
}

func badEvidence() []mappingCase {
	reply := func(m *maker) []byte { return m.receipt(possession.MailReply, worldtest.ProverA, nil) }
	// second makes the reply's receipt and another.
	second := func(kind possession.Kind, prover string, bend func(*maker, *possession.Receipt)) func(*maker) mapping.Bundle {
		return receipts(func(m *maker) [][]byte {
			return [][]byte{reply(m), m.receipt(kind, prover, func(r *possession.Receipt) {
				if bend != nil {
					bend(m, r)
				}
			})}
		})
	}
	// beside makes a good mapping and sends other receipts beside it.
	beside := func(change func([][]byte) [][]byte) func(*maker) mapping.Bundle {
		return func(m *maker) mapping.Bundle {
			b := m.draft(worldtest.MSPA).bundle()
			return mapping.Bundle{Mapping: b.Mapping, Receipts: change(b.Receipts)}
		}
	}
	const witness = possession.MailWitness
	return []mappingCase{
		{name: "no receipts", why: "Two are named.", expect: problem.ReceiptSet, make: beside(func([][]byte) [][]byte { return nil })},
		{name: "receipt missing", why: "Two are named.", expect: problem.ReceiptSet, make: beside(func(r [][]byte) [][]byte { return r[:1] })},
		{name: "receipts swapped", why: "In the order of their digests.", expect: problem.ReceiptSet, make: beside(func(r [][]byte) [][]byte { return [][]byte{r[1], r[0]} })},
		{name: "receipt too many", why: "Two are named.", expect: problem.ReceiptSet, make: beside(func(r [][]byte) [][]byte { return [][]byte{r[0], r[1], r[1]} })},
		{name: "receipt malformed", why: "Truncated.", expect: problem.ReceiptMalformed, make: receipts(func(m *maker) [][]byte {
			r := reply(m)
			return [][]byte{r[:len(r)-1]}
		})},
		{name: "receipt repeated", why: "One is no two.", expect: problem.ReceiptRepeated, make: receipts(func(m *maker) [][]byte { return [][]byte{reply(m), reply(m)} })},
		{name: "receipt's signature broken", why: "One bit.", expect: problem.ReceiptSigner, make: receipts(func(m *maker) [][]byte {
			r := m.MailReceipts(m.id, worldtest.Key(m.t, holder).Public(), m.Now)
			r[1][len(r[1])-1] ^= 1
			return r
		})},
		{name: "one prover alone", why: "R5: one party's word is level 1.", expect: problem.EvidenceLevel, make: receipts(func(m *maker) [][]byte { return [][]byte{reply(m)} })},
		{name: "one prover alone where level 1 is agreed", why: "Level 1 is never enough.", registry: "level-1", expect: problem.EvidenceLevel, make: receipts(func(m *maker) [][]byte { return [][]byte{reply(m)} })},
		{name: "witnesses only", why: "Nobody challenged the mailbox.", expect: problem.EvidenceLevel, make: receipts(func(m *maker) [][]byte {
			return [][]byte{m.receipt(witness, worldtest.ProverA, nil), m.receipt(witness, worldtest.ProverB, nil)}
		})},
		{name: "two provers of one operator", why: "Operators are counted.", expect: problem.EvidenceLevel, make: second(witness, proverE, nil)},
		{name: "different keys seen", why: "Level 2 where level 4 is agreed.", expect: problem.EvidenceLevel, make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { seenOther(r) })},
		{name: "no key seen", why: "Level 2 where level 4 is agreed.", expect: problem.EvidenceLevel, make: receipts(func(m *maker) [][]byte {
			none := func(r *possession.Receipt) { r.KeySeen = [32]byte{} }
			return [][]byte{m.receipt(possession.MailReply, worldtest.ProverA, none), m.receipt(witness, worldtest.ProverB, none)}
		})},
		{name: "different artefacts", why: "Each about another mail.", expect: problem.EvidenceLevel, make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { r.Artefact[0] ^= 1 })},
		{name: "weakest link", why: "One of two saw level 3.", expect: problem.EvidenceLevel, make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { r.Level = possession.Level3 })},
		{
			name: "scheme that nobody agreed on", why: "Without an agreed level the highest is asked for.", registry: "no-levels", expect: problem.EvidenceLevel,
			make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { r.Level = possession.Level3 }),
		},
		{name: "code alone", why: "R5: one party's word is level 1.", expect: problem.EvidenceLevel, make: phone(func(m *maker) [][]byte {
			return m.codes(worldtest.ProverA, worldtest.ProverB)[:1]
		})},
		{name: "two codes by message", why: "One channel: whoever owns it owns both.", expect: problem.EvidenceLevel, make: phone(func(m *maker) [][]byte {
			return [][]byte{m.codes(worldtest.ProverA, worldtest.ProverB)[0], m.codes(worldtest.ProverB, worldtest.ProverA)[0]}
		})},
		{name: "two codes of one operator", why: "Operators are counted.", expect: problem.EvidenceLevel, make: phone(func(m *maker) [][]byte {
			return m.codes(worldtest.ProverA, proverE)
		})},
		{name: "mail reply for a telephone number", why: "A kind speaks for its own kind of CSI.", expect: problem.EvidenceKind, make: phone(func(m *maker) [][]byte {
			return m.MailReceipts(m.id, worldtest.Key(m.t, holder).Public(), m.Now)
		})},
		{name: "codes for a mail address", why: "A kind speaks for its own kind of CSI.", expect: problem.EvidenceKind, make: receipts(func(m *maker) [][]byte {
			return m.codes(worldtest.ProverA, worldtest.ProverB)
		})},
		{name: "prover of the DP's operator", why: "R5: a DP does not vouch for itself.", expect: problem.ReceiptDependent, make: second(witness, proverC, nil)},
		{name: "prover of the MSP's operator", why: "An MSP does not vouch for itself.", expect: problem.ReceiptDependent, make: second(witness, proverD, nil)},
		{name: "DP bought by the prover's operator", why: "As the registry stands now.", registry: "prover-of-dp", expect: problem.ReceiptDependent, make: one(nil)},
		{name: "receipt by a stranger", why: "A key that is in no registry.", expect: problem.ReceiptSigner, make: second(witness, "stranger", nil)},
		{name: "receipt by the DP", why: "R5: the key has another role.", expect: problem.ReceiptSigner, make: second(witness, worldtest.DP, nil)},
		{name: "receipt for another CSI", why: "A receipt binds one CSI.", expect: problem.ReceiptForeign, make: second(witness, worldtest.ProverB, func(m *maker, r *possession.Receipt) {
			r.Subject = possession.SubjectOf(worldtest.CSI(m.t, "mailto:carol@example.org"), worldtest.Key(m.t, holder).Public())
		})},
		{name: "receipt for another key", why: "R6: a receipt binds one key.", expect: problem.ReceiptForeign, make: second(witness, worldtest.ProverB, func(m *maker, r *possession.Receipt) {
			r.Subject = possession.SubjectOf(m.id, worldtest.Key(m.t, "mallory").Public())
		})},
		{name: "unknown kind of evidence", why: "Kind 99.", expect: problem.EvidenceKind, make: second(99, worldtest.ProverB, nil)},
		{name: "evidence after its receipt", why: "A prover signs what it has seen.", expect: problem.ReceiptOrder, make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { r.Evidence = r.Signed.Add(time.Second) })},
		{name: "receipt after the holder", why: "The holder signs what has been shown.", expect: problem.ReceiptOrder, make: second(witness, worldtest.ProverB, func(_ *maker, r *possession.Receipt) { r.Signed = r.Signed.Add(time.Second) })},
	}
}
