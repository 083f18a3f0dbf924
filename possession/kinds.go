package possession

import (
	"slices"

	"whither/possession/observe"
)

// The kinds of evidence in use.
const (
	// MailReply: the prover sent a challenge to the mailbox and got the reply
	// with the domain's DKIM signature (RFC 8823 in manner).
	MailReply Kind = 1
	// MailWitness: another prover checked the same reply against the key that
	// it saw in the DNS itself.
	MailWitness Kind = 2
	// CodeMessage: a one-time code that went out as a text message came back
	// from the client that has the holder's key.
	CodeMessage Kind = 3
	// CodeCall: the same, spoken in a call.
	CodeCall Kind = 4
	// SignedCall: the number called the prover with its carrier's full
	// attestation (RFC 8588), and the caller entered the code by keypad.
	SignedCall Kind = 5
	// SIPMessage: the number sent the prover the response in a SIP MESSAGE that
	// its carrier signed (RFC 9475).
	SIPMessage Kind = 6
	// PassportKey: the carrier signed the response as the media key of a call to
	// the prover (RFC 8225 section 5.2.2).
	PassportKey Kind = 7
	// Delegate: the same, signed under a certificate that was delegated for this
	// number (RFC 9060).
	Delegate Kind = 8
	// TNToken: an authority token for this number and the holder's key
	// (RFC 9448), handed to the prover that gave the nonce.
	TNToken Kind = 9
	// STIRWitness: another prover verified the same artefact of kind 6 to 9.
	STIRWitness Kind = 10
	// OpenIDToken: an ID token of the authoritative issuer with the response as
	// its nonce, handed to the prover that gave the challenge.
	OpenIDToken Kind = 11
	// OpenIDWitness: another prover verified the same token with the key set that
	// it fetched itself.
	OpenIDWitness Kind = 12
	// SMIME: the key of an S/MIME certificate for the address signed the response.
	SMIME Kind = 13
	// SMIMEWitness: another prover verified the same signature.
	SMIMEWitness Kind = 14
	// MailRecheck: another prover checked the same reply under a key that it was
	// handed, because the DNS no longer had it. Observers say that it had.
	MailRecheck Kind = 15
	// OpenIDRecheck: the same of a token, and of an issuer's key set.
	OpenIDRecheck Kind = 16
)

// channel is the way by which a share reaches the person.
type channel string

const (
	byMessage channel = "message"
	byCall    channel = "call"
)

// agreement is what two receipts of a family must agree on to be worth more
// than one party's word.
type agreement uint8

const (
	// otherChannel: each has an artefact of its own, and they came by different
	// channels: whoever owns one channel owns all that comes by it.
	otherChannel agreement = iota + 1
	// sameArtefact: they vouch for one artefact, which has the signer's
	// certificate within. Nothing had to be looked up.
	sameArtefact
	// sameKey: they vouch for one artefact and name one key under which it
	// verified: the one that each saw published, or the signing certificate's.
	sameKey
)

// rule is one row of the table of kinds: which CSIs a kind speaks for, the
// best level that it can reach, and what it must agree on with its siblings.
type rule struct {
	kind    Kind
	name    string
	schemes []string
	best    Level
	family  string // kinds of one family corroborate each other
	asked   bool   // this prover itself challenged the CSI
	agree   agreement
	channel channel // for otherChannel
	// published is where the CSIP publishes the key, 0 where it comes with the
	// artefact.
	published observe.Kind
	// unseen: this prover names the key under which the artefact verified and did
	// not see it published itself; an observer's word has to say so.
	unseen bool
	// assigned: only provers that are assigned to the CSI count; the DP checks.
	assigned bool
}

