// Package disclosure is the document in which a discovery provider says how it
// behaves (R11, docs/spec/disclosure.md), and the judge of what it then answers.
//
// The document is one JSON object in canonical form (RFC 8785): equal documents
// have equal bytes. The DP's self record has their SHA-256, so that the DP cannot
// tell one asker this and another that. A DP makes its document of the very values
// that steer it, and never reads one.
//
// A document says what the DP adds to what the federation agreed in the registry:
// of both the stricter counts. [Laxer] finds what would loosen it.
//
// [Document.Check] finds answers that contradict the document. What cannot be seen
// in one answer is not checked: how long things are kept, and holds that have not
// begun. Durations are in seconds.
package disclosure

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/possession"
	"whither/registry"
	"whither/wire"
)

// Path is where a DP serves its document, and Type its media type.
const (
	Path = "/.well-known/mimi-discovery"
	Type = "application/json"
)

// Version is that of the documents of this package.
const Version = 1

// MaxSize bounds a document, in bytes.
const MaxSize = 16 << 10

// Words of the document. AsSigned: a DP shows every mapping that a question
// means, with the tags that its holder signed, and chooses none for the asker.
// Unlimited: what is kept is kept for good.
const (
	AsSigned  = "as-signed"
	Unlimited = "unlimited"
)

// Errors.
var (
	ErrMalformed   = errors.New("disclosure: not a document in canonical form")
	ErrAbsent      = errors.New("disclosure: the registry names no document for this DP")
	ErrDigest      = errors.New("disclosure: the document is not the one that the registry names; keep it and tell the federation")
	ErrContradicts = errors.New("disclosure: the DP does not behave as it says; keep the answer and tell the federation")
	ErrLaxer       = errors.New("disclosure: laxer than the federation agreed")
)

// Document says how a DP behaves. The members of each object stand in the order
// of their names, as RFC 8785 asks.
type Document struct {
	// Evidence is what admits a mapping, by scheme of the CSI.
	Evidence map[string]Evidence `json:"evidence"`
	Holds    Holds               `json:"holds"`
	Limits   Limits              `json:"limits"`
	Lookups  Lookups             `json:"lookups"`
	Provider registry.PartyID    `json:"provider"`
	// Residency is where the DP keeps data, ISO 3166-1 alpha-2, sorted.
	Residency []string  `json:"residency"`
	Retention Retention `json:"retention"`
	Version   int       `json:"version"`
}

// Evidence is what a DP asks of evidence of one scheme, for what it admits.
type Evidence struct {
	Kinds []string `json:"kinds"` // that the DP counts, by name, in the order of the table of kinds
	Level uint8    `json:"level"` // lowest; the registry's counts where it is higher
}

// Holds are for how long a newcomer waits while the incumbents are asked.
type Holds struct {
	Equal    int64 `json:"equal"`    // its evidence is as strict
	Review   int64 `json:"review"`   // people decide, at the latest after that
	Stricter int64 `json:"stricter"` // its evidence is stricter
}

// Limits bound requests and what is kept.
type Limits struct {
	Body     int   `json:"body"`     // bytes of a request
	CSIs     int   `json:"csis"`     // in one look-up
	Mappings int   `json:"mappings"` // alive of one CSI
	Offer    int64 `json:"offer"`    // life of an offer
}

// Lookups are how questions are answered.
type Lookups struct {
	Default     string   `json:"default"`     // the DPs that are asked where the request leaves it open: wire.Federation…
	Formats     []string `json:"formats"`     // that are answered, sorted
	Preferences string   `json:"preferences"` // what becomes of the holder's tags: AsSigned
	Visible     int64    `json:"visible"`     // a mapping is found at the latest so long after its admission
}

// Retention is for how long the DP keeps what, beyond mappings that live.
type Retention struct {
	Claims     int64  `json:"claims"`     // claims that came to nothing, with their evidence
	Signature  int64  `json:"signature"`  // life of a signature on a mapping: a withdrawn one may be believed so long
	Tombstones string `json:"tombstones"` // random ids of mappings that ended: Unlimited
}

// Seconds returns d in the unit of the document.
func Seconds(d time.Duration) int64 { return int64(d / time.Second) }

// Marshal returns the document's bytes.
func (d Document) Marshal() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("disclosure: %w", err)
	}
	return b, nil
}

