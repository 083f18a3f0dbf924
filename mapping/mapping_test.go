package mapping_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/cose"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/possession"
	"whither/registry"
)

const address = "bob@example.org"

func verify(f *worldtest.Federation, b mapping.Bundle, at time.Time) (mapping.Verified, error) {
	u, err := mapping.Parse(b)
	if err != nil {
		return mapping.Verified{}, err
	}
	return mapping.PolicyAt(f.Snapshot(), at).Verify(u)
}

func TestR06VerifyOfflineWithRegistryAlone(t *testing.T) {
	f := worldtest.New(t)
	made := f.Mapping(address, "bob", worldtest.MSPA)
	v, err := verify(f, made.Bundle(), f.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := v.Claims()
	if c.CSI.Canonical() != "mailto:"+address || c.Holder != worldtest.Key(t, "bob").Public() ||
		len(c.Entries) != 1 || c.Entries[0].URI != "mimi://"+worldtest.MSPA {
		t.Errorf("unexpected claims %+v", c)
	}
	if v.Evidence().Level != possession.Level4 || v.Found() != mapping.FoundFirst || v.Digest() != made.Digest() {
		t.Errorf("level %d, found %d", v.Evidence().Level, v.Found())
	}
	if !v.Until().Equal(f.Now.Add(mapping.MaxDPLife)) {
		t.Errorf("good until %s", v.Until())
	}
}

// TestSizes holds the figures of design section 13.
func TestSizes(t *testing.T) {
	f := worldtest.New(t)
	b := f.Mapping(address, "bob", worldtest.MSPA).Bundle()
	t.Logf("one MSP signed: %d bytes; receipts: %d and %d; all: %d", len(b.Mapping), len(b.Receipts[0]), len(b.Receipts[1]), b.Size())
	if len(b.Mapping) > 700 {
		t.Errorf("one MSP signed takes %d bytes, at most 700", len(b.Mapping))
	}
	if b.Size() > 1280 {
		t.Errorf("with mail evidence %d bytes, at most 1,280", b.Size())
	}
}

// part is one signature of a hand-made mapping.
type part struct {
	key    key.Private
	label  key.Label
	named  bool
	params cose.Params
}

// forge signs a good payload with arbitrary signatures.
func forge(t *testing.T, f *worldtest.Federation, bend func(*mapping.Claims), parts ...part) mapping.Bundle {
	t.Helper()
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	c := f.Claims(id, holder.Public(), "forge", worldtest.MSPA, worldtest.MSPB)
	if bend != nil {
		bend(&c)
	}
	u, err := c.Sign(holder, f.MailReceipts(id, holder.Public(), f.Now), f.Now)
	if err != nil {
		t.Fatal(err)
	}
	m, err := cose.Parse(u.Bundle().Mapping, mapping.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	m.Signatures = nil
	for _, p := range parts {
		if m, err = m.With(p.label, p.key, p.named, p.params); err != nil {
			t.Fatal(err)
		}
	}
	b, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return mapping.Bundle{Mapping: b, Receipts: u.Bundle().Receipts}
}

// signers are the four honest signatures over the payload of forge.
func signers(t *testing.T, f *worldtest.Federation) (holder, mspA, mspB, dp part) {
	at := f.Now.Unix()
	holder = part{worldtest.Key(t, "bob"), key.LabelMapping, false, cose.Params{Role: 1, Time: at}}
	mspA = part{worldtest.Key(t, worldtest.MSPA), key.LabelMapping, true, cose.Params{Role: 2, Time: at}}
	mspB = part{worldtest.Key(t, worldtest.MSPB), key.LabelMapping, true, cose.Params{Role: 2, Time: at}}
	dp = part{worldtest.Key(t, worldtest.DP), key.LabelMapping, true, cose.Params{Role: 3, Time: at, Until: at + 7*86400, Found: 1}}
	return holder, mspA, mspB, dp
}

// TestR04EverySubsetOfSignaturesRefused: of the 16 subsets of the four
// signatures only the whole one is a mapping; every other has its own reason.
func TestR04EverySubsetOfSignaturesRefused(t *testing.T) {
	f := worldtest.New(t)
	holder, mspA, mspB, dp := signers(t, f)
	all := []part{holder, mspA, mspB, dp}
	for subset := range 1 << len(all) {
		var parts []part
		for i, p := range all {
			if subset>>i&1 == 1 {
				parts = append(parts, p)
			}
		}
		_, err := verify(f, forge(t, f, nil, parts...), f.Now)
		var want error
		hasHolder, hasDP := subset&1 != 0, subset&8 != 0
		switch {
		case subset == 15:
		case subset == 0:
			want = mapping.ErrHolderSig
		case !hasDP:
			want = mapping.ErrDPMissing
		case !hasHolder:
			want = mapping.ErrHolderSig
		default:
			want = mapping.ErrMSPMissing
		}
		if !errors.Is(err, want) {
			t.Errorf("subset %04b: got %v, want %v", subset, err, want)
		}
	}
}

func with(p part, bend func(*part)) part {
	bend(&p)
	return p
}

func TestR02SignaturesDoubledSwappedForeignOrOutOfTime(t *testing.T) {
	f := worldtest.New(t)
	holder, mspA, mspB, dp := signers(t, f)
	stranger := worldtest.Key(t, "stranger")
	tests := []struct {
		name  string
		parts []part
		at    time.Time
		want  error
	}{
		{"good", []part{holder, mspA, mspB, dp}, f.Now, nil},
		{"MSPs swapped", []part{holder, mspB, mspA, dp}, f.Now, mapping.ErrMSPForeign},
		{"one MSP for both", []part{holder, mspA, mspA, dp}, f.Now, mapping.ErrMSPForeign},
		{"holder doubled", []part{holder, holder, mspA, mspB, dp}, f.Now, mapping.ErrRole},
		{"MSP doubled", []part{holder, mspA, mspB, mspB, dp}, f.Now, mapping.ErrRole},
		{"DP doubled", []part{holder, mspA, mspB, dp, dp}, f.Now, mapping.ErrRole},
		{"DP first", []part{dp, holder, mspA, mspB}, f.Now, mapping.ErrDPMissing},
		{"holder by another key", []part{with(holder, func(p *part) { p.key = stranger }), mspA, mspB, dp}, f.Now, mapping.ErrHolderSig},
		{"holder with a kid", []part{with(holder, func(p *part) { p.named = true }), mspA, mspB, dp}, f.Now, mapping.ErrRole},
		{"MSP by a stranger", []part{holder, with(mspA, func(p *part) { p.key = stranger }), mspB, dp}, f.Now, mapping.ErrSigner},
		{"MSP by the DP's key", []part{holder, with(mspA, func(p *part) { p.key = dp.key }), mspB, dp}, f.Now, mapping.ErrSigner},
		{"MSP without kid", []part{holder, with(mspA, func(p *part) { p.named = false }), mspB, dp}, f.Now, mapping.ErrRole},
		{"DP by the MSP's key", []part{holder, mspA, mspB, with(dp, func(p *part) { p.key = mspA.key })}, f.Now, mapping.ErrSigner},
		{"DP by a stranger", []part{holder, mspA, mspB, with(dp, func(p *part) { p.key = stranger })}, f.Now, mapping.ErrSigner},
		{"unknown role", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Role = 9 })}, f.Now, mapping.ErrRole},
		{"other label", []part{holder, with(mspA, func(p *part) { p.label = key.LabelReceipt }), mspB, dp}, f.Now, mapping.ErrMSPSig},
		{"DP label of a renewal", []part{holder, mspA, mspB, with(dp, func(p *part) { p.label = key.LabelRenewal })}, f.Now, mapping.ErrDPSig},
		{"MSP before holder", []part{holder, with(mspA, func(p *part) { p.params.Time-- }), mspB, dp}, f.Now, mapping.ErrTimeOrder},
		{"DP before MSP", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Time--; p.params.Until-- })}, f.Now, mapping.ErrTimeOrder},
		{"holder not at issue time", []part{with(holder, func(p *part) { p.params.Time-- }), mspA, mspB, dp}, f.Now, mapping.ErrTimeOrder},
		{"verified before it was made", []part{holder, mspA, mspB, dp}, f.Now.Add(-3 * time.Minute), mapping.ErrFuture},
		{"within skew", []part{holder, mspA, mspB, dp}, f.Now.Add(-time.Minute), nil},
		{"DP signature run out", []part{holder, mspA, mspB, dp}, f.Now.Add(mapping.MaxDPLife), mapping.ErrStale},
		{"DP signed for eight days", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Until += 86400 })}, f.Now, mapping.ErrLife},
		{"DP without end", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Until = 0 })}, f.Now, mapping.ErrStale},
		{"DP without finding", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Found = 0 })}, f.Now, mapping.ErrRole},
		{"MSP with an end", []part{holder, with(mspA, func(p *part) { p.params.Until = p.params.Time + 1 }), mspB, dp}, f.Now, mapping.ErrRole},
		{"admission that claims a past", []part{holder, mspA, mspB, with(dp, func(p *part) { p.params.Admitted = 1 })}, f.Now, mapping.ErrRole},
		{"expired", []part{holder, mspA, mspB, dp}, f.Now.Add(301 * 24 * time.Hour), mapping.ErrExpired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := verify(f, forge(t, f, nil, test.parts...), test.at); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestR21StandingIsJudgedNow(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name, party string
		state       registry.State
		since       time.Duration // after the mapping was made
		want        error
	}{
		{"MSP closed later", worldtest.MSPA, registry.Closed, day, nil},
		{"MSP closed before", worldtest.MSPA, registry.Closed, -day, mapping.ErrStanding},
		{"MSP expelled after admission", worldtest.MSPA, registry.Expelled, day, nil},
		{"MSP expelled since before", worldtest.MSPA, registry.Expelled, -day, mapping.ErrStanding},
		{"DP expelled, nobody else's clock", worldtest.DP, registry.Expelled, day, mapping.ErrStanding},
		{"DP closed later", worldtest.DP, registry.Closed, day, nil},
		{"prover expelled after admission", worldtest.ProverA, registry.Expelled, day, nil},
		{"prover expelled since before", worldtest.ProverB, registry.Expelled, -day, possession.ErrStanding},
		{"prover closed before", worldtest.ProverB, registry.Closed, -day, possession.ErrStanding},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := worldtest.New(t)
			b := f.Mapping(address, "bob", worldtest.MSPA).Bundle()
			at := f.Now.Add(test.since)
			f.Grant(test.party).Standing = registry.Standing{State: test.state, Since: at.Unix()}
			if _, err := verify(f, b, f.Now.Add(2*day)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestR21ExpelledOperatorIsNoWitnessForItself: a DP run by the expelled MSP's
// operator cannot attest when the MSP signed.
func TestR21ExpelledOperatorIsNoWitnessForItself(t *testing.T) {
	f := worldtest.New(t)
	f.Grant(worldtest.DP).Operator = f.Grant(worldtest.MSPA).Operator
	b := f.Mapping(address, "bob", worldtest.MSPA).Bundle()
	f.Grant(worldtest.MSPA).Standing = registry.Standing{State: registry.Expelled, Since: f.Now.Add(time.Hour).Unix()}
	if _, err := verify(f, b, f.Now.Add(2*time.Hour)); !errors.Is(err, mapping.ErrStanding) {
		t.Errorf("got %v", err)
	}
}

func TestR05ReceiptsBindAndReachTheLevel(t *testing.T) {
	f := worldtest.New(t)
	id, other := worldtest.CSI(t, "mailto:"+address), worldtest.CSI(t, "mailto:carol@example.org")
	holder := worldtest.Key(t, "bob")
	good := func(kind possession.Kind) possession.Receipt { return f.Receipt(id, holder.Public(), kind, f.Now) }
	bent := func(kind possession.Kind, bend func(*possession.Receipt)) possession.Receipt {
		r := good(kind)
		bend(&r)
		return r
	}
	f.Add("prover-c.example", registry.RoleProver, nil)
	f.Grant("prover-c.example").Operator = f.Grant(worldtest.DP).Operator
	f.Add("prover-d.example", registry.RoleProver, nil)
	f.Grant("prover-d.example").Operator = f.Grant(worldtest.MSPA).Operator
	f.Add("prover-e.example", registry.RoleProver, nil)
	f.Grant("prover-e.example").Operator = f.Grant(worldtest.ProverA).Operator
	reply, witness := possession.MailReply, possession.MailWitness
	tests := []struct {
		name     string
		receipts [][]byte
		want     error
	}{
		{"good", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), worldtest.ProverB)}, nil},
		{"one prover alone", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA)}, mapping.ErrLevel},
		{"witnesses only", [][]byte{f.SignReceipt(good(witness), worldtest.ProverA), f.SignReceipt(good(witness), worldtest.ProverB)}, mapping.ErrLevel},
		{"two provers of one operator", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), "prover-e.example")}, mapping.ErrLevel},
		{"DP's own prover", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), "prover-c.example")}, possession.ErrDependent},
		{"MSP's own prover", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), "prover-d.example")}, possession.ErrDependent},
		{"a stranger", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), "stranger")}, possession.ErrUnknown},
		{"the DP as prover", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(witness), worldtest.DP)}, possession.ErrUnknown},
		{"another CSI", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(bent(witness, func(r *possession.Receipt) {
			r.Subject = possession.SubjectOf(other, holder.Public())
		}), worldtest.ProverB)}, possession.ErrForeign},
		{"another key", [][]byte{f.SignReceipt(bent(reply, func(r *possession.Receipt) {
			r.Subject = possession.SubjectOf(id, worldtest.Key(t, "mallory").Public())
		}), worldtest.ProverA), f.SignReceipt(good(witness), worldtest.ProverB)}, possession.ErrForeign},
		{"different keys seen", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(bent(witness, func(r *possession.Receipt) {
			r.KeySeen[0] ^= 1
		}), worldtest.ProverB)}, mapping.ErrLevel},
		{"no key seen", [][]byte{
			f.SignReceipt(bent(reply, func(r *possession.Receipt) { r.KeySeen = [32]byte{} }), worldtest.ProverA),
			f.SignReceipt(bent(witness, func(r *possession.Receipt) { r.KeySeen = [32]byte{} }), worldtest.ProverB),
		}, mapping.ErrLevel},
		{"different artefacts", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(bent(witness, func(r *possession.Receipt) {
			r.Artefact[0] ^= 1
		}), worldtest.ProverB)}, mapping.ErrLevel},
		{"weaker link", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(bent(witness, func(r *possession.Receipt) {
			r.Level = possession.Level3
		}), worldtest.ProverB)}, mapping.ErrLevel},
		{"unknown kind", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(99), worldtest.ProverB)}, possession.ErrKindUnknown},
		{"evidence after its receipt", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(bent(witness, func(r *possession.Receipt) {
			r.Evidence = r.Signed.Add(time.Second)
		}), worldtest.ProverB)}, possession.ErrOrder},
		{"receipt repeated", [][]byte{f.SignReceipt(good(reply), worldtest.ProverA), f.SignReceipt(good(reply), worldtest.ProverA)}, possession.ErrRepeated},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := f.Claims(id, holder.Public(), test.name, worldtest.MSPA)
			u := f.Propose(c, holder, test.receipts)
			if _, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(u); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestR05CodesNeedTwoChannelsAndOperators: one-time codes reach level 2 when
