// Package mapping is the trust core: the statement "this CSI can be reached at
// these MSPs", its bytes, and the one policy that decides whether it is true.
// Its spec is docs/spec/mapping.md.
//
// A mapping is a COSE_Sign over a CWT claims set, signed by the holder, by
// every MSP that it lists, and by the DP, each with a time of its own:
//
//	holder ── Claims.Sign ──▶ Unverified ── AddMSP ──▶ Unverified
//	                                                       │ Policy.VerifyProposal
//	asker ◀── Verified ◀── Proposal.Finish (DP) ◀──── Proposal
//	  │
//	  └─ Parse ──▶ Unverified ── Policy.Verify ──▶ Verified
//
// Parsing yields an [Unverified]; only [Policy.Verify] and [Proposal.Finish]
// make a [Verified], and stores and answers take nothing else. Verification
// needs the bytes, the receipts that travel beside them, a registry snapshot
// and a time: no network, no trust in whoever handed the mapping over.
//
// What it promises: canonical bytes; each role signed once, in order, over the
// same payload; receipts for this CSI and this key that reach the federation's
// level; every signer in good standing now. What it does not check: whether a
// newer mapping or a withdrawal exists (the DP's signature, good for at most
// seven days, bounds that), and which of two lineages came first (package
// internal/dp/directory).
//
// Sizes are bytes; times are seconds in the bytes.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/registry"
)

// Limits (docs/spec/mapping.md, section "Limits").
const (
	MaxSize    = 6 << 10              // bytes of a mapping
	MaxEntries = 8                    // MSPs in one mapping
	MaxTags    = 8                    // tags of one entry
	MaxTag     = 32                   // bytes of one tag
	MaxCopyBy  = 8                    // DPs that may hold a copy
	MaxLife    = 365 * 24 * time.Hour // from the newest evidence to expiry
	MaxDPLife  = 7 * 24 * time.Hour   // of one DP signature
	MinReprove = 7                    // days in which the holder re-proves when asked
	MaxReprove = 30
	NonceSize  = 16

	MaxStatement  = 512 // bytes of a join or hand-over
	MaxStatements = 4   // of them beside one mapping
	maxSequence   = 1 << 32
)

// ID is a mapping's random name. It says nothing about the CSI, and stays when
// the holder replaces the mapping by one of the next sequence.
type ID [16]byte

// String returns 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Lineage names the chain of mappings that one person's keys make.
type Lineage [16]byte

// String returns 32 hexadecimal digits.
func (l Lineage) String() string { return hex.EncodeToString(l[:]) }

// Digest is the SHA-256 of a mapping's payload.
type Digest [sha256.Size]byte

// Nonce is what the DP and each MSP contribute to the payload.
type Nonce [NonceSize]byte

// Found is what the DP found when it admitted the mapping.
type Found uint8

// The findings. Zero is none: the field is absent.
const (
	FoundFirst       Found = 1 // no live lineage of this CSI anywhere
	FoundSuccessor   Found = 2 // follows a mapping of its own lineage
	FoundProvisional Found = 3 // no live lineage here; not every peer has answered
	FoundSilent      Found = 4 // other lineages, silent when they were asked to prove again
)

// Tags with a meaning of their own.
const (
	TagDefault  = "Default"
	TagBusiness = "Business"
	TagPersonal = "Personal"
)

// Entry is one MSP of a mapping.
type Entry struct {
	Provider registry.PartyID // the MSP's provider domain
	URI      string           // mimi://PROVIDER, where a MIMI client goes next
	Tags     []string         // none, or TagDefault alone, or registered words
	Nonce    Nonce            // from the MSP's offer
}

// Claims is the content of a mapping.
type Claims struct {
	ID          ID
	CSI         csi.ID
	DP          registry.PartyID
	Holder      key.Public
	Entries     []Entry // none: "registered, and not to be found"
	Lineage     Lineage
	Sequence    uint64
	Predecessor Digest // of this mapping at the sequence before; zero at sequence 0
	First       bool   // the holder claims that this starts a lineage
	Issued      time.Time
	Expires     time.Time
	Residency   []string           // ISO 3166-1 alpha-2, sorted; none = the CSI's home
	Audience    bool               // made for a closed audience, absent from general answers
	CopyBy      []registry.PartyID // DPs that may hold a copy
	ReproveDays uint8
	DPNonce     Nonce      // from the DP's offer
	Receipts    [][32]byte // digests of the receipts, in their order
}

