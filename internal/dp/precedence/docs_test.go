package precedence_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"whither/internal/dp/precedence"
)

var update = flag.Bool("update", false, "rewrite docs/spec/precedence.md from the table")

const page = "../../../docs/spec/precedence.md"

const pageHead = `# Precedence

Who has a CSI when several people say that they do (requirements R16, R17 and R19). This page is generated from package
[precedence](../../internal/dp/precedence): do not edit it. The same table is applied wherever a mapping arrives.

## Words

A **lineage** is a set of holder keys tied by join and hand-over statements ([mapping.md](mapping.md), section "Lineages"): one person's standing on one CSI. Its **proofs** are
the evidence of its live mappings and its re-proofs; each has a level ([evidence.md](evidence.md)) and a time, which is that of its oldest piece. The lineage's level is the
highest of them. A **newcomer** is a submitted mapping; the **incumbents** are the lineages that live, but for its own. An **event** is the word of a CSIP that the CSI
changed hands or was released. It is **believed** when it comes from who has the authority. It ends a lineage all of whose proofs are older, and bars a newcomer whose
evidence is older; it touches nobody else. That a number was ported ends nothing.

Two clocks run. Dates in evidence are compared with the time. Holds and terms are counted on the **served clock**, which stands still while an incumbent could not
answer, because the DP or the provers were down.

## The table

The first row that applies counts.

`

const pageTail = `
**9** is reached from a hold: an incumbent proves again, and these incumbents have stopped a claim in the last %[1]d days already. The case goes to review.

At most %[2]d claims of one key by one kind of evidence are heard within %[1]d days. A claim that is stricter than those before, or that follows a believed event, is always heard.

## A claim

A newcomer that is held is a claim. It is in one of these phases:

| phase | what is true | ends |
| --- | --- | --- |
| held | every incumbent is asked to prove again and is served unchanged | when an incumbent proves again: stopped, or review in a second round; when every hold has passed in silence: the newcomer lives, leaving; when no incumbent is left: the newcomer lives, done |
| leaving | the newcomer lives; each incumbent that was asked ends by the term that its holder signed, counted from when it was asked | when all have ended: done; when one proves again before: review, both live; when the newcomer is withdrawn: lapsed, the incumbents stay |
| review | nothing changes | by the decision of people; after %[3]d days of the served clock without one: stopped |
| stopped | the incumbents stay | |
| lapsed | the newcomer has expired, was withdrawn, does not verify any more, or an event is newer than its evidence | |
| joined | the newcomer's key was joined to an incumbent's lineage: the same person | |
| done | the newcomer lives | |

**An answer** counts when its evidence is dated after the claim was opened and is as strong as the newcomer's. To use a service, or to be online, is no answer.

**The hold and the term.** A hold is how long the newcomer waits; the term, of %[4]d to %[5]d days, is how long the incumbent has. Where the term is longer, both live for a while.
So nobody but the holder, by the word that it signed, and the CSIP ends a mapping.

**While a claim is held another newcomer may win.** It is an incumbent from then on: the claim is compared with it as in the table, and waits for it as well,
unless it has proved after the claim was opened, which is an answer.

**Reviewers** find for one side. Where they find for the newcomer it lives; who loses, and lives, is asked once more, and ends by its own term unless it shows stricter
evidence than the winner. A case is reviewed only between people with valid evidence.

**A question** is a claim without a newcomer: an event that is not believed asks the incumbents whose proofs are older to prove again, at level 2 or above, and after %[6]s of silence
they are leaving.
`

// TestPage compares the page with the table, and writes it with -update.
func TestPage(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(pageHead)
	b.WriteString("| row | case | outcome | hold |\n| --- | --- | --- | --- |\n")
	rules := precedence.Rules()
	if len(rules) < 11 {
		t.Fatalf("only %d rows", len(rules))
	}
	for _, r := range rules {
		hold := "—"
		if r.Hold != 0 {
			hold = hours(r.Hold)
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", r.Row, r.Case, r.Outcome, hold)
	}
	days := func(d time.Duration) int { return int(d / day) }
	fmt.Fprintf(&b, pageTail, days(precedence.Memory), precedence.MaxClaims, days(precedence.MaxReview), 7, 30, hours(precedence.HoldStricter))
	if *update {
		if err := os.WriteFile(page, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is stale: run go test ./internal/dp/precedence -update (%v)", page, err)
	}
}

func hours(d time.Duration) string {
	if d >= 7*day {
		return fmt.Sprintf("%d days", d/day)
	}
	return strings.TrimSuffix(d.String(), "0m0s")[:2] + " hours"
}
