package docket

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"whither/internal/dp/precedence"
	"whither/key"
	"whither/mapping"
)

// Errors of mappings that do not fit their own lineage.
var (
	ErrConflict = errors.New("docket: the mapping does not follow the one that lives here")
	ErrRetired  = errors.New("docket: the key has handed over to another")
)

// ErrRepeated marks a newcomer that lives already, to the byte of its payload.
var ErrRepeated = errors.New("docket: the same mapping lives here")

// Relate says what a newcomer is to the lineage that it names: its place in the
// order of one mapping, and whether its key belongs there. Between lineages,
// package precedence decides.
func (k *Docket) Relate(p mapping.Proposal) (precedence.Relation, error) {
	c := p.Claims()
	if err := k.CheckRetired(c.Holder.ID(), p.Statements()); err != nil {
		return 0, err
	}
	conflict := func(why string) (precedence.Relation, error) {
		return 0, fmt.Errorf("%w: %s", ErrConflict, why)
	}
	if i := slices.IndexFunc(k.Raw.Live, func(s Stored) bool { return s.ID == c.ID }); i >= 0 {
		return k.relateSame(k.Raw.Live[i], p)
	}
	if c.Sequence > 0 {
		return conflict("the mapping that it replaces does not live here")
	}
	lives, own := false, false
	for _, s := range k.Raw.Live {
		lives = lives || s.Lineage == c.Lineage
		own = own || s.Lineage == c.Lineage && (s.Holder == c.Holder.ID() || leadsFrom(p.Statements(), s.Holder))
	}
	switch {
	case !lives && !c.First:
		return conflict("it names a lineage that does not live here")
	case !lives:
		return precedence.Stranger, nil
	case !own:
		return conflict("its lineage lives under other keys, which it has not joined")
	case c.First:
		return conflict("its lineage has started already")
	default:
		return precedence.Member, nil
	}
}

// relateSame compares a newcomer with the live mapping of its id.
func (k *Docket) relateSame(s Stored, p mapping.Proposal) (precedence.Relation, error) {
	c := p.Claims()
	statements := p.Statements()
	followed := len(statements) > 0 && statements[len(statements)-1].Kind == mapping.HandOver && leadsFrom(statements, s.Holder)
	switch {
	case s.Digest == p.Digest():
		return 0, ErrRepeated
	case s.Lineage != c.Lineage, s.Holder != c.Holder.ID() && !followed:
		return 0, fmt.Errorf("%w: its id belongs to a mapping of another key or lineage", ErrConflict)
	case c.Sequence != s.Sequence+1 || c.Predecessor != s.Digest:
		return 0, fmt.Errorf("%w: it is not the next sequence of the mapping that lives here", ErrConflict)
	default:
		return precedence.Successor, checkAnew(s, p)
	}
}

// leadsFrom reports whether statements lead from a key to their end.
func leadsFrom(statements []mapping.Statement, from key.ID) bool {
	return slices.ContainsFunc(statements, func(s mapping.Statement) bool { return s.Older.ID() == from })
}

// CheckRetired refuses what rests on a key after that has handed over, other
// than the hand-over itself.
func (k *Docket) CheckRetired(holder key.ID, statements []mapping.Statement) error {
	if _, gone := k.retired[holder]; gone {
		return ErrRetired
	}
	for _, s := range statements {
		if by, gone := k.retired[s.Older.ID()]; gone && by != NameOf(s.Bytes()) {
			return ErrRetired
		}
	}
	return nil
}

// NameOf names a record by what it is about, so that it is made once.
func NameOf(b []byte) RecordID {
	h := sha256.Sum256(b)
	return RecordID(h[:16])
}