// two operators sent them over two channels.
func TestR05CodesNeedTwoChannelsAndOperators(t *testing.T) {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "tel:+41791234567"), worldtest.Key(t, "bob")
	good := f.CodeReceipts(id, holder.Public(), f.Now, worldtest.ProverA, worldtest.ProverB)
	other := f.CodeReceipts(id, holder.Public(), f.Now, worldtest.ProverB, worldtest.ProverA)
	for name, test := range map[string]struct {
		receipts [][]byte
		want     error
	}{
		"two channels, two operators": {good, nil},
		"one share":                   {good[:1], mapping.ErrLevel},
		"one channel twice":           {[][]byte{good[0], other[0]}, mapping.ErrLevel},
		"one operator twice":          {[][]byte{good[0], other[1]}, mapping.ErrLevel},
	} {
		c := f.Claims(id, holder.Public(), name, worldtest.MSPA)
		p, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(f.Propose(c, holder, test.receipts))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		if err == nil && p.Evidence().Level != possession.Level2 {
			t.Errorf("%s: level %d", name, p.Evidence().Level)
		}
	}
	b := f.Finish(f.Propose(f.Claims(id, holder.Public(), "size", worldtest.MSPA), holder, good), mapping.FoundFirst).Bundle()
	t.Logf("with two codes: %d bytes", b.Size())
	if b.Size() > 1024 {
		t.Errorf("with two code receipts %d bytes, at most 1,024", b.Size())
	}
}

