// Package possession holds evidence that somebody has a CSI: what a prover's
// [Receipt] says, which kinds of evidence there are, and how strong a set of
// receipts is ([Assess]). Its spec is docs/spec/evidence.md.
//
// A receipt is a COSE_Sign1 of about 200 bytes by a prover, bound to one CSI
// and one holder key through a hash ([SubjectOf]), so that it is worthless for
// any other mapping and need not repeat a name.
//
// What it promises: the level is the weakest link, computed from the receipts
// and the registry, never taken from anybody's word alone; no receipt counts
// that was signed by an operator of the DP or of a listed MSP; one prover
// alone never reaches more than [Level1], whatever observers say of keys. What it
// does not do: check the raw artefact (package possession/mail and its siblings
// do, for provers and auditors), or judge how old evidence may be (the DP does, at
// admission).
//
// Sizes are bytes, times seconds in the bytes.
package possession

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/cose"
	"whither/key"
	"whither/possession/observe"
)

// Limits.
const (
	MaxReceipt  = 320 // bytes of one receipt
	MaxReceipts = 8   // receipts and observers' words beside one mapping
	NonceSize   = 48  // challenge nonce: 24 bytes by mail and 24 over TLS
)

// Errors.
var (
	ErrReceipt     = errors.New("possession: receipt is malformed")
	ErrForeign     = errors.New("possession: receipt is for another CSI or another key")
	ErrUnknown     = errors.New("possession: receipt is not signed by a prover of the registry, or a word on a key not by an observer")
	ErrSignature   = errors.New("possession: a receipt's signature is bad")
	ErrStanding    = errors.New("possession: prover or observer is closed or expelled")
	ErrDependent   = errors.New("possession: prover or observer is run by the DP's or a listed MSP's operator")
	ErrOrder       = errors.New("possession: receipt is dated after what rests on it, or in the future")
	ErrRepeated    = errors.New("possession: receipt is repeated")
	ErrUnfitKind   = errors.New("possession: kind of evidence does not fit this kind of CSI")
	ErrNoReceipts  = errors.New("possession: no receipt")
	ErrTooMany     = errors.New("possession: too many receipts")
	ErrKindUnknown = errors.New("possession: unknown kind of evidence")
	ErrRefusedKind = errors.New("possession: kind of evidence does not count in this federation, or not at this DP")
	ErrNoIssuer    = errors.New("possession: the registry names no OpenID provider that speaks for this CSI")
)

// Level is the strength of evidence (design section 4); higher is stricter.
type Level uint8

// The levels.
const (
	Level1 Level = 1 // anything less: never enough
	Level2 Level = 2 // shares of two independent provers
	Level3 Level = 3 // an issuer vouches for the key by its own means
	Level4 Level = 4 // the CSIP's own signature covers the holder's key
)

// Purpose is what a challenge was run for.
type Purpose uint8

// The purposes.
const (
	PurposeEnrol   Purpose = 1 // a first mapping of this key
	PurposeReprove Purpose = 2 // an answer to a claim, or a fresh proof for a live mapping
)

// Kind is a kind of evidence. See the table in kinds.go.
type Kind uint8

// Subject is the hash that ties a receipt to one CSI and one holder key.
type Subject [sha256.Size]byte

// SubjectOf returns SHA-256 over the canonical CBOR array
// [label, CSI, COSE_Key of the holder].
func SubjectOf(id csi.ID, holder key.Public) Subject {
	return Subject(hashOf(struct {
		_      struct{} `cbor:",toarray"`
		Label  key.Label
		CSI    string
		Holder key.Public
	}{Label: key.LabelSubject, CSI: id.Canonical(), Holder: holder}))
}

// Response returns what a holder must send back through the CSIP: SHA-256 over
// the canonical CBOR array [label, CSI, COSE_Key of the holder, nonce].
func Response(id csi.ID, holder key.Public, nonce [NonceSize]byte) [sha256.Size]byte {
	return hashOf(struct {
		_      struct{} `cbor:",toarray"`
		Label  key.Label
		CSI    string
		Holder key.Public
		Nonce  []byte
	}{Label: key.LabelResponse, CSI: id.Canonical(), Holder: holder, Nonce: nonce[:]})
}

func hashOf(v any) [sha256.Size]byte {
	b, err := canon.Marshal(v)
	if err != nil {
		panic("possession: " + err.Error()) // fixed structs of text and bytes
	}
	return sha256.Sum256(b)
}

// Receipt is a prover's statement that possession was shown to it.
type Receipt struct {
	Purpose  Purpose
	Subject  Subject
	Kind     Kind
	Level    Level             // at most, as this prover saw the artefact
	Artefact [sha256.Size]byte // SHA-256 of the raw artefact
	KeySeen  [sha256.Size]byte // digest of the CSIP's key that the prover saw published; zero where there is none
	Evidence time.Time         // inside the CSIP's signature, else when the prover saw it
	Signed   time.Time
}

