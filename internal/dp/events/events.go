// Package events takes the word of CSIPs that an identifier has changed hands:
// Security Event Tokens (RFC 8417) of RISC and of our own kinds, about one
// identifier each. Its spec is docs/spec/events.md.
//
//	raw ── Parse ──▶ Token ── Receiver.Receive ──▶ directory.Hear
//	                            key, audience, time, authority
//
// It promises: a token is signed by who it says, with a key that the registry (or
// the provider that the registry names) lists for that time; it is for this DP;
// it is neither of the future nor stale; it is believed only if its issuer has the
// authority over this identifier, and the identifier is not known to have been
// ported away. What is not believed ends nothing: it asks the incumbents to prove
// again. A token that comes again changes nothing.
//
// It does not decide what an event does: packages precedence and directory do.
// How a token comes, by push or by poll, is the edge's business. Times are seconds
// in the bytes, sizes are bytes.
package events

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/internal/dp/precedence"
	"whither/internal/jws"
	"whither/key"
)

// Bounds.
const (
	MaxSize = 4 << 10 // of a token
	maxText = 255     // of an issuer, a jti or a kid
	// MaxAge is how long after it was signed a token is taken: transmitters repeat
	// what was not acknowledged, for days.
	MaxAge = 7 * 24 * time.Hour
	// MaxPast is how long ago the event itself may lie. What was proved before that
	// has expired.
	MaxPast = 365 * 24 * time.Hour
)