// TestR21ReceiptsFromTheEndOfTime: provers that are closed cannot date their
// receipts so far ahead that the clock wraps around to a time when they were not.
func TestR21ReceiptsFromTheEndOfTime(t *testing.T) {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	end := time.Unix(1<<63-1, 0)
	for _, bend := range []func(*possession.Receipt){
		func(r *possession.Receipt) { r.Signed, r.Evidence = end, end },
		func(r *possession.Receipt) { r.Evidence = end },
	} {
		r := f.Receipt(id, holder.Public(), possession.MailReply, f.Now)
		bend(&r)
		if _, err := possession.Parse(f.SignReceipt(r, worldtest.ProverA)); !errors.Is(err, possession.ErrReceipt) {
			t.Errorf("got %v", err)
		}
	}
}

func TestReceiptSetIsTheNamedOne(t *testing.T) {
	f := worldtest.New(t)
	b := f.Mapping(address, "bob", worldtest.MSPA).Bundle()
	for name, receipts := range map[string][][]byte{
		"none": nil, "one missing": b.Receipts[:1], "swapped": {b.Receipts[1], b.Receipts[0]},
		"one more": {b.Receipts[0], b.Receipts[1], b.Receipts[0]},
	} {
		if _, err := verify(f, mapping.Bundle{Mapping: b.Mapping, Receipts: receipts}, f.Now); !errors.Is(err, mapping.ErrReceiptSet) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClaimsOutOfBounds(t *testing.T) {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	long := make([]string, 9)
	for i := range long {
		long[i] = mapping.TagPersonal
	}
	tests := []struct {
		name string
		bend func(*mapping.Claims)
	}{
		{"no CSI", func(c *mapping.Claims) { c.CSI = csi.ID{} }},
		{"other holder key", func(c *mapping.Claims) { c.Holder = worldtest.Key(t, "mallory").Public() }},
		{"MSP twice", func(c *mapping.Claims) { c.Entries = append(c.Entries, c.Entries[0]) }},
		{"URI of another", func(c *mapping.Claims) { c.Entries[0].URI = "mimi://" + worldtest.MSPB }},
		{"Default in a list", func(c *mapping.Claims) { c.Entries[0].Tags = []string{mapping.TagDefault, mapping.TagBusiness} }},
		{"nine tags", func(c *mapping.Claims) { c.Entries[0].Tags = long }},
		{"tag twice", func(c *mapping.Claims) { c.Entries[0].Tags = long[:2] }},
		{"free word", func(c *mapping.Claims) { c.Entries[0].Tags = []string{"friends"} }},
		{"first with predecessor", func(c *mapping.Claims) { c.Predecessor = mapping.Digest{1} }},
		{"later without predecessor", func(c *mapping.Claims) { c.Sequence, c.First = 1, false }},
		{"first at sequence 1", func(c *mapping.Claims) { c.Sequence, c.Predecessor = 1, mapping.Digest{1} }},
		{"expires at once", func(c *mapping.Claims) { c.Expires = f.Now }},
		{"re-prove term too short", func(c *mapping.Claims) { c.ReproveDays = 6 }},
		{"re-prove term too long", func(c *mapping.Claims) { c.ReproveDays = 31 }},
		{"copies unsorted", func(c *mapping.Claims) {
			c.CopyBy = []registry.PartyID{worldtest.Party(t, "dp-3.example"), worldtest.Party(t, "dp-2.example")}
		}},
		{"copy twice", func(c *mapping.Claims) {
			c.CopyBy = []registry.PartyID{worldtest.Party(t, "dp-2.example"), worldtest.Party(t, "dp-2.example")}
		}},
		{"residency unsorted", func(c *mapping.Claims) { c.Residency = []string{"FR", "CH"} }},
		{"residency lower case", func(c *mapping.Claims) { c.Residency = []string{"ch"} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := f.Claims(id, holder.Public(), test.name, worldtest.MSPA)
			test.bend(&c)
			if _, err := c.Sign(holder, f.MailReceipts(id, holder.Public(), f.Now), f.Now); !errors.Is(err, mapping.ErrClaims) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLifeEndsOneYearAfterEvidence(t *testing.T) {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	for _, test := range []struct {
		name    string
		expires time.Time
		want    error
	}{
		{"one year", f.Now.Add(mapping.MaxLife), nil},
		{"one second more", f.Now.Add(mapping.MaxLife + time.Second), mapping.ErrLife},
	} {
		c := f.Claims(id, holder.Public(), test.name, worldtest.MSPA)
		c.Expires = test.expires
		u := f.Propose(c, holder, f.MailReceipts(id, holder.Public(), f.Now))
		if _, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(u); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v", test.name, err)
		}
	}
}

func TestRenewal(t *testing.T) {
	f := worldtest.New(t)
	v := f.Mapping(address, "bob", worldtest.MSPA)
	later := f.Now.Add(5 * 24 * time.Hour)
	renewed, err := v.Renew(worldtest.Key(t, worldtest.DP), later, later.Add(30*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	got, err := verify(f, renewed.Bundle(), f.Now.Add(10*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Until().Equal(later.Add(mapping.MaxDPLife)) || !got.Admitted().Equal(f.Now) || got.Digest() != v.Digest() || got.Found() != v.Found() {
		t.Errorf("until %s, admitted %s", got.Until(), got.Admitted())
	}
	if _, err := verify(f, v.Bundle(), f.Now.Add(10*24*time.Hour)); !errors.Is(err, mapping.ErrStale) {
		t.Errorf("the old signature: %v", err)
	}
	twice, err := renewed.Renew(worldtest.Key(t, worldtest.DP), later.Add(time.Hour), later.Add(90*24*time.Hour))
	if err != nil || !twice.Admitted().Equal(f.Now) || len(twice.Bundle().Mapping) != len(renewed.Bundle().Mapping) {
		t.Errorf("renewed twice: %v, admitted %s", err, twice.Admitted())
	}
	if _, err := v.Renew(worldtest.Key(t, worldtest.MSPA), later, later); !errors.Is(err, mapping.ErrSigner) {
		t.Errorf("renewal by an MSP: %v", err)
	}
}

func TestFinishNeedsTheNamedDP(t *testing.T) {
	f := worldtest.New(t)
	f.Add("dp-2.example", registry.RoleDP, nil)
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	u := f.Propose(f.Claims(id, holder.Public(), "x", worldtest.MSPA), holder, f.MailReceipts(id, holder.Public(), f.Now))
	p, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(u)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(worldtest.Key(t, "dp-2.example"), f.Now, f.Now.Add(time.Hour), mapping.FoundFirst); !errors.Is(err, mapping.ErrDPForeign) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Finish(worldtest.Key(t, "stranger"), f.Now, f.Now.Add(time.Hour), mapping.FoundFirst); !errors.Is(err, mapping.ErrSigner) {
		t.Errorf("got %v", err)
	}
}

// TestR04MaliciousDPCannotMakeMapping plays a DP that owns its keys and a
// genuine mapping, and tries to make another out of them.
func TestR04MaliciousDPCannotMakeMapping(t *testing.T) {
	f := worldtest.New(t)
	dp, mallory := worldtest.Key(t, worldtest.DP), worldtest.Key(t, "mallory")
	genuine := f.Mapping(address, "bob", worldtest.MSPA)
	id := worldtest.CSI(t, "mailto:"+address)
	holder, mspA, mspB, dpSig := signers(t, f)
	asDP := func(p part) part { return with(p, func(p *part) { p.key = dp }) }
	attempts := map[string]mapping.Bundle{
		"all four by the DP":        forge(t, f, nil, asDP(holder), asDP(mspA), asDP(mspB), dpSig),
		"MSPs by the DP":            forge(t, f, nil, holder, asDP(mspA), asDP(mspB), dpSig),
		"holder by the DP":          forge(t, f, nil, asDP(holder), mspA, mspB, dpSig),
		"genuine receipts, new key": {},
	}
	// Bob's receipts do not speak for mallory's key, even with an MSP's help.
	c := f.Claims(id, mallory.Public(), "mallory", worldtest.MSPA)
	u := f.Propose(c, mallory, genuine.Bundle().Receipts)
	attempts["genuine receipts, new key"] = u.Bundle()
	for name, b := range attempts {
		if v, err := verify(f, b, f.Now); err == nil {
			t.Errorf("%s: accepted %s", name, v.Claims().ID)
		}
		u, err := mapping.Parse(b)
		if err != nil {
			continue
		}
		if _, err := mapping.PolicyAt(f.Snapshot(), f.Now).VerifyProposal(u); err == nil {
			t.Errorf("%s: accepted as a proposal", name)
		}
	}
}

func TestR19WithdrawalIsTheHoldersAlone(t *testing.T) {
	f := worldtest.New(t)
	v := f.Mapping(address, "bob", worldtest.MSPA)
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	other, err := mapping.Parse(f.Mapping("carol@example.org", "bob", worldtest.MSPA).Bundle())
	if err != nil {
		t.Fatal(err)
	}
	statement := func(k key.Private, at time.Time) mapping.Withdrawal {
		b, err := v.Claims().Withdraw(k, v.Digest(), at)
		if err != nil {
			t.Fatal(err)
		}
		w, err := mapping.ParseWithdrawal(b)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	good := statement(worldtest.Key(t, "bob"), f.Now)
	if err := good.Authorises(u, f.Now); err != nil {
		t.Error(err)
	}
	if err := good.Authorises(other, f.Now); !errors.Is(err, mapping.ErrWithdrawal) {
		t.Errorf("another mapping of the same key: %v", err)
	}
	for _, name := range []string{"mallory", worldtest.DP, worldtest.MSPA} {
		if err := statement(worldtest.Key(t, name), f.Now).Authorises(u, f.Now); !errors.Is(err, mapping.ErrWithdrawal) {
			t.Errorf("by %s: %v", name, err)
		}
	}
	if err := statement(worldtest.Key(t, "bob"), f.Now.Add(time.Hour)).Authorises(u, f.Now); !errors.Is(err, mapping.ErrFuture) {
		t.Errorf("future: %v", err)
	}
}

func TestEmptySetNeedsNoMSP(t *testing.T) {
	f := worldtest.New(t)
	id, holder := worldtest.CSI(t, "mailto:"+address), worldtest.Key(t, "bob")
	u := f.Propose(f.Claims(id, holder.Public(), "empty"), holder, f.MailReceipts(id, holder.Public(), f.Now))
	v := f.Finish(u, mapping.FoundFirst)
	if _, err := verify(f, v.Bundle(), f.Now); err != nil {
		t.Error(err)
	}
}

func FuzzParseCanonical(f *testing.F) {
	fed := worldtest.New(f)
	b := fed.Mapping(address, "bob", worldtest.MSPA).Bundle()
	f.Add(b.Mapping)
	snapshot := fed.Snapshot()
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, err := mapping.Parse(mapping.Bundle{Mapping: raw, Receipts: b.Receipts})
		if err != nil {
			return
		}
		if !bytes.Equal(u.Bundle().Mapping, raw) {
			t.Error("parse keeps other bytes than it was given")
		}
		if v, err := mapping.PolicyAt(snapshot, fed.Now).Verify(u); err == nil && !bytes.Equal(v.Bundle().Mapping, b.Mapping) {
			t.Error("a mutation of a mapping verifies")
		}
	})
}

func FuzzWithdrawal(f *testing.F) {
	fed := worldtest.New(f)
	v := fed.Mapping(address, "bob", worldtest.MSPA)
	u, err := mapping.Parse(v.Bundle())
	if err != nil {
		f.Fatal(err)
	}
	good, err := v.Claims().Withdraw(worldtest.Key(f, "bob"), v.Digest(), fed.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if w, err := mapping.ParseWithdrawal(raw); err == nil && w.Authorises(u, fed.Now) == nil && !bytes.Equal(raw, good) {
			t.Error("a mutation of a withdrawal authorises")
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	f := worldtest.New(b)
	bundle, s := f.Mapping(address, "bob", worldtest.MSPA).Bundle(), f.Snapshot()
	for b.Loop() {
		u, err := mapping.Parse(bundle)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := mapping.PolicyAt(s, f.Now).Verify(u); err != nil {
			b.Fatal(err)
		}
	}
}
