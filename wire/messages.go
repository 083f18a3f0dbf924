package wire

import (
	"whither/csi"
	"whither/mapping"
	"whither/registry"
)

// Paths of the servers' message endpoints; all are POST unless they say GET.
const (
	PathOffers       = "/v1/offers"       // DP, MSP
	PathMappings     = "/v1/mappings"     // DP
	PathRenewals     = "/v1/renewals"     // DP
	PathWithdrawals  = "/v1/withdrawals"  // DP
	PathEnds         = "/v1/ends"         // DP: an MSP ends its entry of a mapping
	PathLookups      = "/v1/lookups"      // DP, MSP
	PathSignatures   = "/v1/signatures"   // MSP
	PathChallenges   = "/v1/challenges"   // prover: start
	PathStatus       = "/v1/status"       // prover: how a challenge stands
	PathAnswers      = "/v1/answers"      // prover: the code of a challenge by message or call
	PathObservations = "/v1/observations" // prover: witness another prover's artefact
	PathKeys         = "/v1/keys"         // observer: look at a published key
	PathLists        = "/v1/lists"        // observer: GET, the index of daily lists; below it, by its day, each list
	PathStandings    = "/v1/standings"    // DP: how a holder's mapping stands
	PathReproofs     = "/v1/reproofs"     // DP: a holder proves again
	PathNotices      = "/v1/notices"      // MSP, prover: a DP has something to tell a person
	PathEvents       = "/v1/events"       // DP: a CSIP pushes a security event token (docs/spec/events.md)
	PathInbox        = "/v1/inbox"        // MSP: what there is to tell a user
	PathRegistry     = "/v1/registry"     // every server: GET, the registry file as it stands
)

// HeaderRegistry names, in every answer of every server, the version and
// digest of the registry that the server works with: "VERSION; HEX".
const HeaderRegistry = "Whither-Registry"

// Stamp is the same inside an answer.
type Stamp struct {
	Version uint64 `cbor:"version" json:"version"`
	Digest  Bytes  `cbor:"digest" json:"digest"` // 32 bytes
}

// OfferRequest asks a DP or an MSP for its part of a mapping.
type OfferRequest struct {
	CSI csi.Clear `cbor:"csi" json:"csi"`
	Key Bytes     `cbor:"key" json:"key"` // holder's Ed25519 key, 32 bytes
}

// DPOffer is a DP's part: what it will accept, and its nonce.
type DPOffer struct {
	DP        registry.PartyID   `cbor:"dp" json:"dp"`
	Nonce     Bytes              `cbor:"nonce" json:"nonce"`                             // 16 bytes, into the payload
	Offer     Bytes              `cbor:"offer" json:"offer"`                             // opaque; comes back with the submission
	Expires   int64              `cbor:"expires" json:"expires"`                         // seconds
	Level     uint8              `cbor:"level" json:"level"`                             // lowest level of evidence
	Kinds     []string           `cbor:"kinds" json:"kinds"`                             // kinds of evidence that count for this CSI
	Provers   []registry.PartyID `cbor:"provers" json:"provers"`                         // whose receipts count; the first challenges, the others witness
	Residency []string           `cbor:"residency,omitempty" json:"residency,omitempty"` // where this DP keeps data, ISO 3166-1 alpha-2
	MaxLife   int64              `cbor:"max_life" json:"max_life"`                       // seconds from the newest evidence to expiry
}

// MSPOffer is an MSP's part.
type MSPOffer struct {
	Provider registry.PartyID `cbor:"provider" json:"provider"`
	URI      string           `cbor:"uri" json:"uri"`
	Nonce    Bytes            `cbor:"nonce" json:"nonce"` // 16 bytes
	Offer    Bytes            `cbor:"offer" json:"offer"` // opaque; comes back with the signature request
	Expires  int64            `cbor:"expires" json:"expires"`
}

// Bundle is a mapping, the receipts that it names, and the statements that lead
// from the key in the receipts to the mapping's holder.
type Bundle struct {
	Mapping  Bytes   `cbor:"mapping" json:"mapping"`                     // COSE_Sign
	Receipts []Bytes `cbor:"receipts" json:"receipts"`                   // COSE_Sign1, in the mapping's order
	Lineage  []Bytes `cbor:"lineage,omitempty" json:"lineage,omitempty"` // COSE_Sign, the oldest first; none where they are one
	Ends     []Bytes `cbor:"ends,omitempty" json:"ends,omitempty"`       // COSE_Sign1 by MSPs that have ended their entries, in the order of these
}