// Event types.
const (
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	// Recycled: somebody else has the identifier now.
	Recycled = risc + "identifier-recycled"
	// Changed: its holder has another one now, and this one is nobody's.
	Changed = risc + "identifier-changed"
	// Released: nobody has it; it may be given out again.
	Released = "urn:whither:event:released"
	// Ported: the same holder has it, at another provider.
	Ported = "urn:whither:event:ported"
	// Verification is SSF's question whether tokens arrive; it is about nobody.
	Verification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// kinds says what each type is to the rules of precedence.
var kinds = map[string]precedence.EventKind{
	Recycled: precedence.ChangedHands, Changed: precedence.Released, Released: precedence.Released, Ported: precedence.Ported,
}

// Errors, one a kind of refusal. None repeats what a token says.
var (
	ErrToken    = errors.New("events: not a security event token about one identifier")
	ErrKind     = errors.New("events: no event of a kind that is heard here")
	ErrIssuer   = errors.New("events: the registry names no such issuer of events")
	ErrAudience = errors.New("events: for somebody else")
	ErrKey      = errors.New("events: not a key of its issuer for that time")
	ErrSigned   = errors.New("events: the signature does not verify")
	ErrFuture   = errors.New("events: dated in the future")
	ErrStale    = errors.New("events: signed, or happened, too long ago")
)

// Token is a parsed security event token, which nobody has vouched for.
type Token struct {
	Issuer   string
	Audience []string
	ID       string // jti
	Issued   time.Time
	Type     string
	About    csi.ID    // zero for Verification
	At       time.Time // of the event: toe, or when it was issued

	message jws.Message
	raw     []byte
}

// Bytes returns the token as it was parsed.
func (t Token) Bytes() []byte { return t.raw }

// Parse reads a token. It is strict: RFC 8417 as SSF narrows it, one event, the
// subject in sub_id (RFC 9493), neither sub nor exp, and no other members.
func Parse(raw []byte) (Token, error) {
	m, err := jws.Parse(raw, MaxSize)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if typ, err := m.Header.Text("typ"); err != nil || typ != "secevent+jwt" || !only(m.Header, "alg", "typ", "kid") || len(m.KID) > maxText {
		return Token{}, fmt.Errorf("%w: header", ErrToken)
	}
	o, err := jws.ParseObject(m.Payload)
	if err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	if !only(o, "iss", "aud", "jti", "iat", "toe", "txn", "events", "sub_id") {
		return Token{}, fmt.Errorf("%w: a member that has no place in it", ErrToken)
	}
	t := Token{message: m, raw: raw}
	if t.Issuer, err = o.Text("iss"); err != nil || t.Issuer == "" || len(t.Issuer) > maxText {
		return Token{}, fmt.Errorf("%w: iss", ErrToken)
	}
	if t.ID, err = o.Text("jti"); err != nil || t.ID == "" || len(t.ID) > maxText {
		return Token{}, fmt.Errorf("%w: jti", ErrToken)
	}
	if t.Audience, err = audience(o); err != nil {
		return Token{}, err
	}
	if t.Issued, err = o.Time("iat"); err != nil {
		return Token{}, fmt.Errorf("%w: iat", ErrToken)
	}
	t.At = t.Issued
	if o.Has("toe") {
		if t.At, err = o.Time("toe"); err != nil || t.At.After(t.Issued) {
			return Token{}, fmt.Errorf("%w: toe", ErrToken)
		}
	}
	return t, t.readEvent(o)
}

func audience(o jws.Object) ([]string, error) {
	if one, err := o.Text("aud"); err == nil {
		return []string{one}, nil
	}
	list, err := o.Texts("aud")
	if err != nil || len(list) == 0 {
		return nil, fmt.Errorf("%w: aud", ErrToken)
	}
	return list, nil
}

// only reports whether an object has no members but some of these.
func only(o jws.Object, names ...string) bool {
	return !slices.ContainsFunc(o.Names(), func(n string) bool { return !slices.Contains(names, n) })
}

// readEvent reads the one event and whom it is about.
func (t *Token) readEvent(o jws.Object) error {
	events, err := o.Object("events")
	if err != nil || len(events.Names()) != 1 {
		return fmt.Errorf("%w: events", ErrToken)
	}
	t.Type = events.Names()[0]
	payload, err := events.Object(t.Type)
	if err != nil {
		return fmt.Errorf("%w: events", ErrToken)
	}
	if t.Type == Verification {
		return nil // about a stream
	}
	if _, heard := kinds[t.Type]; !heard {
		return ErrKind
	}
	allowed := []string{}
	if t.Type == Changed {
		allowed = []string{"new-value"} // of no use here: whom it names may not want it known
	}
	if !only(payload, allowed...) {
		return fmt.Errorf("%w: the event's own members", ErrToken)
	}
	subject, err := o.Object("sub_id")
	if err != nil {
		return fmt.Errorf("%w: sub_id", ErrToken)
	}
	t.About, err = about(subject)
	return err
}

// about reads a subject identifier of RFC 9493.
func about(o jws.Object) (csi.ID, error) {
	format, err := o.Text("format")
	if err != nil {
		return csi.ID{}, fmt.Errorf("%w: sub_id", ErrToken)
	}
	scheme, ok := map[string]string{"email": "mailto:", "phone_number": "tel:"}[format]
	if !ok || !only(o, "format", format) {
		return csi.ID{}, fmt.Errorf("%w: sub_id", ErrToken)
	}
	value, err := o.Text(format)
	if err != nil {
		return csi.ID{}, fmt.Errorf("%w: sub_id", ErrToken)
	}
	id, err := csi.Parse(scheme + value)
	if err != nil { // its text would name the person
		return csi.ID{}, fmt.Errorf("%w: sub_id is no identifier of its format", ErrToken)
	}
	return id, nil
}

// Announcement is what a CSIP says; it is signed for one DP.
type Announcement struct {
	Issuer, Audience, ID, Type string
	Issued                     time.Time
	At                         time.Time // zero: as Issued
	About                      csi.ID
}

// Sign returns the token of an announcement, signed with a CSIP's key.
func (a Announcement) Sign(k key.Private) ([]byte, error) {
	subject := map[csi.Scheme]string{csi.Mailto: "email", csi.Tel: "phone_number"}[a.About.Scheme()]
	if subject == "" {
		return nil, fmt.Errorf("%w: nobody announces this kind of identifier", ErrToken)
	}
	_, value := split(a.About.Canonical())
	claims := map[string]any{
		"iss": a.Issuer, "aud": a.Audience, "jti": a.ID, "iat": a.Issued.Unix(),
		"events": map[string]any{a.Type: map[string]any{}}, "sub_id": map[string]string{"format": subject, subject: value},
	}
	if !a.At.IsZero() {
		claims["toe"] = a.At.Unix()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]string{"alg": string(jws.EdDSA), "typ": "secevent+jwt", "kid": kidOf(k.Public())})
	if err != nil {
		return nil, err
	}
	s, err := jws.Sign(jws.EdDSA, header, payload, signer{k})
	return []byte(s), err
}

// kidOf names a key of a party of the federation in a header: its id in hexadecimal
// digits.
func kidOf(k key.Public) string {
	id := k.ID()
	return hex.EncodeToString(id[:])
}
