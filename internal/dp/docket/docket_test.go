package docket_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// hold makes the write of a claim of carol's against bob.
func hold(t testing.TB) (docket.Write, csi.ID) {
	t.Helper()
	f := worldtest.New(t)
	v := f.Mapping("bob@example.org", "bob", worldtest.MSPA)
	now := f.Now.Add(time.Hour)
	k, err := docket.Read(v.Claims().CSI, docket.Case{Live: []docket.Stored{docket.StoredOf(v)}}, f.Snapshot(), precedence.Clock{Now: now, Served: now})
	if err != nil {
		t.Fatal(err)
	}
	id, carol := v.Claims().CSI, worldtest.Key(t, "carol")
	p, err := mapping.PolicyAt(f.Snapshot(), now).VerifyProposal(f.Propose(f.Claims(id, carol.Public(), "claim", worldtest.MSPB), carol, f.MailReceipts(id, carol.Public(), f.Now)))
	if err != nil {
		t.Fatal(err)
	}
	d := precedence.Decide(k.Facts, docket.Newcomer(p, precedence.Stranger), k.Clock)
	if d.Verdict != precedence.Hold {
		t.Fatalf("%+v", d)
	}
	w, err := k.Hold(d, p.Bundle())
	if err != nil {
		t.Fatal(err)
	}
	return w, id
}

// TestRecordsSayWhatWasMeant: a claim and its notices come back as they were.
func TestRecordsSayWhatWasMeant(t *testing.T) {
	w, id := hold(t)
	if len(w.Put) != 3 { // the claim, one MSP, the CSI itself
		t.Fatalf("%d records", len(w.Put))
	}
	who, c, err := docket.ReadClaim(w.Put[0])
	if err != nil || who != id || c.Phase != precedence.Held || len(c.Asked) != 1 || c.Asked[0].Hold != precedence.HoldEqual ||
		c.Asked[0].Term != 7*24*time.Hour || len(c.Bundle.Receipts) != 2 || !w.Put[0].Due.Equal(c.Next()) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, r := range w.Put[1:] {
		n, err := docket.ReadNotice(r)
		if err != nil || n.CSI != id || n.Kind != "claim" || !n.Until.Equal(c.Asked[0].Ends()) {
			t.Errorf("%+v, %v", n, err)
		}
		if bytes.Contains(r.Body, []byte("carol")) || bytes.Contains(r.Body, c.Holder[:]) {
			t.Error("a notice tells of the newcomer")
		}
	}
	for _, r := range w.Put {
		for n := range r.Body {
			cut := r
			cut.Body = r.Body[:n]
			_, _, err1 := docket.ReadClaim(cut)
			_, err2 := docket.ReadNotice(cut)
			if err1 == nil || err2 == nil {
				t.Fatalf("kind %d cut to %d bytes was read", r.Kind, n)
			}
		}
	}
}

func FuzzRecords(f *testing.F) {
	w, _ := hold(f)
	for _, r := range w.Put {
		f.Add(uint8(r.Kind), r.Body)
	}
	snapshot := worldtest.New(f).Snapshot()
	f.Fuzz(func(_ *testing.T, kind uint8, body []byte) {
		r := docket.Record{Kind: docket.RecordKind(kind), Body: body}
		_, _, _ = docket.ReadClaim(r)
		_, _ = docket.ReadNotice(r)
		k, err := docket.Read(csi.ID{}, docket.Case{Records: []docket.Record{r}}, snapshot, precedence.Clock{Now: time.Unix(1_800_000_000, 0)})
		if err == nil {
			_, _, _ = k.Advance(func(mapping.Bundle) (mapping.Verified, error) { return mapping.Verified{}, errors.New("no") })
		}
	})
}

func FuzzDecision(f *testing.F) {
	b, err := docket.Decision{Case: mapping.ID{1}, Newcomer: true, Reason: "seen both"}.Sign(worldtest.Key(f, "rita"), time.Unix(1_800_000_000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := docket.ParseDecision(raw)
		if err == nil && (len(raw) > docket.MaxDecision || d.Reason == "" || len(d.Reason) > docket.MaxReason) {
			t.Errorf("%x", raw)
		}
	})
}
