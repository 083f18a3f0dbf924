package disclosure

import (
	"fmt"
	"slices"
	"time"

	"whither/csi"
	"whither/mapping"
	"whither/registry"
	"whither/wire"
)

// Answer is what a DP answered, with what it was asked: one of the three is set.
type Answer struct {
	Offer    *Offered
	Lookup   *Asked
	Admitted *Admitted
}

// Admitted is a mapping that the DP admitted now, verified, and the registry and
// time with which it was.
type Admitted struct {
	Mapping  mapping.Verified
	Snapshot *registry.Snapshot
	Now      time.Time
}

// Offered is an offer, and for which CSI it was asked, when.
type Offered struct {
	CSI    csi.ID
	Answer wire.DPOffer
	Now    time.Time
}

// Asked is a look-up.
type Asked struct {
	Request wire.LookupRequest
	Answer  wire.LookupAnswer
}

// maxSkew is by how much the clocks of an asker and a DP may differ.
const maxSkew = 120 * time.Second

// Check returns [ErrContradicts] when an answer is not one of a DP that behaves as
// the document says. The answer is verified by others: here the signatures of
// mappings are those of whoever.
func (d Document) Check(a Answer) error {
	switch {
	case a.Offer != nil:
		return d.checkOffer(*a.Offer)
	case a.Lookup != nil:
		return d.checkLookup(*a.Lookup)
	case a.Admitted != nil:
		return d.checkAdmitted(*a.Admitted)
	}
	return nil
}

func contradicts(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContradicts, fmt.Sprintf(format, args...))
}

func (d Document) checkOffer(o Offered) error {
	e := d.Evidence[string(o.CSI.Scheme())]
	for _, k := range o.Answer.Kinds {
		if !slices.Contains(e.Kinds, k) {
			return contradicts("it offers evidence of kind %q", k)
		}
	}
	left := time.Unix(o.Answer.Expires, 0).Sub(o.Now) - time.Duration(d.Limits.Offer)*time.Second
	keeps := slices.Sorted(slices.Values(o.Answer.Residency))
	switch {
	case o.Answer.DP != d.Provider:
		return contradicts("the offer is of %s", o.Answer.DP)
	case o.Answer.Level < e.Level:
		return contradicts("level %d is enough, and %d is said", o.Answer.Level, e.Level)
	case left.Abs() > maxSkew:
		return contradicts("the offer lives for another time")
	case !slices.Equal(keeps, d.Residency):
		return contradicts("it keeps data in %q, and says %q", keeps, d.Residency)
	}
	return nil
}

func (d Document) checkLookup(q Asked) error {
	if n := len(q.Request.CSIs); n > d.Limits.CSIs {
		return contradicts("it answers %d CSIs at once", n)
	}
	if !slices.Contains(d.Lookups.Formats, q.Request.Format) {
		return contradicts("it answers in the format %q", q.Request.Format)
	}
	for _, a := range q.Answer.Answers {
		if len(a.Mappings) > d.Limits.Mappings {
			return contradicts("%d mappings of one CSI live", len(a.Mappings))
		}
		for _, f := range a.Mappings {
			if err := d.checkFound(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkFound judges a mapping that was found. What cannot be read is refused by
// whoever verifies it, and is nobody's contradiction.
func (d Document) checkFound(f wire.Found) error {
	u, err := mapping.Parse(f.Bundle.Unpack())
	if err != nil || !slices.Contains(f.At, d.Provider) || u.Claims().DP != d.Provider {
		return nil //nolint:nilerr // see above
	}
	return d.checkResidency(u.Claims())
}

// checkResidency: a mapping lies where its holder allows it.
func (d Document) checkResidency(c mapping.Claims) error {
	allowed := c.Residency
	if len(allowed) == 0 {
		allowed = c.CSI.Home()
	}
	for _, j := range d.Residency {
		if len(allowed) > 0 && !slices.Contains(allowed, j) {
			return contradicts("it keeps in %s a mapping that may not be kept there", j)
		}
	}
	return nil
}

// checkAdmitted judges the mapping again by what the DP says that it asks for.
func (d Document) checkAdmitted(a Admitted) error {
	c := a.Mapping.Claims()
	if c.DP != d.Provider {
		return contradicts("the mapping is at %s", c.DP)
	}
	u, err := mapping.Parse(a.Mapping.Bundle())
	if err != nil {
		return err
	}
	if _, err := mapping.PolicyAt(a.Snapshot, a.Now).Stricter(d.Demands()).Verify(u); err != nil {
		return contradicts("it admitted a mapping against its demands: %v", err)
	}
	if life := a.Mapping.Until().Sub(a.Mapping.Signed()); life > time.Duration(d.Retention.Signature)*time.Second {
		return contradicts("its signature is good for %s", life)
	}
	return d.checkResidency(c)
}