// BundleOf returns b as a message member.
func BundleOf(b mapping.Bundle) Bundle {
	out := Bundle{Mapping: b.Mapping, Receipts: make([]Bytes, 0, len(b.Receipts))}
	for _, r := range b.Receipts {
		out.Receipts = append(out.Receipts, r)
	}
	for _, l := range b.Lineage {
		out.Lineage = append(out.Lineage, l)
	}
	for _, e := range b.Ends {
		out.Ends = append(out.Ends, e)
	}
	return out
}

// Unpack returns the bundle for package mapping to parse.
func (b Bundle) Unpack() mapping.Bundle {
	out := mapping.Bundle{Mapping: b.Mapping}
	for _, r := range b.Receipts {
		out.Receipts = append(out.Receipts, r)
	}
	for _, l := range b.Lineage {
		out.Lineage = append(out.Lineage, l)
	}
	for _, e := range b.Ends {
		out.Ends = append(out.Ends, e)
	}
	return out
}

// SignatureRequest asks an MSP to sign.
type SignatureRequest struct {
	Offer  Bytes  `cbor:"offer" json:"offer"`
	Bundle Bundle `cbor:"bundle" json:"bundle"`
}

// SignatureAnswer is the mapping with the MSP's signature added.
type SignatureAnswer struct {
	Mapping Bytes `cbor:"mapping" json:"mapping"`
}

// SubmitRequest asks a DP to admit a mapping.
type SubmitRequest struct {
	Offer  Bytes  `cbor:"offer" json:"offer"`
	Bundle Bundle `cbor:"bundle" json:"bundle"`
	Appeal bool   `cbor:"appeal,omitempty" json:"appeal,omitempty"` // where it would be refused as weaker, people shall decide
}

// States of a submission.
const (
	StateAdmitted = "admitted"
	StateHeld     = "held"
	StateReview   = "review" // people decide
)

// SubmitAnswer says what became of a submission.
type SubmitAnswer struct {
	State  string  `cbor:"state" json:"state"`
	Bundle *Bundle `cbor:"bundle,omitempty" json:"bundle,omitempty"` // admitted: the finished mapping
	Reason string  `cbor:"reason,omitempty" json:"reason,omitempty"` // held: why
	Until  int64   `cbor:"until,omitempty" json:"until,omitempty"`   // held: the decision's latest time, seconds; 0 = not known
	Stamp  Stamp   `cbor:"registry" json:"registry"`
}

// RenewalRequest asks for a mapping with a fresh DP signature.
type RenewalRequest struct {
	ID Bytes `cbor:"id" json:"id"` // 16 bytes
}

// RenewalAnswer is that mapping.
type RenewalAnswer struct {
	Bundle Bundle `cbor:"bundle" json:"bundle"`
	Stamp  Stamp  `cbor:"registry" json:"registry"`
}

// WithdrawalRequest ends a mapping.
type WithdrawalRequest struct {
	Statement Bytes `cbor:"statement" json:"statement"` // COSE_Sign1 by the holder
}

// WithdrawalAnswer confirms it.
type WithdrawalAnswer struct {
	Ended int64 `cbor:"ended" json:"ended"` // seconds
	Stamp Stamp `cbor:"registry" json:"registry"`
}

// EndRequest ends one MSP's entry of a mapping.
type EndRequest struct {
	Statement Bytes `cbor:"statement" json:"statement"` // COSE_Sign1 by the MSP
}

// EndAnswer confirms it.
type EndAnswer struct {
	Ended int64 `cbor:"ended" json:"ended"` // seconds; the date of the end that stands
	Stamp Stamp `cbor:"registry" json:"registry"`
}

// StandingRequest asks how a mapping stands, as its holder.
type StandingRequest struct {
	Question Bytes `cbor:"question" json:"question"` // COSE_Sign1 by the holder
}

