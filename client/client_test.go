package client_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"whither/client"
	"whither/client/offline"
	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/registry/tuf"
	"whither/wire"
)

// How enrolments and look-ups run against real servers is tested in
// internal/world and cmd/whither; here are the parts that need none.

func TestR06ExportVerifiesOffline(t *testing.T) {
	f := worldtest.New(t)
	v := f.Mapping("bob@example.org", "bob", worldtest.MSPA)
	root, set := f.Set()
	file, err := offline.New(v, set).Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, s, err := offline.Verify(file, root, f.Now)
	if err != nil || got.Digest() != v.Digest() || s.Version() != 1 {
		t.Fatalf("%v", err)
	}
	otherRoot := rootOfOthers(t)
	for name, test := range map[string]struct {
		file []byte
		root []byte
		at   time.Time
		want error
	}{
		"cut":           {file[:len(file)-1], root, f.Now, wire.ErrMalformed},
		"another root":  {file, otherRoot, f.Now, tuf.ErrUnsigned},
		"a month later": {file, root, f.Now.AddDate(0, 1, 0), mapping.ErrStale},
	} {
		if _, _, err := offline.Verify(test.file, test.root, test.at); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// rootOfOthers is the root of another federation.
func rootOfOthers(t *testing.T) []byte {
	t.Helper()
	k := worldtest.Key(t, "another root")
	one := tuf.Signers{Threshold: 1, Keys: []key.Public{k.Public()}}
	d, err := tuf.Authority{Root: one, Federation: one, Publication: k.Public()}.RootFile(1, time.Now().AddDate(20, 0, 0))
	if err == nil {
		d, err = d.Sign(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBatches: every CSI is in exactly one batch, in order, and each batch fits
// a request.
func TestBatches(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 1001, 2500} {
		var ids []csi.ID
		for i := range n {
			ids = append(ids, worldtest.CSI(t, fmt.Sprintf("mailto:a-rather-long-address-to-fill-a-request-%d@department.of.an-example.org", i)))
		}
		i := 0
		for part := range client.Batches(ids) {
			r := wire.LookupRequest{Federation: wire.FederationNone, Format: wire.FormatVerbose}
			for _, id := range part {
				if id != ids[i] {
					t.Fatalf("%d: out of order", i)
				}
				i++
				r.CSIs = append(r.CSIs, csi.Clear{ID: id})
			}
			b, err := wire.Encode(wire.TypeCBOR, r)
			if err != nil || len(b) > wire.MaxBody || len(part) > wire.MaxLookup || len(part) == 0 {
				t.Errorf("a batch of %d CSIs takes %d bytes, %v", len(part), len(b), err)
			}
		}
		if i != n {
			t.Errorf("%d of %d CSIs are asked about", i, n)
		}
	}
}

func TestMergedAnswersKeepTheWorst(t *testing.T) {
	a, b := worldtest.Party(t, worldtest.DP), worldtest.Party(t, "dp-2.example")
	all := client.MergeAsked(
		[]wire.AskedDP{{DP: a, Outcome: wire.AskedAnswered}, {DP: b, Outcome: wire.AskedLimited}},
		[]wire.AskedDP{{DP: a, Outcome: wire.AskedTimedOut}, {DP: b, Outcome: wire.AskedAnswered}})
	if len(all) != 2 || all[0].Outcome != wire.AskedTimedOut || all[1].Outcome != wire.AskedLimited {
		t.Errorf("%+v", all)
	}
}

// TestR15BitsAreReadWithTheirOwnTable: a hint of another registry version, of
// another length, or with a bit that is nobody's is refused, never guessed at.
func TestR15BitsAreReadWithTheirOwnTable(t *testing.T) {
	s := worldtest.New(t).Snapshot()
	good := wire.BitTable{Version: s.Version(), Length: s.BitLength()}
	got, err := client.ReadBits(s, []byte{0b10}, good)
	if err != nil || len(got) != 1 || got[0].String() != worldtest.MSPB {
		t.Errorf("%v, %v", got, err)
	}
	for name, test := range map[string]struct {
		bits  []byte
		table wire.BitTable
	}{
		"another version": {[]byte{0b10}, wire.BitTable{Version: good.Version + 1, Length: good.Length}},
		"another length":  {[]byte{0b10, 0}, wire.BitTable{Version: good.Version, Length: 9}},
		"too few bits":    {nil, good},
		"nobody's bit":    {[]byte{0b100}, good},
	} {
		if _, err := client.ReadBits(s, test.bits, test.table); !errors.Is(err, client.ErrAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
