package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whither/internal/bench/cast"
	"whither/internal/canon"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

// signed is one signature with all that checking it needs, so that nothing but
// the check is measured.
type signed struct {
	by        key.Public
	message   []byte
	signature []byte
}

func (s signed) verify() error { return s.by.Verify(s.message, s.signature) }

// What a COSE_Sign (RFC 9052 section 4.1) and a COSE_Sign1 are made of, and the
// Sig_structure (section 4.4) that is signed.
type (
	coseSign struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected struct{}
		Payload     []byte
		Signatures  []coseSignature
	}
	coseSignature struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected struct{}
		Signature   []byte
	}
	coseSign1 struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected struct{}
		Payload     []byte
		Signature   []byte
	}
	toBeSigned struct {
		_               struct{} `cbor:",toarray"`
		Context         string
		Body, Sign, AAD []byte
		Payload         []byte
	}
	toBeSigned1 struct {
		_         struct{} `cbor:",toarray"`
		Context   string
		Body, AAD []byte
		Payload   []byte
	}
)

// Sizes of the tags before the two structures.
const (
	tagSign  = 2
	tagSign1 = 1
)

// signatures takes a mapping of one MSP apart into the signatures of holder, MSP,
// the DP if it has signed, both provers, and the observer if there is one, and
// checks each.
func (f *federation) signatures(b mapping.Bundle, holder key.Public) ([]signed, error) {
	var m coseSign
	if err := canon.Unmarshal(b.Mapping[tagSign:], mapping.MaxSize, &m); err != nil {
		return nil, err
	}
	signers := []key.Public{holder, f.Parties[cast.MSP].Sign.Public(), f.Parties[cast.DP].Sign.Public()}
	var all []signed
	for i, s := range m.Signatures {
		tbs, err := canon.Marshal(toBeSigned{
			Context: "Signature", Body: []byte{}, Sign: s.Protected, AAD: []byte(key.LabelMapping), Payload: m.Payload,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, signed{by: signers[i], message: tbs, signature: s.Signature})
	}
	for i, r := range b.Receipts {
		name, label := cast.Observer, key.LabelObservation
		if provers := cast.Provers(); i < len(provers) {
			name, label = provers[i], key.LabelReceipt
		}
		var m coseSign1
		if err := canon.Unmarshal(r[tagSign1:], mapping.MaxSize, &m); err != nil {
			return nil, err
		}
		tbs, err := canon.Marshal(toBeSigned1{Context: "Signature1", Body: m.Protected, AAD: []byte(label), Payload: m.Payload})
		if err != nil {
			return nil, err
		}
		all = append(all, signed{by: f.Parties[name].Sign.Public(), message: tbs, signature: m.Signature})
	}
	for _, s := range all {
		if err := s.verify(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// verify measures the verification of finished mappings from their bytes against
// the signature checks in them: five with evidence by mail or for a number, six
// with an observer's word.
func verify(ctx context.Context, r *run) (err error) {
	f, err := newFederation(time.Now())
	if err != nil {
		return err
	}
	source, err := f.Registry(r.dir, "https://127.0.0.1:1")
	if err != nil {
		return err
	}
	snapshot := source.Snapshot()
	var sides []side
	for _, c := range []struct {
		evidence   cast.Evidence
		prefix     string
		signatures int
	}{{cast.Mail, "", 5}, {cast.Phone, "phone_", 5}, {cast.Observed, "observed_", 6}} {
		v, err := newVerification(f, snapshot, c.evidence)
		if err != nil {
			return err
		}
		if n := len(v.bare[0]); n != c.signatures {
			return fmt.Errorf("%w: %d signatures", ErrWrong, n)
		}
		whole, bare := c.prefix+"verify", c.prefix+"signatures"
		r.ratio(whole+"_over_signatures", whole+"_p50", bare+"_p50")
		r.figure(whole+"_us", whole+"_p50", 1e6)
		r.figure(bare+"_us", bare+"_p50", 1e6)
		r.note(c.prefix+"size", float64(v.bundles[0].Size()))
		r.figure(c.prefix+"bundle_bytes", c.prefix+"size", 1)
		sides = append(sides,
			func(ctx context.Context) error { return r.times(ctx, whole, v.whole) },
			func(ctx context.Context) error { return r.times(ctx, bare, v.alone) },
		)
	}
	return r.rounds(ctx, sides...)
}

// verification is mappings of one kind of evidence, whole and taken apart.
type verification struct {
	snapshot *registry.Snapshot
	now      time.Time
	bundles  []mapping.Bundle
	bare     [][]signed
}

func newVerification(f *federation, s *registry.Snapshot, e cast.Evidence) (*verification, error) {
	const mappings = 64
	v := &verification{snapshot: s, now: f.Now.Add(time.Second)}
	for i := range mappings {
		m, err := f.Mapping(s, e, i)
		if err != nil {
			return nil, err
		}
		bare, err := f.signatures(m.Bundle(), m.Claims().Holder)
		if err != nil {
			return nil, err
		}
		v.bundles, v.bare = append(v.bundles, m.Bundle()), append(v.bare, bare)
	}
	return v, nil
}

// whole verifies a mapping from its bytes.
func (v *verification) whole(_ context.Context, i int) error {
	u, err := mapping.Parse(v.bundles[i%len(v.bundles)])
	if err != nil {
		return err
	}
	_, err = mapping.PolicyAt(v.snapshot, v.now).Verify(u)
	return err
}

// alone checks the signatures of a mapping.
func (v *verification) alone(_ context.Context, i int) error {
	var all []error
	for _, s := range v.bare[i%len(v.bare)] {
		all = append(all, s.verify())
	}
	return errors.Join(all...)
}