// States of a mapping, besides those of a submission.
const (
	StateLeaving = "leaving" // it ends by its own signed term, unless its holder proves again
	StateRefused = "refused" // its claim came to nothing
	StateEnded   = "ended"   // it has won its claim and has ended since
)

// StandingAnswer is how it stands.
type StandingAnswer struct {
	State   string    `cbor:"state" json:"state"`
	Bundle  *Bundle   `cbor:"bundle,omitempty" json:"bundle,omitempty"`   // while it lives
	Until   int64     `cbor:"until,omitempty" json:"until,omitempty"`     // held, review: the latest time of the decision, if nothing stands still
	Expires int64     `cbor:"expires,omitempty" json:"expires,omitempty"` // while it lives
	Prove   bool      `cbor:"prove,omitempty" json:"prove,omitempty"`     // it expires soon: make the next one from fresh evidence
	Claims  []Claimed `cbor:"claims,omitempty" json:"claims,omitempty"`   // what asks its holder to prove again
	Stamp   Stamp     `cbor:"registry" json:"registry"`
}

// Claimed is a claim as the incumbent sees it: not a word on who makes it.
type Claimed struct {
	Opened   int64 `cbor:"opened" json:"opened"`                         // an answer rests on evidence dated after it
	Level    uint8 `cbor:"level" json:"level"`                           // that an answer needs
	Until    int64 `cbor:"until" json:"until"`                           // when silence ends the mapping, if nothing stands still
	Answered bool  `cbor:"answered,omitempty" json:"answered,omitempty"` // sufficiently
}

// ReproofRequest proves again.
type ReproofRequest struct {
	Statement Bytes   `cbor:"statement" json:"statement"` // COSE_Sign1 by the holder
	Receipts  []Bytes `cbor:"receipts" json:"receipts"`   // that it names, in order
}

// ReproofAnswer says what it was good for.
type ReproofAnswer struct {
	Level    uint8 `cbor:"level" json:"level"`
	Answered int   `cbor:"answered" json:"answered"` // claims that it answers
	Stamp    Stamp `cbor:"registry" json:"registry"`
}

// What a DP has to tell a person.
const (
	NoticeClaim  = "claim"  // prove again, or the mapping ends
	NoticeExpiry = "expiry" // the mapping expires soon
)

// NoticeRequest is what a DP tells an MSP for its user, or a prover for whoever
// has the CSI.
type NoticeRequest struct {
	Notice Notice    `cbor:"notice" json:"notice"`
	CSI    csi.Clear `cbor:"csi" json:"csi"`
}

// Notice says nothing of anybody else.
type Notice struct {
	Kind    string `cbor:"kind" json:"kind"`
	Mapping Bytes  `cbor:"mapping" json:"mapping"` // id of the person's own, 16 bytes
	Since   int64  `cbor:"since" json:"since"`
	Until   int64  `cbor:"until" json:"until"`
}

// NoticeAnswer says that the message is kept, or on its way.
type NoticeAnswer struct {
	Taken bool `cbor:"taken" json:"taken"`
}

// InboxRequest asks an MSP what there is to tell the signed-in user of a CSI of
// her account.
type InboxRequest struct {
	CSI csi.Clear `cbor:"csi" json:"csi"`
}

// InboxAnswer has it, the oldest first.
type InboxAnswer struct {
	Notices []Notice `cbor:"notices" json:"notices"`
}

// Federation says which DPs a lookup asks besides the one that gets it.
const (
	FederationNone      = "none"
	FederationPreferred = "preferred"
	FederationSelected  = "selected"
	FederationAll       = "all"
)

// Formats of a lookup's answer.
const (
	FormatVerbose = "verbose"
	FormatCompact = "compact"
)

// LookupRequest asks a DP where CSIs can be reached. It names nobody who asks.
type LookupRequest struct {
	CSIs       []csi.Clear        `cbor:"csis" json:"csis"`                                 // 1 to MaxLookup
	MSPs       []registry.PartyID `cbor:"msps,omitempty" json:"msps,omitempty"`             // only these; none = all
	Federation string             `cbor:"federation,omitempty" json:"federation,omitempty"` // left out: the DP's default
	DPs        []registry.PartyID `cbor:"dps,omitempty" json:"dps,omitempty"`               // for FederationSelected
	Format     string             `cbor:"format" json:"format"`
}

