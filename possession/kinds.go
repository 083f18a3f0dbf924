package possession

// The kinds of evidence in use.
const (
	// MailReply: the prover sent a challenge to the mailbox and got the reply
	// with the domain's DKIM signature (RFC 8823 in manner).
	MailReply Kind = 1
	// MailWitness: another prover checked the same reply against the key that
	// it saw in the DNS itself.
	MailWitness Kind = 2
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
	keySeen bool   // its receipts must name the CSIP's published key
}

// rules is the table of design section 4, in one place. A federation can ask
// for a higher level than a kind reaches, never make a kind reach more.
func rules() []rule {
	return []rule{
		{MailReply, "mail-reply", []string{"mailto"}, Level4, "mail", true, true},
		{MailWitness, "mail-witness", []string{"mailto"}, Level4, "mail", false, true},
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

// KindsFor returns the kinds of evidence that speak for CSIs of a scheme.
func KindsFor(scheme string) []Kind {
	var out []Kind
	for _, r := range rules() {
		for _, s := range r.schemes {
			if s == scheme {
				out = append(out, r.kind)
			}
		}
	}
	return out
}
