// Package retract takes what an MSP says at a DP about its own entry of a mapping:
// that it has ended (docs/spec/mapping.md, section "End of an entry"). The
// directory's store keeps the statement with the mapping.
//
// What is true after a crash: an end that was answered is stored; the same
// statement again gets the same answer.
package retract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/internal/dp/directory"
	"whither/mapping"
	"whither/mapping/ending"
)

// attempts bounds how often a write is made again because somebody else changed
// the mapping meanwhile.
const attempts = 16

// Take ends an MSP's entry of a mapping on that MSP's word, and returns since
// when it has ended. The mapping lives on, without that entry. A second end of
// the same entry changes nothing: the first one stands.
//
// A mapping that does not verify any more is left alone: it is not renewed, and
// nobody believes it.
func Take(ctx context.Context, d *directory.Directory, statement []byte, now time.Time) (time.Time, error) {
	e, err := ending.Parse(statement)
	if err != nil {
		return time.Time{}, err
	}
	for range attempts {
		at, err := try(ctx, d, e, now)
		if !errors.Is(err, directory.ErrRaced) {
			return at, err
		}
	}
	return time.Time{}, directory.ErrRaced
}

func try(ctx context.Context, d *directory.Directory, e ending.End, now time.Time) (time.Time, error) {
	s, err := d.Store.ByID(ctx, mapping.ID(e.ID), now)
	if err != nil {
		return time.Time{}, err
	}
	if s.Digest != e.Payload {
		return time.Time{}, directory.ErrUnknown // it has been replaced, or this one never came
	}
	u, err := mapping.Parse(s.Bundle)
	if err != nil {
		return time.Time{}, fmt.Errorf("retract: stored mapping %s: %w", s.ID, err)
	}
	v, err := mapping.PolicyAt(d.Snapshot(), now).VerifyForRenewal(u)
	if err != nil {
		return time.Time{}, err
	}
	ended, err := v.End(e)
	if err != nil {
		return time.Time{}, err
	}
	if i := slices.IndexFunc(u.Ends(), func(x ending.End) bool { return x.Provider == e.Provider }); i >= 0 {
		return u.Ends()[i].Time, nil
	}
	return e.Time, d.Store.End(ctx, ended, now)
}