// receiptBody is the signed payload.
type receiptBody struct {
	Purpose  Purpose `cbor:"1,keyasint"`
	Subject  []byte  `cbor:"2,keyasint"`
	Kind     Kind    `cbor:"3,keyasint"`
	Level    Level   `cbor:"4,keyasint"`
	Artefact []byte  `cbor:"5,keyasint"`
	KeySeen  []byte  `cbor:"6,keyasint,omitempty"`
	Evidence int64   `cbor:"7,keyasint"`
}

// signProver is the role in a receipt's header.
const signProver uint8 = 1

// Sign returns the receipt's bytes, signed by a prover's key.
func (r Receipt) Sign(prover key.Private) ([]byte, error) {
	body := receiptBody{
		Purpose: r.Purpose, Subject: r.Subject[:], Kind: r.Kind, Level: r.Level,
		Artefact: r.Artefact[:], Evidence: r.Evidence.Unix(),
	}
	if r.KeySeen != [sha256.Size]byte{} {
		body.KeySeen = r.KeySeen[:]
	}
	payload, err := canon.Marshal(body)
	if err != nil {
		return nil, err
	}
	return cose.Sign1(key.LabelReceipt, payload, prover, true, cose.Params{Role: signProver, Time: r.Signed.Unix()})
}

// Unverified is a parsed statement whose signature nobody has checked: a
// prover's receipt, or an observer's word on a key, which travels among the
// receipts of a mapping.
type Unverified struct {
	receipt Receipt
	message cose.Message1
	digest  [sha256.Size]byte
	word    observe.Word // instead of a receipt
	isWord  bool
}

// Parse reads a receipt or an observer's word. Their payloads differ in form, so
// that no bytes are both.
func Parse(b []byte) (Unverified, error) {
	u, err := parseReceipt(b)
	if err == nil {
		return u, nil
	}
	if w, other := observe.ParseWord(b); other == nil {
		return Unverified{word: w, isWord: true, digest: Digest(b)}, nil
	}
	return Unverified{}, err
}

// parseReceipt reads a receipt.
func parseReceipt(b []byte) (Unverified, error) {
	m, err := cose.Parse1(b, MaxReceipt)
	if err != nil {
		return Unverified{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	var body receiptBody
	if err := canon.Unmarshal(m.Payload, MaxReceipt, &body); err != nil {
		return Unverified{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	fits := len(body.Subject) == sha256.Size && len(body.Artefact) == sha256.Size &&
		(len(body.KeySeen) == 0 || len(body.KeySeen) == sha256.Size) &&
		body.Level >= Level1 && body.Level <= Level4 && body.Evidence > 0 && cose.GoodTime(body.Evidence) &&
		(body.Purpose == PurposeEnrol || body.Purpose == PurposeReprove)
	if !fits || m.Signature.Role != signProver || !m.Signature.HasKID || m.Signature.Until != 0 || m.Signature.Found != 0 || m.Signature.Admitted != 0 {
		return Unverified{}, fmt.Errorf("%w: a member is out of bounds", ErrReceipt)
	}
	u := Unverified{message: m, digest: Digest(b), receipt: Receipt{
		Purpose: body.Purpose, Subject: Subject(body.Subject), Kind: body.Kind, Level: body.Level,
		Artefact: [sha256.Size]byte(body.Artefact), Evidence: time.Unix(body.Evidence, 0),
		Signed: time.Unix(m.Signature.Time, 0),
	}}
	if len(body.KeySeen) != 0 {
		u.receipt.KeySeen = [sha256.Size]byte(body.KeySeen)
		if u.receipt.KeySeen == [sha256.Size]byte{} {
			return Unverified{}, fmt.Errorf("%w: a zero key digest is written", ErrReceipt)
		}
	}
	return u, nil
}

// Digest is how a mapping names a receipt: SHA-256 of its bytes.
func Digest(receipt []byte) [sha256.Size]byte { return sha256.Sum256(receipt) }

// Digest returns the receipt's digest.
func (u Unverified) Digest() [sha256.Size]byte { return u.digest }

// Claims returns what the receipt says, unverified. An observer's word is no
// receipt: its Kind is 0, which is none.
func (u Unverified) Claims() Receipt { return u.receipt }

// Word returns the observer's word, false if u is a receipt.
func (u Unverified) Word() (observe.Word, bool) { return u.word, u.isWord }

// Signed is when the statement was signed, unverified.
func (u Unverified) Signed() time.Time {
	if u.isWord {
		return u.word.Signed()
	}
	return u.receipt.Signed
}
