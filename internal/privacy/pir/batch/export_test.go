package batch

import (
	"crypto/sha256"

	"whither/internal/privacy/pir/slot"
)

// BucketsOf returns the buckets of a key under an all-zero salt.
func BucketsOf(s Shape, k slot.Key) [Copies]int {
	return (&Layout{Shape: s}).places(&k).bucket
}

// Unmatched returns how many keys find no bucket.
func Unmatched(s Shape, entries []slot.Entry) int {
	l, at, n := &Layout{Shape: s}, []places(nil), 0
	for i := range entries {
		at = append(at, l.places(&entries[i].Key))
	}
	for _, b := range match(at, s.Buckets) {
		if b < 0 {
			n++
		}
	}
	return n
}

// ParseOwnStash parses a stash against its own digest and counts its entries.
func ParseOwnStash(s Shape, b []byte) (int, error) {
	l := &Layout{Shape: s, stash: sha256.Sum256(b)}
	x, err := l.parseStash(b)
	if err != nil {
		return 0, err
	}
	return len(x.bytes) / x.record, nil
}

// PlacesUnder returns where a key is under a salt, and its mark.
func PlacesUnder(salt [saltSize]byte, s Shape, k slot.Key) (buckets, columns []int, mark []byte) {
	p := (&Layout{Shape: s, salt: salt}).places(&k)
	return p.bucket[:], p.column[:], p.mark[:]
}
