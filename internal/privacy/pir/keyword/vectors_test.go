package keyword_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"whither/internal/privacy/pir"
	"whither/internal/privacy/pir/keyword"
	"whither/internal/privacy/pir/slot"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorPath = "../../../../vectors/private/keyword.json"

// vector says where a key's slot is and what it holds.
type vector struct {
	Table   byte   `json:"table"`
	Epoch   uint64 `json:"epoch"`
	Size    int    `json:"slot_size"`
	Columns [2]int `json:"table_columns"`
	Salt    string `json:"salt"`
	Key     string `json:"key"`
	Value   string `json:"value"`
	Found   []int  `json:"key_columns"`
	Slot    string `json:"slot"`
}

func (v *vector) compute(t *testing.T) {
	t.Helper()
	raw, err := hex.DecodeString(v.Key)
	if err != nil || len(raw) != slot.KeySize {
		t.Fatalf("key: %v", err)
	}
	salt, err := hex.DecodeString(v.Salt)
	if err != nil {
		t.Fatal(err)
	}
	value, err := hex.DecodeString(v.Value)
	if err != nil {
		t.Fatal(err)
	}
	k := slot.Key(raw)
	v.Found = keyword.ColumnsUnder([16]byte(salt), v.Columns, k)
	s, err := slot.NewSealer(&pir.Identity{Table: v.Table, Epoch: v.Epoch}, v.Size, &k)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, v.Size)
	s.Seal(b, value)
	v.Slot = hex.EncodeToString(b)
	if got := s.Open(b); !bytes.Equal(got, value) {
		t.Errorf("opened %x", got)
	}
}

func TestVectors(t *testing.T) {
	if *update {
		var all []vector
		for i, value := range []string{"", "00", "80", "0001020304050607", hex.EncodeToString(bytes.Repeat([]byte{7}, 100))} {
			k := key(i)
			v := vector{
				Table: 1, Epoch: uint64(i), Size: 32, Columns: [2]int{16384, 512},
				Salt: hex.EncodeToString(bytes.Repeat([]byte{byte(i)}, 16)), Key: hex.EncodeToString(k[:]), Value: value,
			}
			if len(value) > 32 {
				v.Table, v.Size = 2, 1536
			}
			v.compute(t)
			all = append(all, v)
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