// MaxLookup is the most CSIs of one request.
const MaxLookup = 1000

// Outcomes of a lookup for one CSI (R9), and one more for what has died.
const (
	OutcomeNone     = "none"        // no mapping
	OutcomeUnlisted = "unlisted"    // registered, and not to be found
	OutcomeOne      = "one"         // one mapping at one MSP
	OutcomeSeveral  = "one-several" // one mapping at several MSPs
	OutcomeMany     = "several"     // several mappings
	OutcomeEnded    = "ended"       // there is a mapping; every entry of it has died
)

// Reach is what one mapping offers: MSPs that it lists, and how many of them
// can be reached.
type Reach struct{ Listed, Reachable int }

// OutcomeOf names the outcome of a set of mappings.
func OutcomeOf(set []Reach) string {
	alive, reachable, dead := 0, 0, 0
	for _, r := range set {
		if r.Listed > 0 && r.Reachable == 0 {
			dead++
			continue
		}
		alive++
		reachable += r.Reachable
	}
	switch {
	case alive == 0 && dead > 0:
		return OutcomeEnded
	case alive == 0:
		return OutcomeNone
	case reachable == 0:
		return OutcomeUnlisted
	case alive > 1:
		return OutcomeMany
	case reachable > 1:
		return OutcomeSeveral
	default:
		return OutcomeOne
	}
}

// LookupAnswer answers every CSI of a request, in its order.
type LookupAnswer struct {
	Answers []Answer  `cbor:"answers" json:"answers"`
	Asked   []AskedDP `cbor:"asked" json:"asked"`                   // every DP and what became of asking it
	Bits    *BitTable `cbor:"bits,omitempty" json:"bits,omitempty"` // compact: how to read the bits
	Stamp   Stamp     `cbor:"registry" json:"registry"`
}

// Answer is what is known of one CSI.
type Answer struct {
	Outcome  string  `cbor:"outcome" json:"outcome"`
	Mappings []Found `cbor:"mappings,omitempty" json:"mappings,omitempty"` // verbose
	Bits     Bytes   `cbor:"bits,omitempty" json:"bits,omitempty"`         // compact: bit i of byte i/8, least significant first, is MSP i
}

// Found is a mapping and the DPs where it was found.
type Found struct {
	Bundle Bundle             `cbor:"bundle" json:"bundle"`
	At     []registry.PartyID `cbor:"at" json:"at"`
}

// Outcomes of asking a DP.
const (
	AskedAnswered = "answered"
	AskedRefused  = "refused"
	AskedLimited  = "limited"
	AskedTimedOut = "timed-out"
	AskedNot      = "not-asked"
)

// AskedDP is a DP and what became of asking it.
type AskedDP struct {
	DP      registry.PartyID `cbor:"dp" json:"dp"`
	Outcome string           `cbor:"outcome" json:"outcome"`
	Why     string           `cbor:"why,omitempty" json:"why,omitempty"`
}

// BitTable names the table that a compact answer's bits index: positions never
// change their owner, so a client re-maps by registry version, and never
// combines the bits of two versions.
type BitTable struct {
	Version uint64 `cbor:"version" json:"version"` // of the registry
	Length  int    `cbor:"length" json:"length"`   // positions
}

// ChallengeRequest asks a prover to challenge the holder of a CSI.
type ChallengeRequest struct {
	CSI     csi.Clear `cbor:"csi" json:"csi"`
	Key     Bytes     `cbor:"key" json:"key"`
	Kind    string    `cbor:"kind" json:"kind"`
	Purpose uint8     `cbor:"purpose" json:"purpose"`
	// Incumbent is a mapping of this CSI under this key, whose holder has a
	// budget of her own.
	Incumbent *Bundle `cbor:"incumbent,omitempty" json:"incumbent,omitempty"`
}

// Challenge is a started challenge. ID and Nonce are the client's alone.
type Challenge struct {
	ID      Bytes  `cbor:"id" json:"id"`                         // 16 bytes, random
	Nonce   Bytes  `cbor:"nonce" json:"nonce"`                   // what of it does not travel through the CSIP: 24 or 48 bytes, or none
	From    string `cbor:"from,omitempty" json:"from,omitempty"` // mail: where the challenge comes from and the reply goes
	To      string `cbor:"to,omitempty" json:"to,omitempty"`     // telephone: the one destination of what is signed
	Expires int64  `cbor:"expires" json:"expires"`
}

