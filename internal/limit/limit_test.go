package limit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/internal/limit"
	"whither/internal/world/worldtest"
)

// TestNeverMoreThanTheBound takes at random times and counts by hand.
func TestNeverMoreThanTheBound(t *testing.T) {
	bounds := limit.Bounds{PerCSI: 2, PerDomain: 4, PerCountry: 5, PerKey: 3, Total: 7}
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(r *rapid.T) {
		caps := limit.New(bounds)
		now := start
		type taken struct {
			at            time.Time
			number, block string
			key           string
		}
		var all []taken
		for range 60 {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(r, "minutes")) * time.Minute)
			block, key := fmt.Sprintf("+4179000%d", rapid.IntRange(0, 2).Draw(r, "block")), fmt.Sprint("key ", rapid.IntRange(0, 3).Draw(r, "key"))
			one := taken{now, fmt.Sprintf("%s%03d", block, rapid.IntRange(0, 2).Draw(r, "number")), block, key}
			var csis, blocks, keys, total int
			for _, other := range all {
				if now.Sub(other.at) >= limit.Window {
					continue
				}
				total++
				if other.number == one.number {
					csis++
				}
				if other.block == one.block {
					blocks++
				}
				if other.key == one.key {
					keys++
				}
			}
			over := csis >= bounds.PerCSI || blocks >= bounds.PerDomain || total >= bounds.PerCountry || keys >= bounds.PerKey
			err := caps.Take(worldtest.CSI(t, "tel:"+one.number), worldtest.Key(t, key).Public(), now)
			if (err != nil) != over || (err != nil && !errors.Is(err, limit.ErrReached)) {
				r.Fatalf("after %d (csi %d, block %d, key %d): %v", total, csis, blocks, keys, err)
			}
			if err == nil {
				all = append(all, one)
			}
		}
	})
}

func TestErrorNamesTheBound(t *testing.T) {
	caps := limit.New(limit.Bounds{PerCSI: 1, PerDomain: 9, PerCountry: 9, PerKey: 9, Total: 9})
	id, k, now := worldtest.CSI(t, "mailto:bob@example.org"), worldtest.Key(t, "bob").Public(), time.Now()
	caps.Restore(id, k, now)
	var e limit.Error
	if err := caps.Take(id, k, now); !errors.As(err, &e) || e.Bound != "csi" {
		t.Errorf("%v, %q", err, e.Bound)
	}
}

// TestHandlesCountByTheirHost: a host's handles share its bound with nobody.
func TestHandlesCountByTheirHost(t *testing.T) {
	caps := limit.New(limit.Bounds{PerCSI: 5, PerDomain: 1, PerCountry: 5, PerKey: 9, Total: 9})
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		uri  string
		over bool
	}{
		{"acct:a@id.example.org", false},
		{"acct:b@id.example.org", true},
		{"acct:a@id.example.net", false},
		{"mailto:a@id.example.org", false},
		{"mailto:b@id.example.org", true},
	} {
		err := caps.Take(worldtest.CSI(t, step.uri), worldtest.Key(t, "key").Public(), now)
		if (err != nil) != step.over {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
