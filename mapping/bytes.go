package mapping

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/mapping/ending"
	"whither/possession"
	"whither/registry"
)

// version of the payload.
const version = 1

// payload is the CWT claims set (RFC 8392) with one private-use claim, which
// holds whatever CWT has no claim for.
type payload struct {
	DP      registry.PartyID `cbor:"1,keyasint"` // iss
	CSI     string           `cbor:"2,keyasint"` // sub
	Expires int64            `cbor:"4,keyasint"` // exp
	Issued  int64            `cbor:"6,keyasint"` // iat
	ID      []byte           `cbor:"7,keyasint"` // cti
	Confirm confirm          `cbor:"8,keyasint"` // cnf (RFC 8747)
	Whither whither          `cbor:"-65537,keyasint"`
}

type confirm struct {
	Key key.Public `cbor:"1,keyasint"` // COSE_Key
}

type whither struct {
	Version     uint               `cbor:"0,keyasint"`
	Entries     []entry            `cbor:"1,keyasint,omitempty"`
	Lineage     []byte             `cbor:"2,keyasint"`
	Sequence    uint64             `cbor:"3,keyasint,omitempty"`
	Predecessor []byte             `cbor:"4,keyasint,omitempty"`
	First       bool               `cbor:"5,keyasint,omitempty"`
	Residency   []string           `cbor:"6,keyasint,omitempty"`
	Audience    bool               `cbor:"7,keyasint,omitempty"`
	CopyBy      []registry.PartyID `cbor:"8,keyasint,omitempty"`
	ReproveDays uint8              `cbor:"9,keyasint"`
	DPNonce     []byte             `cbor:"10,keyasint"`
	Receipts    [][]byte           `cbor:"11,keyasint"`
}

type entry struct {
	_        struct{} `cbor:",toarray"`
	Provider registry.PartyID
	URI      string
	Tags     []string
	Nonce    []byte
}

// encode returns the payload of c.
func (c *Claims) encode() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	p := payload{
		DP: c.DP, CSI: c.CSI.Canonical(), Expires: c.Expires.Unix(), Issued: c.Issued.Unix(), ID: c.ID[:],
		Confirm: confirm{c.Holder},
		Whither: whither{
			Version: version, Lineage: c.Lineage[:], Sequence: c.Sequence, First: c.First, Residency: c.Residency,
			Audience: c.Audience, CopyBy: c.CopyBy, ReproveDays: c.ReproveDays, DPNonce: c.DPNonce[:],
		},
	}
	if c.Predecessor != (Digest{}) {
		p.Whither.Predecessor = c.Predecessor[:]
	}
	for _, e := range c.Entries {
		p.Whither.Entries = append(p.Whither.Entries, entry{Provider: e.Provider, URI: e.URI, Tags: e.Tags, Nonce: e.Nonce[:]})
	}
	for _, r := range c.Receipts {
		p.Whither.Receipts = append(p.Whither.Receipts, r[:])
	}
	return canon.Marshal(p)
}

// decode reads a payload.
func decode(b []byte) (Claims, error) {
	var p payload
	if err := canon.Unmarshal(b, MaxSize, &p); err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	w := p.Whither
	if w.Version != version || len(p.ID) != len(ID{}) || len(w.Lineage) != len(Lineage{}) || len(w.DPNonce) != NonceSize ||
		(len(w.Predecessor) != 0 && len(w.Predecessor) != sha256.Size) {
		return Claims{}, fmt.Errorf("%w: version or a fixed length", ErrMalformed)
	}
	if !cose.GoodTime(p.Issued) || !cose.GoodTime(p.Expires) {
		return Claims{}, fmt.Errorf("%w: a time before 1970 or after 9999", ErrMalformed)
	}
	id, err := csi.ParseCanonical(p.CSI)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c := Claims{
		ID: ID(p.ID), CSI: id, DP: p.DP, Holder: p.Confirm.Key, Lineage: Lineage(w.Lineage), Sequence: w.Sequence,
		First: w.First, Issued: time.Unix(p.Issued, 0), Expires: time.Unix(p.Expires, 0), Residency: w.Residency,
		Audience: w.Audience, CopyBy: w.CopyBy, ReproveDays: w.ReproveDays, DPNonce: Nonce(w.DPNonce),
	}
	if len(w.Predecessor) != 0 {
		c.Predecessor = Digest(w.Predecessor)
	}
	for _, e := range w.Entries {
		if len(e.Nonce) != NonceSize {
			return Claims{}, fmt.Errorf("%w: MSP nonce", ErrMalformed)
		}
		c.Entries = append(c.Entries, Entry{Provider: e.Provider, URI: e.URI, Tags: e.Tags, Nonce: Nonce(e.Nonce)})
	}
	for _, r := range w.Receipts {
		if len(r) != sha256.Size {
			return Claims{}, fmt.Errorf("%w: receipt digest", ErrMalformed)
		}
		c.Receipts = append(c.Receipts, [32]byte(r))
	}
	return c, c.validate()
}

// Bundle is what travels: a mapping, the receipts that it names, in order, and
// the statements that lead from the key in the receipts to the mapping's holder,
// none where they are one; and the ends of its entries, in their order.
type Bundle struct {
	Mapping  []byte
	Receipts [][]byte
	Lineage  [][]byte
	Ends     [][]byte
}

// Size is the number of bytes of the mapping and what travels beside it.
func (b Bundle) Size() int {
	n := len(b.Mapping)
	for _, one := range slices.Concat(b.Receipts, b.Lineage, b.Ends) {
		n += len(one)
	}
	return n
}

// Unverified is a parsed mapping with its receipts that nobody has vouched
// for yet.
type Unverified struct {
	claims   Claims
	message  cose.Message
	receipts []possession.Unverified
	lineage  []Statement
	ends     []ending.End
	bundle   Bundle
	digest   Digest
}

// Parse reads a bundle. It checks form only.
func Parse(b Bundle) (Unverified, error) {
	if len(b.Receipts) > possession.MaxReceipts {
		return Unverified{}, fmt.Errorf("%w: too many receipts", ErrMalformed)
	}
	m, err := cose.Parse(b.Mapping, MaxSize)
	if err != nil {
		return Unverified{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	c, err := decode(m.Payload)
	if err != nil {
		return Unverified{}, err
	}
	u := Unverified{claims: c, message: m, bundle: b, digest: sha256.Sum256(m.Payload)}
	if u.receipts, err = parseReceipts(b.Receipts, c.Receipts); err != nil {
		return Unverified{}, err
	}
	if u.lineage, err = parseLineage(b.Lineage); err != nil {
		return Unverified{}, err
	}
	if u.ends, err = ending.ParseAll(b.Ends, len(c.Entries)); err != nil {
		return Unverified{}, err
	}
	return u, nil
}

// parseReceipts reads receipts and holds them against the digests in the
// payload, one by one.
func parseReceipts(raw [][]byte, named [][32]byte) ([]possession.Unverified, error) {
	if len(raw) != len(named) {
		return nil, ErrReceiptSet
	}
	out := make([]possession.Unverified, 0, len(raw))
	for i, b := range raw {
		r, err := possession.Parse(b)
		if err != nil {
			return nil, err
		}
		if r.Digest() != named[i] {
			return nil, ErrReceiptSet
		}
		out = append(out, r)
	}
	return out, nil
}

// Claims returns what the mapping says, unverified.
func (u Unverified) Claims() Claims { return u.claims }

// Bundle returns the bytes.
func (u Unverified) Bundle() Bundle { return u.bundle }

// Digest returns the SHA-256 of the payload.
func (u Unverified) Digest() Digest { return u.digest }
