package directory

import (
	"context"
	"errors"
	"time"

	"whither/internal/dp/docket"
	"whither/internal/dp/precedence"
	"whither/mapping"
	"whither/wire"
)

// CaseFile is a case for people: who claims, who stands, and on what evidence.
// It names nobody in clear; the bundles do, to whoever opens them.
type CaseFile struct {
	ID        mapping.ID
	Row       precedence.Row
	Round     int
	Phase     precedence.Phase
	Opened    time.Time
	Until     time.Time // then the older stays, if nothing stands still
	Newcomer  Side
	Incumbent []Side
	Events    []precedence.Event
	Decisions []docket.Decision
}

// Side is one of those who say that they have the CSI.
type Side struct {
	Lineage mapping.Lineage
	Proofs  []precedence.Proof
	Bundles []wire.Bundle
}

// reviewPage is how many claims are read at once.
const reviewPage = 256

// Reviews lists the cases that wait for people, in no order.
func (d *Directory) Reviews(ctx context.Context, now time.Time) ([]CaseFile, error) {
	var out []CaseFile
	for after := (RecordID{}); ; {
		page, err := d.Store.Records(ctx, docket.RecordClaim, after, reviewPage)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			after = r.ID
			if _, c, err := docket.ReadClaim(r); err != nil || c.Phase != precedence.Reviewed {
				continue
			}
			one, err := d.CaseFile(ctx, mapping.ID(r.ID), now)
			if errors.Is(err, ErrUnknown) { // decided meanwhile
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		if len(page) < reviewPage {
			return out, nil
		}
	}
}

// CaseFile returns a claim with all that is known of it.
func (d *Directory) CaseFile(ctx context.Context, id mapping.ID, now time.Time) (CaseFile, error) {
	k, c, err := d.caseOf(ctx, RecordID(id), now)
	if err != nil {
		return CaseFile{}, err
	}
	f := CaseFile{
		ID: c.ID, Row: c.Row, Round: c.Round, Phase: c.Phase, Opened: c.Opened, Until: k.When(c.Next()), Events: k.Facts.Events,
		Newcomer: Side{Lineage: c.Lineage, Proofs: []precedence.Proof{c.Proof}},
	}
	if len(c.Bundle.Mapping) > 0 {
		f.Newcomer.Bundles = []wire.Bundle{wire.BundleOf(c.Bundle)}
	}
	for _, l := range k.Facts.Lineages {
		side := Side{Lineage: l.ID, Proofs: l.Proofs}
		for _, s := range k.Raw.Live {
			if s.Lineage == l.ID {
				side.Bundles = append(side.Bundles, wire.BundleOf(s.Bundle))
			}
		}
		if l.ID == c.Lineage {
			f.Newcomer = side
			continue
		}
		f.Incumbent = append(f.Incumbent, side)
	}
	for _, raw := range c.Decisions {
		one, err := docket.ParseDecision(raw)
		if err != nil {
			return CaseFile{}, err
		}
		f.Decisions = append(f.Decisions, one)
	}
	return f, nil
}

// Judge takes a reviewer's signed decision. It returns whether the case is
// decided, or waits for others to agree.
func (d *Directory) Judge(ctx context.Context, statement []byte, now time.Time) (bool, error) {
	decision, err := docket.ParseDecision(statement)
	if err != nil {
		return false, err
	}
	for range attempts {
		k, c, err := d.caseOf(ctx, RecordID(decision.Case), now)
		if err != nil {
			return false, err
		}
		w, decided, err := k.Review(c, statement, d.Reviewers, d.Quorum, d.finish(now))
		if err != nil {
			return false, err
		}
		if err := d.Store.Apply(ctx, k.CSI, k.Raw, w, now); !errors.Is(err, ErrRaced) {
			return decided && err == nil, err
		}
	}
	return false, ErrRaced
}