// Errors. Each names one reason of refusal.
var (
	ErrMalformed   = errors.New("mapping: malformed")
	ErrClaims      = errors.New("mapping: a claim is out of bounds")
	ErrHolderSig   = errors.New("mapping: the holder's signature is missing or bad")
	ErrMSPMissing  = errors.New("mapping: a listed MSP has not signed")
	ErrMSPSig      = errors.New("mapping: an MSP's signature is bad")
	ErrMSPForeign  = errors.New("mapping: signed by an MSP that is not the one listed there")
	ErrDPMissing   = errors.New("mapping: the DP has not signed")
	ErrDPSig       = errors.New("mapping: the DP's signature is bad")
	ErrDPForeign   = errors.New("mapping: signed by another DP than the one named")
	ErrRole        = errors.New("mapping: a signature is doubled, out of order or of an unknown role")
	ErrSigner      = errors.New("mapping: a signer is not in the registry for that role and time")
	ErrStanding    = errors.New("mapping: a signer is closed or expelled")
	ErrTimeOrder   = errors.New("mapping: signatures are not in the order evidence, holder, MSP, DP")
	ErrFuture      = errors.New("mapping: dated in the future")
	ErrExpired     = errors.New("mapping: expired")
	ErrLife        = errors.New("mapping: lives longer than its evidence allows")
	ErrStale       = errors.New("mapping: the DP's signature has run out; ask for a renewed one")
	ErrReceiptSet  = errors.New("mapping: the receipts are not the ones that the mapping names")
	ErrLevel       = errors.New("mapping: evidence is weaker than the federation asks")
	ErrLineage     = errors.New("mapping: a join or hand-over does not lead from the key in the receipts to the holder's")
	ErrNotProposal = errors.New("mapping: already signed by a DP")
)

// validate checks the claims by themselves.
func (c *Claims) validate() error {
	bad := func(why string) error { return fmt.Errorf("%w: %s", ErrClaims, why) }
	switch {
	case c.CSI.IsZero():
		return bad("no CSI")
	case c.DP.IsZero():
		return bad("no DP")
	case c.Holder.IsZero():
		return bad("no holder key")
	case len(c.Entries) > MaxEntries:
		return bad("too many MSPs")
	case c.Sequence >= maxSequence:
		return bad("sequence")
	case (c.Sequence == 0) != (c.Predecessor == Digest{}):
		return bad("sequence 0 has no predecessor, every later one has")
	case c.First && c.Sequence != 0:
		return bad("only sequence 0 can start a lineage")
	case !c.Issued.Before(c.Expires):
		return bad("expires before it is issued")
	case c.ReproveDays < MinReprove || c.ReproveDays > MaxReprove:
		return bad("re-prove term")
	case len(c.Receipts) == 0 || len(c.Receipts) > possession.MaxReceipts:
		return bad("number of receipts")
	case len(c.CopyBy) > MaxCopyBy:
		return bad("too many copies")
	}
	for i, e := range c.Entries {
		if err := e.validate(); err != nil {
			return err
		}
		for _, earlier := range c.Entries[:i] {
			if earlier.Provider == e.Provider {
				return bad("an MSP is listed twice")
			}
		}
	}
	for i, dp := range c.CopyBy {
		if dp.IsZero() || (i > 0 && c.CopyBy[i-1].String() >= dp.String()) {
			return bad("the DPs that may hold a copy are unsorted or repeated")
		}
	}
	return c.validateResidency()
}

func (c *Claims) validateResidency() error {
	if len(c.Residency) > 32 || !slices.IsSorted(c.Residency) {
		return fmt.Errorf("%w: residency is unsorted or too long", ErrClaims)
	}
	for i, r := range c.Residency {
		if len(r) != 2 || strings.Trim(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || (i > 0 && c.Residency[i-1] == r) {
			return fmt.Errorf("%w: residency is no set of ISO 3166-1 alpha-2 codes", ErrClaims)
		}
	}
	return nil
}

// validate checks an entry: R7's rules for tags, and that the URI leads to the
// provider that signs.
func (e Entry) validate() error {
	if e.Provider.IsZero() || e.URI != "mimi://"+e.Provider.String() {
		return fmt.Errorf("%w: URI is not mimi:// and the provider", ErrClaims)
	}
	if len(e.Tags) > MaxTags {
		return fmt.Errorf("%w: too many tags", ErrClaims)
	}
	for i, tag := range e.Tags {
		if len(tag) > MaxTag {
			return fmt.Errorf("%w: tag too long", ErrClaims)
		}
		if tag == TagDefault && len(e.Tags) > 1 {
			return fmt.Errorf("%w: Default stands alone", ErrClaims)
		}
		if slices.Contains(e.Tags[:i], tag) {
			return fmt.Errorf("%w: tag repeated", ErrClaims)
		}
		if !registeredTag(tag, e.Provider) {
			return fmt.Errorf("%w: a tag that everybody sees must be a registered word", ErrClaims)
		}
	}
	return nil
}

// registeredTag admits the words that a general mapping may carry: free words
// would tell every asker what a person calls his friends (design section 6).
func registeredTag(tag string, provider registry.PartyID) bool {
	switch tag {
	case TagDefault, TagBusiness, TagPersonal:
		return true
	default:
		return tag == provider.String()
	}
}
