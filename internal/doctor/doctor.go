// Package doctor looks at the folder of a party or a person, or from outside at
// any server of a federation, and says what is wrong and how to mend it. It
// changes nothing, and it may look while a daemon runs.
//
// [Folder] reads settings as the daemon does and opens every key, so that what
// it calls ok the daemon takes. [Target] judges what a server shows to everybody.
// Neither looks into a store: whither fsck does, for a DP. No finding says a
// CSI, an account or a secret.
package doctor

import (
	"fmt"
	"time"

	"whither/registry"
	"whither/registry/update"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts. Wrong keeps a daemon from its work, now or for some who ask it;
// Warning will, or may.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Wrong   Verdict = "wrong"
)

// Finding is the result of one check.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	What    string  `json:"what"`
	// Mend is what to do, empty where all is well.
	Mend string `json:"mend,omitempty"`
}

// Report is the findings in the order of the checks.
type Report []Finding

// Sound reports whether nothing is wrong.
func (r Report) Sound() bool {
	for _, f := range r {
		if f.Verdict == Wrong {
			return false
		}
	}
	return true
}

func (r *Report) ok(check, format string, args ...any) {
	*r = append(*r, Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

func (r *Report) warn(check, mend, format string, args ...any) {
	*r = append(*r, Finding{check, Warning, fmt.Sprintf(format, args...), mend})
}

func (r *Report) wrong(check, mend, format string, args ...any) {
	*r = append(*r, Finding{check, Wrong, fmt.Sprintf(format, args...), mend})
}

// Bounds of what still passes without a word.
const (
	lateShare   = 4 // a registry in the last quarter of its life is old
	renewBefore = 30 * 24 * time.Hour
	network     = 5 * time.Second // for one connection
	maxDrift    = time.Minute     // between two clocks
)

// registryOf checks a registry with its root, and the clock against its times.
// It returns nil if there is none to work from.
func (r *Report) registryOf(file, root string, now time.Time) *registry.Snapshot {
	source, err := update.OpenFiles(file, root, now)
	if err != nil {
		r.wrong("registry", mendRegistry(err), "%v", err)
		return nil
	}
	s := source.Snapshot()
	left := s.Expires().Sub(now)
	if left < s.Expires().Sub(s.Issued())/lateShare {
		r.warn("registry", "fetch the federation's newer registry; if there is none, ask for it", "version %d ends in %s", s.Version(), span(left))
	} else {
		r.ok("registry", "version %d of %s, signed as the root wants, good for %s", s.Version(), s.Federation(), span(left))
	}
	if ahead := s.Issued().Sub(now); ahead > 0 {
		r.warn("clock", "set this machine's clock by NTP", "%s behind the registry's signature", ahead.Round(time.Second))
	} else {
		r.ok("clock", "between the registry's times: %s UTC", now.UTC().Format(time.DateTime))
	}
	return s
}

// span says a time that is left, in words of its size.
func span(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return d.Round(time.Minute).String()
}
