package batch_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"whither/internal/privacy/pir/batch"
	"whither/internal/privacy/pir/slot"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorPath = "../../../../vectors/private/buckets.json"

// vector says in which buckets and columns a key's slots are.
type vector struct {
	Buckets    int    `json:"buckets"`
	Columns    int    `json:"columns"`
	Salt       string `json:"salt"`
	Key        string `json:"key"`
	KeyBuckets []int  `json:"key_buckets"`
	KeyColumns []int  `json:"key_columns"`
	Mark       string `json:"mark"`
}

func (v *vector) compute(t *testing.T) {
	t.Helper()
	salt, err := hex.DecodeString(v.Salt)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(v.Key)
	if err != nil || len(salt) != 16 || len(key) != slot.KeySize {
		t.Fatalf("%d and %d bytes: %v", len(salt), len(key), err)
	}
	shape := batch.Shape{SlotSize: 16, Buckets: v.Buckets, Columns: v.Columns, Slots: 4}
	var mark []byte
	v.KeyBuckets, v.KeyColumns, mark = batch.PlacesUnder([16]byte(salt), shape, slot.Key(key))
	v.Mark = hex.EncodeToString(mark)
}

func TestVectors(t *testing.T) {
	if *update {
		var all []vector
		for i, n := range []int{3, 4, 96, 750} {
			for _, e := range entries(3) {
				v := vector{Buckets: n, Columns: 64 << i, Salt: hex.EncodeToString(bytes.Repeat([]byte{byte(n)}, 16)), Key: hex.EncodeToString(e.Key[:])}
				v.compute(t)
				all = append(all, v)
			}
		}
		raw, err := json.MarshalIndent(all, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorPath, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no vectors")
	}
	for i, want := range all {
		got := want
		got.compute(t)
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(got)
		if !bytes.Equal(a, b) {
			t.Errorf("vector %d:\n%s\n%s", i, a, b)
		}
	}
}
