package prover

import (
	"context"
	"fmt"

	"whither/internal/endpoint"
	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// maxObservations bounds the observations under way. There is no cap by CSI or
// domain: nobody gets a message of them, and a stranger could use it up.
const maxObservations = 64

// observe has a witness check another prover's artefact by the same rules, with
// a look-up of its own, and signs what it saw (POST /v1/observations). It keeps
// nothing: the same request gives an equivalent receipt again, for the CSI and
// key that the artefact binds and for no other.
func (p *Prover) observe(ctx context.Context, _ endpoint.Caller, r wire.ObservationRequest) (wire.Observation, error) {
	now := p.config.Now()
	if err := p.listed(now); err != nil {
		return wire.Observation{}, err
	}
	holder, purpose, err := asked(r.Key, r.Purpose)
	if err != nil {
		return wire.Observation{}, err
	}
	kind, _ := possession.ParseKind(r.Kind)
	witness, ok := p.witnesses[kind]
	if !ok || !speaksFor(kind, r.CSI.ID) {
		return wire.Observation{}, ErrKind
	}
	if len(r.Nonce) != possession.NonceSize {
		return wire.Observation{}, fmt.Errorf("%w: a nonce has %d bytes", ErrRequest, possession.NonceSize)
	}
	if len(r.Artefact) > MaxArtefact {
		return wire.Observation{}, ErrTooLarge
	}
	if kind.Unseen() != (len(r.Published) > 0) {
		return wire.Observation{}, fmt.Errorf("%w: a key is handed for a recheck, and for nothing else", ErrRequest)
	}
	if err := p.mayWitness(r.Challenger); err != nil {
		return wire.Observation{}, err
	}
	select {
	case p.observing <- struct{}{}:
		defer func() { <-p.observing }()
	default:
		return wire.Observation{}, ErrBusy
	}
	f, err := witness.Witness(ctx, Testimony{
		CSI: r.CSI.ID, Holder: holder, Nonce: [possession.NonceSize]byte(r.Nonce), Challenger: r.Challenger,
		Artefact: r.Artefact, Published: r.Published, Now: now,
	})
	if err != nil {
		return wire.Observation{}, err
	}
	sim, err := p.simOf(ctx, r.CSI.ID, now)
	if err != nil {
		return wire.Observation{}, err
	}
	if sim.changed {
		return wire.Observation{}, ErrSIMChanged
	}
	receipt, err := p.receipt(f, possession.Receipt{
		Purpose: purpose, Subject: possession.SubjectOf(r.CSI.ID, holder), Kind: kind, Signed: now,
	})
	return wire.Observation{Receipt: receipt, SIM: sim.text(r.CSI.ID)}, err
}

// mayWitness checks that the challenger is an active prover, and of another
// operator: two receipts of one operator are one word.
func (p *Prover) mayWitness(challenger registry.PartyID) error {
	s := p.config.Registry.Snapshot()
	other, ok := s.Party(challenger)
	if !ok || !other.Has(registry.RoleProver) || other.Standing.State != registry.Active {
		return ErrChallenger
	}
	if own, ok := s.Party(p.config.Party); !ok || own.Operator == other.Operator {
		return ErrOwnOperator
	}
	return nil
}
