// Package choice decides at which of the places where a contact can be reached
// a message goes: at one, always the same, the one that the contact wishes. Its
// spec is docs/spec/choice.md; the reasons are in docs/adr/0013-choice.md.
//
// [Decide] is a function of a question, the verified mappings of one contact and
// what is remembered of her. [Chooser] adds the memory:
//
//	answer ──▶ From ──▶ Chooser.Decide ──▶ Decision: a place and why
//	                     │          ▲
//	                 Remember     Recall
//	                     ▼          │
//	                      Memory (a Folder on this device)
//
// # Promises
//
//   - One place or none, never two; the same for every order of the answer, on
//     every device of the asker, and as far as the contact's tags and the asker's
//     own app allow, for every asker.
//   - A remembered choice changes when the asker says so ([Choose]), when its
//     place is gone, or when it followed a tag and the same contact has since put
//     that tag clearly elsewhere; [Decision.Changed] says which.
//   - A place that an answer does not show is gone only if the DP that keeps it
//     has answered.
//   - Who claimed an identifier later never takes over from who claimed it
//     earlier, and a provisional claim never stands beside a settled one. Where
//     somebody new answers to an identifier that the asker has written to, for
//     whatever purpose, the decision says so.
//
// # Not checked
//
// The mappings: they come verified. Whether two keys of one lineage belong
// together: until hand-overs travel with mappings, another key is another
// claimant. That nobody else is found by the wrong people: a tag is a wish which
// this package honours; what must not be found is not in the answer.
//
// It does no I/O but for [Folder], and knows no clock.
package choice

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// Mapping is what a choice needs to know of a verified mapping.
type Mapping struct {
	ID          mapping.ID
	Sequence    uint64
	Lineage     mapping.Lineage
	Holder      key.ID
	DP          registry.PartyID // that keeps it
	Evidence    time.Time        // the oldest evidence of it
	Provisional bool             // not every DP has said yet that nobody was there before
	Audience    bool             // made for a group to which the asker belongs
	Entries     []Entry          // none: not to be found
}

// Entry is one MSP of a mapping.
type Entry struct {
	Provider registry.PartyID
	URI      string
	Tags     []string
	Dead     bool // the MSP cannot be reached, or has ended its entry
}

// From takes out of a verified mapping what a choice needs.
func From(v mapping.Verified, s *registry.Snapshot) Mapping {
	c := v.Claims()
	m := Mapping{
		ID: c.ID, Sequence: c.Sequence, Lineage: c.Lineage, Holder: c.Holder.ID(), DP: c.DP,
		Evidence: v.Evidence().Oldest, Provisional: v.Found() == mapping.FoundProvisional, Audience: c.Audience,
	}
	living := v.Living()
	for _, e := range c.Entries {
		ended := !slices.ContainsFunc(living, func(l mapping.Entry) bool { return l.Provider == e.Provider })
		m.Entries = append(m.Entries, Entry{
			Provider: e.Provider, URI: e.URI, Tags: slices.Clone(e.Tags), Dead: ended || !s.Reachable(e.Provider),
		})
	}
	return m
}

// Heard says who has answered.
type Heard struct {
	Answered []registry.PartyID // DPs that told all they have
	Whole    bool               // everybody who was asked did
}

// Hear reads an answer's list of DPs. A question with a filter leaves something
// out of every answer, so nobody has told all; nor has anybody when mappings were
// refused, for one of these may be the one that is missed.
func Hear(asked []wire.AskedDP, filter []registry.PartyID, refused int) Heard {
	if len(filter) > 0 || refused > 0 {
		return Heard{}
	}
	h := Heard{Whole: len(asked) > 0}
	for _, a := range asked {
		if a.Outcome == wire.AskedAnswered {
			h.Answered = append(h.Answered, a.DP)
		} else {
			h.Whole = false
		}
	}
	return h
}

// Question is what the asker wants.
type Question struct {
	CSI     csi.ID
	Purpose string           // a tag; empty: none in particular
	Own     registry.PartyID // the asker's own MSP; zero: none
	Heard   Heard
}

// By says on whose word a place is remembered.
type By string

// The words.
const (
	ByTag  By = "tag"  // the contact's: a tag, or there was one place only
	ByPick By = "pick" // nobody's: one of several was picked
	ByUser By = "user" // the asker's
)

