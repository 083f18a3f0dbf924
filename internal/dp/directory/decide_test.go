package directory_test

import (
	"testing"

	"whither/internal/dp/directory"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
)

// TestR17Decide goes through the table of decisions row by row.
func TestR17Decide(t *testing.T) {
	bob, mallory := worldtest.Key(t, "bob").Public(), worldtest.Key(t, "mallory").Public()
	lineage, other := mapping.Lineage{1}, mapping.Lineage{2}
	live := func(id byte, l mapping.Lineage, holder key.Public, sequence uint64) directory.Stored {
		return directory.Stored{ID: mapping.ID{id}, Digest: mapping.Digest{id}, Lineage: l, Holder: holder.ID(), Sequence: sequence}
	}
	claims := func(id byte, l mapping.Lineage, holder key.Public, sequence uint64, predecessor byte, first bool) mapping.Claims {
		c := mapping.Claims{ID: mapping.ID{id}, Lineage: l, Holder: holder, Sequence: sequence, First: first}
		if predecessor != 0 {
			c.Predecessor = mapping.Digest{predecessor}
		}
		return c
	}
	one := []directory.Stored{live(1, lineage, bob, 4)}
	tests := []struct {
		name     string
		live     []directory.Stored
		newcomer mapping.Claims
		digest   byte
		want     directory.Verdict
	}{
		{"nobody holds it", nil, claims(9, lineage, bob, 0, 0, true), 9, directory.AcceptFirst},
		{"nobody holds it, and it claims a past", nil, claims(9, lineage, bob, 0, 0, false), 9, directory.Refuse},
		{"replaces what is not there", nil, claims(9, lineage, bob, 1, 1, false), 9, directory.Refuse},
		{"the very same", one, claims(1, lineage, bob, 4, 3, false), 1, directory.Repeat},
		{"next sequence", one, claims(1, lineage, bob, 5, 1, false), 9, directory.AcceptReplace},
		{"sequence skipped", one, claims(1, lineage, bob, 6, 1, false), 9, directory.Refuse},
		{"sequence repeated with other content", one, claims(1, lineage, bob, 4, 3, false), 9, directory.Refuse},
		{"predecessor of another history", one, claims(1, lineage, bob, 5, 7, false), 9, directory.Refuse},
		{"next sequence by another key", one, claims(1, lineage, mallory, 5, 1, false), 9, directory.Refuse},
		{"next sequence in another lineage", one, claims(1, other, bob, 5, 1, false), 9, directory.Refuse},
		{"beside it, same key and lineage", one, claims(9, lineage, bob, 0, 0, false), 9, directory.AcceptBeside},
		{"beside it, claiming to start the lineage", one, claims(9, lineage, bob, 0, 0, true), 9, directory.Refuse},
		{"beside it, by a key that has not joined", one, claims(9, lineage, mallory, 0, 0, false), 9, directory.Hold},
		{"another lineage", one, claims(9, other, mallory, 0, 0, true), 9, directory.Hold},
		{"another lineage by the same key", one, claims(9, other, bob, 0, 0, true), 9, directory.Hold},
		{"later sequence of what does not live, CSI held", one, claims(9, other, mallory, 3, 2, false), 9, directory.Refuse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := directory.Decide(test.live, test.newcomer, mapping.Digest{test.digest})
			if got.Verdict != test.want || got.Reason == "" {
				t.Errorf("got %d (%q), want %d", got.Verdict, got.Reason, test.want)
			}
		})
	}
}