// Digest is the SHA-256 of a document's bytes, as a self record has it.
func Digest(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

// Parse reads a document, strictly: nothing unknown, nothing left out, no other
// way to write the same.
func Parse(b []byte) (Document, error) {
	var d Document
	if len(b) > MaxSize {
		return d, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return Document{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	again, err := d.Marshal()
	if err != nil {
		return Document{}, err
	}
	if !bytes.Equal(again, b) {
		return Document{}, ErrMalformed
	}
	return d, nil
}

// Of reads the document that a DP's self record names.
func Of(p registry.Party, b []byte) (Document, error) {
	digest := Digest(b)
	switch {
	case len(p.Self.Disclosure) == 0:
		return Document{}, fmt.Errorf("%w: %s", ErrAbsent, p.ID)
	case !bytes.Equal(p.Self.Disclosure, digest[:]):
		return Document{}, fmt.Errorf("%w: %s", ErrDigest, p.ID)
	}
	d, err := Parse(b)
	if err != nil {
		return Document{}, err
	}
	if d.Provider != p.ID {
		return Document{}, fmt.Errorf("%w: %s shows the document of %s", ErrContradicts, p.ID, d.Provider)
	}
	return d, nil
}

// check tests the rules of the page.
func (d Document) check() error {
	switch {
	case d.Version != Version:
		return fmt.Errorf("%w: version %d", ErrMalformed, d.Version)
	case d.Provider.IsZero():
		return fmt.Errorf("%w: provider", ErrMalformed)
	case d.Residency == nil || !ordered(d.Residency) || slices.ContainsFunc(d.Residency, notCountry):
		return fmt.Errorf("%w: residency", ErrMalformed)
	case d.Lookups.Default != wire.FederationNone && d.Lookups.Default != wire.FederationPreferred && d.Lookups.Default != wire.FederationAll:
		return fmt.Errorf("%w: lookups.default", ErrMalformed)
	case len(d.Lookups.Formats) == 0 || !ordered(d.Lookups.Formats) || slices.ContainsFunc(d.Lookups.Formats, notFormat):
		return fmt.Errorf("%w: lookups.formats", ErrMalformed)
	case d.Lookups.Preferences != AsSigned:
		return fmt.Errorf("%w: lookups.preferences", ErrMalformed)
	case d.Retention.Tombstones != Unlimited:
		return fmt.Errorf("%w: retention.tombstones", ErrMalformed)
	case d.Limits.Body < 1 || d.Limits.Body > wire.MaxBody || d.Limits.CSIs < 1 || d.Limits.CSIs > wire.MaxLookup || d.Limits.Mappings < 1:
		return fmt.Errorf("%w: limits", ErrMalformed)
	}
	return d.checkNumbers()
}

// checkNumbers tests durations and evidence.
func (d Document) checkNumbers() error {
	for _, n := range []int64{
		d.Holds.Equal, d.Holds.Review, d.Holds.Stricter, d.Limits.Offer, d.Lookups.Visible, d.Retention.Claims, d.Retention.Signature,
	} {
		if n < 1 || n > maxSeconds {
			return fmt.Errorf("%w: a duration of %d seconds", ErrMalformed, n)
		}
	}
	if d.Evidence == nil {
		return fmt.Errorf("%w: evidence", ErrMalformed)
	}
	for scheme, e := range d.Evidence {
		if err := e.check(scheme); err != nil {
			return err
		}
	}
	return nil
}

// maxSeconds is ten years.
const maxSeconds = 10 * 366 * 24 * 3600

// check tests one scheme's evidence.
func (e Evidence) check(scheme string) error {
	if e.Kinds == nil || e.Level < uint8(possession.Level2) || e.Level > uint8(possession.Level4) {
		return fmt.Errorf("%w: evidence of %q", ErrMalformed, scheme)
	}
	last := possession.Kind(0)
	for _, name := range e.Kinds {
		k, ok := possession.ParseKind(name)
		if !ok || !k.Fits(scheme) || k <= last {
			return fmt.Errorf("%w: kinds of evidence of %q", ErrMalformed, scheme)
		}
		last = k
	}
	return nil
}

// ordered reports whether list is sorted, each once.
func ordered(list []string) bool {
	return slices.IsSortedFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(a, b), -1) })
}

func notCountry(s string) bool {
	return len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z'
}

func notFormat(s string) bool { return s != wire.FormatVerbose && s != wire.FormatCompact }

// Demands are what the document asks of evidence beyond the federation.
func (d Document) Demands() possession.Demands {
	out := possession.Demands{Levels: make(map[string]possession.Level)}
	for scheme, e := range d.Evidence {
		out.Levels[scheme] = possession.Level(e.Level)
		for _, k := range possession.KindsFor(scheme) {
			if !slices.Contains(e.Kinds, k.String()) {
				out.Refused = append(out.Refused, k)
			}
		}
	}
	return out
}

// Laxer returns what in demands is below what the federation agreed: such a DP
// does not start, since it would promise what it cannot keep.
func Laxer(demands possession.Demands, agreed registry.Policy) error {
	for scheme, l := range demands.Levels {
		if lowest := cmp.Or(agreed.Levels[scheme], uint8(possession.Level4)); uint8(l) < lowest {
			return fmt.Errorf("%w: evidence.levels: %s is %d, and the federation asks for %d", ErrLaxer, scheme, l, lowest)
		}
	}
	return nil
}