// StatusRequest asks how a challenge stands.
type StatusRequest struct {
	ID Bytes `cbor:"id" json:"id"`
}

// AnswerRequest answers a challenge with the code that came by message or call,
// or with the artefact that shows possession; one of them.
type AnswerRequest struct {
	ID       Bytes  `cbor:"id" json:"id"`
	Code     string `cbor:"code,omitempty" json:"code,omitempty"` // decimal digits
	Artefact Bytes  `cbor:"artefact,omitempty" json:"artefact,omitempty"`
}

// States of a challenge.
const (
	ChallengeWaiting = "waiting"
	ChallengeProved  = "proved"
	ChallengeFailed  = "failed"
)

// ChallengeStatus is how a challenge stands. Once proved, it carries the
// receipt and the artefact, which the holder keeps.
type ChallengeStatus struct {
	State    string `cbor:"state" json:"state"`
	Problem  string `cbor:"problem,omitempty" json:"problem,omitempty"` // failed, or the last refused answer: a problem type URI
	Receipt  Bytes  `cbor:"receipt,omitempty" json:"receipt,omitempty"`
	Artefact Bytes  `cbor:"artefact,omitempty" json:"artefact,omitempty"` // the raw reply
	Nonce    Bytes  `cbor:"nonce,omitempty" json:"nonce,omitempty"`       // the whole challenge nonce, 48 bytes
	SIM      string `cbor:"sim,omitempty" json:"sim,omitempty"`           // proved, of a number: what its operator said of the SIM card
}

// What an operator said of a number's SIM card before evidence counted.
const (
	SIMUnchanged = "unchanged" // for as long as the prover asks for
	SIMUnknown   = "unknown"   // the operator does not say, or none was asked
)

// ObservationRequest asks a second prover to check an artefact against what it
// sees published itself.
type ObservationRequest struct {
	CSI        csi.Clear        `cbor:"csi" json:"csi"`
	Key        Bytes            `cbor:"key" json:"key"`
	Kind       string           `cbor:"kind" json:"kind"`
	Purpose    uint8            `cbor:"purpose" json:"purpose"`
	Challenger registry.PartyID `cbor:"challenger" json:"challenger"`
	Nonce      Bytes            `cbor:"nonce" json:"nonce"` // the whole challenge nonce, 48 bytes
	Artefact   Bytes            `cbor:"artefact" json:"artefact"`
	// Published is the key to judge by, as it was published, for a recheck.
	Published Bytes `cbor:"published,omitempty" json:"published,omitempty"`
}

// Observation is the second prover's receipt.
type Observation struct {
	Receipt Bytes  `cbor:"receipt" json:"receipt"`
	SIM     string `cbor:"sim,omitempty" json:"sim,omitempty"` // of a number, as in ChallengeStatus
}

// Where keys are published.
const (
	KeysOfDKIM = "dkim" // in the DNS, for mail
	KeysOfJWKS = "jwks" // in an OpenID issuer's key set
)

// KeyRequest asks an observer which key is published now. It names nobody.
type KeyRequest struct {
	Kind  string `cbor:"kind" json:"kind"`
	Name  string `cbor:"name" json:"name"`                       // domain, or issuer
	Label string `cbor:"label,omitempty" json:"label,omitempty"` // selector, or kid
}

// KeyAnswer is what the observer saw.
type KeyAnswer struct {
	Observations []Bytes `cbor:"observations" json:"observations"` // one a key, at least one
	Published    Bytes   `cbor:"published" json:"published"`       // what was found there: the TXT record, the JWK set
}

// ListIndex says of which days an observer has lists, oldest first.
type ListIndex struct {
	Lists []ListEntry `cbor:"lists" json:"lists"`
}

// ListEntry is a day's list.
type ListEntry struct {
	Day    uint64 `cbor:"day" json:"day"`       // since 1970
	Digest Bytes  `cbor:"digest" json:"digest"` // of the list's payload, which the next list names
	Size   uint64 `cbor:"size" json:"size"`     // of the list in bytes
}
