package possession

import "slices"

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
	// oneArtefact: siblings vouch for the same artefact, and must have seen the
	// same key of the CSIP published. Otherwise each has an artefact of its own,
	// and siblings must be of different kinds, that is, have come by different
	// channels.
	oneArtefact bool
	// assigned: only provers that are assigned to the CSI count; the DP checks.
	assigned bool
}

// rules is the table of design section 4, in one place. A federation can ask
// for a higher level than a kind reaches, never make a kind reach more.
func rules() []rule {
	return []rule{
		{kind: MailReply, name: "mail-reply", schemes: []string{"mailto"}, best: Level4, family: "mail", asked: true, oneArtefact: true},
		{kind: MailWitness, name: "mail-witness", schemes: []string{"mailto"}, best: Level4, family: "mail", oneArtefact: true},
		{kind: CodeMessage, name: "code-message", schemes: []string{"tel"}, best: Level2, family: "code", asked: true, assigned: true},
		{kind: CodeCall, name: "code-call", schemes: []string{"tel"}, best: Level2, family: "code", asked: true, assigned: true},
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