// Memo is a remembered place.
type Memo struct {
	Lineage  mapping.Lineage
	Holder   key.ID
	Provider registry.PartyID
	DP       registry.PartyID
	By       By
}

// Past is what is remembered of a contact.
type Past struct {
	Purpose *Memo  // for the purpose of the question
	General *Memo  // for no purpose in particular
	Others  []Memo // for other purposes: they tell who the contact is
}

// Note is something to remember.
type Note struct {
	CSI     csi.ID
	Purpose string // empty: for no purpose in particular
	Memo    Memo
}

// Place is where a contact can be reached.
type Place struct {
	Provider registry.PartyID
	URI      string
	Tags     []string
	Mapping  mapping.ID
	Lineage  mapping.Lineage
	Holder   key.ID
	DP       registry.PartyID
	Audience bool // from a mapping made for a group
}

// Reason says why a place was chosen, or why none.
type Reason string

// Reasons for a place.
const (
	Purpose    Reason = "purpose"    // it alone has the tag asked for
	SameApp    Reason = "same-app"   // it is tagged for users of the asker's own MSP
	Default    Reason = "default"    // it alone is tagged Default
	Only       Reason = "only"       // there is no other
	Picked     Reason = "picked"     // one of several
	Remembered Reason = "remembered" // as before
	User       Reason = "user"       // the asker said so
)

// Reasons for none.
const (
	NoMapping   Reason = "no-mapping"  // everybody who was asked has none
	Incomplete  Reason = "incomplete"  // nobody has told of one, and not everybody has answered
	Unlisted    Reason = "unlisted"    // registered, and not to be found
	Ended       Reason = "ended"       // no MSP of it can be reached any more
	NotForYou   Reason = "not-for-you" // only for users of other MSPs
	Unconfirmed Reason = "unconfirmed" // the DP that keeps the remembered place has not answered
)

// Change says why a remembered place is no longer the one.
type Change string

// The changes.
const (
	Same        Change = ""
	Gone        Change = "gone"        // the contact is no longer there
	Unreachable Change = "unreachable" // its MSP cannot be reached any more
	Withheld    Change = "withheld"    // it is now for users of its own MSP only
	Claimant    Change = "claimant"    // somebody else answers to this identifier now: ask who
	Outranked   Change = "outranked"   // its claim was provisional, and an earlier one has turned up
	Steered     Change = "steered"     // the contact has put the tag elsewhere
)

// Decision is where a message goes, and why.
type Decision struct {
	Place     Place // zero if there is none
	Reason    Reason
	Changed   Change
	Was       registry.PartyID // if Changed: where it was before
	Preferred *Place           // what the contact's tags say now, where that is another place
	Tentative bool             // not remembered: the answer is not whole, or the claim provisional
	Contested bool             // several claim this identifier
	Note      *Note            // to be remembered; nil: nothing new
}

// Found reports whether there is a place.
func (d Decision) Found() bool { return !d.Place.Provider.IsZero() }

// rank orders the providers of a contact when nothing else does: the same order
// for everybody, another one for each contact, and none that a provider could
// arrange by its name.
//
//	SHA-256("whither/v1/choice" ‖ 0x00 ‖ CSI ‖ 0x00 ‖ provider)
func rank(id csi.ID, provider registry.PartyID) [sha256.Size]byte {
	return sha256.Sum256([]byte("whither/v1/choice\x00" + id.Canonical() + "\x00" + provider.String()))
}

// claim is who says that an identifier is hers: a lineage and a key of it.
// Anybody can write a lineage's number into a mapping of his own; without the
// key he would be taken for the contact.
type claim struct {
	lineage mapping.Lineage
	holder  key.ID
}

func (c claim) compare(other claim) int {
	return cmp.Or(bytes.Compare(c.lineage[:], other.lineage[:]), bytes.Compare(c.holder[:], other.holder[:]))
}

func (m Mapping) claim() claim { return claim{m.Lineage, m.Holder} }
func (m Memo) claim() claim    { return claim{m.Lineage, m.Holder} }
func (p Place) claim() claim   { return claim{p.Lineage, p.Holder} }

func (m *Memo) is(p Place) bool {
	return m != nil && m.claim() == p.claim() && m.Provider == p.Provider
}