// rules is the table of design section 4, in one place. A federation can ask
// for a higher level than a kind reaches, never make a kind reach more.
//
// Receipts of kinds 13 and 14 name the leaf certificate's key as well, though
// their agreement does not need it: the artefact contains the certificate, so
// that no archive of old keys helps. Named, a key that turns out to be stolen is
// found in mappings without their artefacts.
func rules() []rule {
	tel, mailto, named := []string{"tel"}, []string{"mailto"}, []string{"mailto", "acct"}
	return []rule{
		{kind: MailReply, name: "mail-reply", schemes: mailto, best: Level4, family: "mail", asked: true, agree: sameKey, published: observe.DKIM},
		{kind: MailWitness, name: "mail-witness", schemes: mailto, best: Level4, family: "mail", agree: sameKey, published: observe.DKIM},
		{kind: CodeMessage, name: "code-message", schemes: tel, best: Level2, family: "code", asked: true, agree: otherChannel, channel: byMessage, assigned: true},
		{kind: CodeCall, name: "code-call", schemes: tel, best: Level2, family: "code", asked: true, agree: otherChannel, channel: byCall, assigned: true},
		{kind: SignedCall, name: "signed-call", schemes: tel, best: Level2, family: "code", asked: true, agree: otherChannel, channel: byCall, assigned: true},
		{kind: SIPMessage, name: "sip-message", schemes: tel, best: Level4, family: "stir", asked: true, agree: sameKey},
		{kind: PassportKey, name: "passport-key", schemes: tel, best: Level4, family: "stir", asked: true, agree: sameKey},
		{kind: Delegate, name: "delegate", schemes: tel, best: Level4, family: "stir", asked: true, agree: sameKey},
		{kind: TNToken, name: "tn-token", schemes: tel, best: Level4, family: "stir", asked: true, agree: sameKey},
		{kind: STIRWitness, name: "stir-witness", schemes: tel, best: Level4, family: "stir", agree: sameKey},
		{kind: OpenIDToken, name: "openid-token", schemes: named, best: Level3, family: "openid", asked: true, agree: sameKey, published: observe.JWKS},
		{kind: OpenIDWitness, name: "openid-witness", schemes: named, best: Level3, family: "openid", agree: sameKey, published: observe.JWKS},
		{kind: SMIME, name: "smime", schemes: mailto, best: Level3, family: "smime", asked: true, agree: sameArtefact},
		{kind: SMIMEWitness, name: "smime-witness", schemes: mailto, best: Level3, family: "smime", agree: sameArtefact},
		{kind: MailRecheck, name: "mail-recheck", schemes: mailto, best: Level4, family: "mail", agree: sameKey, published: observe.DKIM, unseen: true},
		{kind: OpenIDRecheck, name: "openid-recheck", schemes: named, best: Level3, family: "openid", agree: sameKey, published: observe.JWKS, unseen: true},
	}
}

// ruleOf returns the row of k.
func ruleOf(k Kind) (rule, bool) {
	for _, r := range rules() {
		if r.kind == k {
			return r, true
		}
	}
	return rule{}, false
}

// String returns the kind's name in specs and listings.
func (k Kind) String() string {
	if r, ok := ruleOf(k); ok {
		return r.name
	}
	return "unknown"
}

// ParseKind returns the kind of a name, false if there is none.
func ParseKind(name string) (Kind, bool) {
	for _, r := range rules() {
		if r.name == name {
			return r.kind, true
		}
	}
	return 0, false
}

// Assigned reports whether only provers that are assigned to the CSI count for
// this kind.
func (k Kind) Assigned() bool {
	r, ok := ruleOf(k)
	return ok && r.assigned
}

// Best returns the highest level that the kind can reach, Level1 for an unknown
// one.
func (k Kind) Best() Level {
	if r, ok := ruleOf(k); ok {
		return r.best
	}
	return Level1
}

// Asked reports whether a receipt of this kind says that its prover challenged
// the CSI itself. The others are witnesses of somebody else's artefact.
func (k Kind) Asked() bool {
	r, ok := ruleOf(k)
	return ok && r.asked
}

// Witness returns the kind of a receipt in which another prover vouches for the
// same artefact, having looked the key up where it is published; false where each
// prover has an artefact of its own.
func (k Kind) Witness() (Kind, bool) {
	own, ok := ruleOf(k)
	if !ok || own.agree == otherChannel {
		return 0, false
	}
	for _, r := range rules() {
		if r.family == own.family && !r.asked && !r.unseen {
			return r.kind, true
		}
	}
	return 0, false
}

// Recheck returns the kind of a receipt in which another prover vouches for the
// same artefact under a key that it was handed, since it is not published any
// more; false where no key is looked up.
func (k Kind) Recheck() (Kind, bool) {
	own, ok := ruleOf(k)
	if !ok {
		return 0, false
	}
	for _, r := range rules() {
		if r.family == own.family && r.unseen {
			return r.kind, true
		}
	}
	return 0, false
}

// Unseen reports whether a receipt of this kind says that its prover was handed
// the key, and did not see it published.
func (k Kind) Unseen() bool {
	r, ok := ruleOf(k)
	return ok && r.unseen
}

// Fits reports whether the kind speaks for CSIs of a scheme.
func (k Kind) Fits(scheme string) bool {
	r, ok := ruleOf(k)
	return ok && slices.Contains(r.schemes, scheme)
}

// KindsFor returns the kinds of evidence that speak for CSIs of a scheme.
func KindsFor(scheme string) []Kind {
	var out []Kind
	for _, r := range rules() {
		if slices.Contains(r.schemes, scheme) {
			out = append(out, r.kind)
		}
	}
	return out
}
