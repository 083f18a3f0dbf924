package mapping

import (
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/possession"
)

// ErrStatement refuses a join or hand-over that is not in its one form, or that
// not both keys have signed.
var ErrStatement = errors.New("mapping: not a join or hand-over signed by both keys")

// StatementKind is how one key follows another.
type StatementKind uint8

// The kinds of statement.
const (
	// Join: the newer key is a second app of the same person. Both stay.
	Join StatementKind = 1
	// HandOver: the newer key takes the older one's place.
	HandOver StatementKind = 2
)

// Label returns what both signatures of a kind are made under.
func (k StatementKind) label() key.Label {
	if k == HandOver {
		return key.LabelHandover
	}
	return key.LabelJoin
}

// Statement says that two keys are one person's, for one CSI and in one
// lineage. The older key signs, and the newer one: neither is drawn into
// anything by the other.
//
// The subject is that of the older key's receipts, so that a statement made for
// one CSI leads nowhere for another of the same person.
type Statement struct {
	Kind         StatementKind
	Lineage      Lineage
	Subject      possession.Subject
	Older, Newer key.Public

	message cose.Message
	raw     []byte
}

type statementBody struct {
	Kind    StatementKind `cbor:"1,keyasint"`
	Lineage []byte        `cbor:"2,keyasint"`
	Subject []byte        `cbor:"3,keyasint"`
	Older   key.Public    `cbor:"4,keyasint"`
	Newer   key.Public    `cbor:"5,keyasint"`
}

// Roles of the signatures of a statement, in the order in which they stand.
const (
	roleOlder uint8 = 1
	roleNewer uint8 = 2
)

// Propose starts a statement: the older key's signature. The newer key's device
// adds its own with [Statement.Accept].
func Propose(kind StatementKind, id csi.ID, l Lineage, older key.Private, newer key.Public, now time.Time) ([]byte, error) {
	if kind != Join && kind != HandOver || newer.IsZero() || newer == older.Public() {
		return nil, ErrStatement
	}
	subject := possession.SubjectOf(id, older.Public())
	payload, err := canon.Marshal(statementBody{Kind: kind, Lineage: l[:], Subject: subject[:], Older: older.Public(), Newer: newer})
	if err != nil {
		return nil, err
	}
	m, err := cose.Message{Payload: payload}.With(kind.label(), older, false, cose.Params{Role: roleOlder, Time: now.Unix()})
	if err != nil {
		return nil, err
	}
	return m.Marshal()
}

// ParseProposal reads a statement that only the older key has signed. Its
// signature is verified here.
func ParseProposal(b []byte) (Statement, error) { return parseStatement(b, 1) }

// Accept completes a proposed statement with the newer key's signature.
func (s Statement) Accept(newer key.Private, now time.Time) ([]byte, error) {
	if len(s.message.Signatures) != 1 || newer.Public() != s.Newer {
		return nil, ErrStatement
	}
	at, err := notBefore(now, s.Time())
	if err != nil {
		return nil, err
	}
	m, err := s.message.With(s.Kind.label(), newer, false, cose.Params{Role: roleNewer, Time: at.Unix()})
	if err != nil {
		return nil, err
	}
	return m.Marshal()
}

// ParseStatement reads a complete statement and verifies both signatures.
func ParseStatement(b []byte) (Statement, error) { return parseStatement(b, 2) }

func parseStatement(b []byte, signatures int) (Statement, error) {
	m, err := cose.Parse(b, MaxStatement)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	var body statementBody
	if err := canon.Unmarshal(m.Payload, MaxStatement, &body); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
	}
	fits := (body.Kind == Join || body.Kind == HandOver) && len(body.Lineage) == len(Lineage{}) &&
		len(body.Subject) == len(possession.Subject{}) && !body.Older.IsZero() && !body.Newer.IsZero() && body.Older != body.Newer
	if !fits || len(m.Signatures) != signatures {
		return Statement{}, fmt.Errorf("%w: a member is out of bounds", ErrStatement)
	}
	s := Statement{
		Kind: body.Kind, Lineage: Lineage(body.Lineage), Subject: possession.Subject(body.Subject),
		Older: body.Older, Newer: body.Newer, message: m, raw: b,
	}
	for i, sig := range m.Signatures {
		signer := s.Older
		if i == 1 {
			signer = s.Newer
		}
		switch {
		case sig.Role != roleOlder+uint8(i), sig.HasKID, sig.Until != 0, sig.Found != 0, sig.Admitted != 0:
			return Statement{}, fmt.Errorf("%w: signature %d", ErrStatement, i)
		case i == 1 && sig.Time < m.Signatures[0].Time:
			return Statement{}, fmt.Errorf("%w: the newer key signed before the older", ErrStatement)
		}
		if err := m.Verify(i, s.Kind.label(), signer); err != nil {
			return Statement{}, fmt.Errorf("%w: %w", ErrStatement, err)
		}
	}
	return s, nil
}

// Bytes returns the statement as it was parsed.
func (s Statement) Bytes() []byte { return s.raw }

// Time is when it was signed last.
func (s Statement) Time() time.Time {
	return time.Unix(s.message.Signatures[len(s.message.Signatures)-1].Time, 0)
}

func parseLineage(raw [][]byte) ([]Statement, error) {
	if len(raw) > MaxStatements {
		return nil, fmt.Errorf("%w: more than %d statements", ErrLineage, MaxStatements)
	}
	var out []Statement
	for _, b := range raw {
		s, err := ParseStatement(b)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// checkLineage follows the statements and returns the key to which the receipts
// must be bound: the holder's own without any.
func (u Unverified) checkLineage() (key.Public, error) {
	if len(u.lineage) == 0 {
		return u.claims.Holder, nil
	}
	root := u.lineage[0].Older
	seen := map[key.Public]bool{root: true}
	at, last := root, int64(0)
	for _, s := range u.lineage {
		for _, sig := range s.message.Signatures {
			if sig.Time < last || sig.Time > u.message.Signatures[0].Time {
				return key.Public{}, ErrTimeOrder
			}
			last = sig.Time
		}
		if s.Lineage != u.claims.Lineage || s.Older != at || seen[s.Newer] || s.Subject != possession.SubjectOf(u.claims.CSI, s.Older) {
			return key.Public{}, ErrLineage
		}
		at = s.Newer
		seen[at] = true
	}
	if at != u.claims.Holder || u.claims.First {
		return key.Public{}, ErrLineage
	}
	return root, nil
}

// Statements returns how the holder's key came into the lineage, the oldest
// first; none where the receipts are its own. They are verified with the mapping.
func (u Unverified) Statements() []Statement { return u.lineage }

// Statements returns how the holder's key came into the lineage.
func (p Proposal) Statements() []Statement { return p.u.lineage }

// Bundle returns the bytes of a proposal, for whoever keeps it before he signs.
func (p Proposal) Bundle() Bundle { return p.u.bundle }
