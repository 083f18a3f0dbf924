package mapping_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"whither/mapping"
	"whither/registry"
	"whither/vectors"
)

// A bundle is verified with a registry alone, without any network. Who handed it
// over does not matter. Package registry/tuf makes the registry of what the
// federation publishes.
func ExamplePolicy_Verify() {
	snapshot, bundle, now := received()

	u, err := mapping.Parse(bundle)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := mapping.PolicyAt(snapshot, now).Verify(u)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range m.Claims().Entries {
		fmt.Println(e.URI, e.Tags)
	}
	fmt.Println("evidence of level", m.Evidence().Level, "ask again before", m.Until().UTC().Format(time.DateOnly))
	// Output:
	// mimi://msp-a.example [Default]
	// evidence of level 4 ask again before 2026-11-08
}

// received returns the first vector of vectors/mapping.
func received() (s *registry.Snapshot, bundle mapping.Bundle, now time.Time) {
	var accept struct {
		Vectors []struct {
			Registry, Mapping string
			Receipts          []string
			Now               int64
		}
	}
	must(json.Unmarshal(read("accept.json"), &accept))
	v := accept.Vectors[0]
	bundle.Mapping = unhex(v.Mapping)
	for _, r := range v.Receipts {
		bundle.Receipts = append(bundle.Receipts, unhex(r))
	}
	now = time.Unix(v.Now, 0)
	r, digest, err := registry.ParseRecord(read(v.Registry))
	must(err)
	s, err = registry.Assemble(r, digest, nil, now)
	must(err)
	return s, bundle, now
}

func read(name string) []byte {
	b, err := fs.ReadFile(vectors.FS, "mapping/"+name)
	must(err)
	return b
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
