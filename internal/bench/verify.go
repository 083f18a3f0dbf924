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
// the DP if it has signed, and both provers, and checks each.
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
		var m coseSign1
		if err := canon.Unmarshal(r[tagSign1:], mapping.MaxSize, &m); err != nil {
			return nil, err
		}
		tbs, err := canon.Marshal(toBeSigned1{Context: "Signature1", Body: m.Protected, AAD: []byte(key.LabelReceipt), Payload: m.Payload})
		if err != nil {
			return nil, err
		}
		all = append(all, signed{by: f.Parties[cast.Provers()[i]].Sign.Public(), message: tbs, signature: m.Signature})
	}
	for _, s := range all {
		if err := s.verify(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// verify measures the verification of a finished mapping from its bytes against
// the five signature checks in it.
func verify(ctx context.Context, r *run) (err error) {
	const mappings = 64
	f, err := newFederation(time.Now())
	if err != nil {
		return err
	}
	source, err := f.Registry(r.dir, "https://127.0.0.1:1")
	if err != nil {
		return err
	}
	snapshot := source.Snapshot()
	bundles, bare := make([]mapping.Bundle, mappings), make([][]signed, mappings)
	for i := range bundles {
		v, err := f.Mapping(snapshot, i)
		if err != nil {
			return err
		}
		bundles[i] = v.Bundle()
		if bare[i], err = f.signatures(bundles[i], v.Claims().Holder); err != nil {
			return err
		}
		if len(bare[i]) != 5 {
			return fmt.Errorf("%w: %d signatures", ErrWrong, len(bare[i]))
		}
	}
	now := f.Now.Add(time.Second)
	r.ratio("verify_over_signatures", "verify_p50", "signatures_p50")
	r.figure("verify_us", "verify_p50", 1e6)
	r.figure("signatures_us", "signatures_p50", 1e6)
	r.note("size", float64(bundles[0].Size()))
	r.figure("bundle_bytes", "size", 1)
	return r.rounds(ctx,
		func(ctx context.Context) error {
			return r.times(ctx, "verify", func(_ context.Context, i int) error {
				u, err := mapping.Parse(bundles[i%mappings])
				if err != nil {
					return err
				}
				_, err = mapping.PolicyAt(snapshot, now).Verify(u)
				return err
			})
		},
		func(ctx context.Context) error {
			return r.times(ctx, "signatures", func(_ context.Context, i int) error {
				var all []error
				for _, s := range bare[i%mappings] {
					all = append(all, s.verify())
				}
				return errors.Join(all...)
			})
		},
	)
}
