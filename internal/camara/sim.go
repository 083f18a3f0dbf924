package camara

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"whither/csi"
)

// Bounds of the time that an operator can be asked about (CAMARA SIM Swap).
const (
	MinSIMAge = time.Hour
	MaxSIMAge = 2400 * time.Hour
)

// errNotOffered is an operator's word that a number is not its own, or that it
// does not answer for it.
var errNotOffered = errors.New("camara: the operator does not offer this for the number")

// SIM is one operator's word on changes of SIM cards.
type SIM struct{ service }

// NewSIM returns the service at a base URL, to which token signs the prover in.
// Plain http is for loopback alone.
func NewSIM(base, token string) (*SIM, error) {
	s, err := newService(base, token)
	if err != nil {
		return nil, err
	}
	return &SIM{s}, nil
}

// String never shows the token.
func (s *SIM) String() string { return "camara.SIM(" + s.base + ")" }

// Changed reports whether a number came to another SIM card within some time
// before now, in whole hours, and whether that is known: operators do not offer
// it for every number. A new subscription is a change.
func (s *SIM) Changed(ctx context.Context, number csi.ID, within time.Duration) (changed, known bool, err error) {
	if within < MinSIMAge || within > MaxSIMAge {
		return false, false, fmt.Errorf("camara: changes are asked for within %s to %s", MinSIMAge, MaxSIMAge)
	}
	in := struct {
		PhoneNumber string `json:"phoneNumber"`
		MaxAge      int    `json:"maxAge"` // hours
	}{number.CAMARA(), int(within / time.Hour)}
	var out struct {
		Swapped *bool `json:"swapped"`
	}
	switch err := s.call(ctx, "/check", in, &out); {
	case errors.Is(err, errNotOffered):
		return false, false, nil
	case err != nil:
		return false, false, err
	case out.Swapped == nil:
		return false, false, fmt.Errorf("%w: it does not say", ErrUnavailable)
	}
	return *out.Swapped, true, nil
}

// Operator is an operator's word on changes of SIM cards for the numbers with a
// prefix, "+" and digits.
type Operator struct {
	Prefix string
	SIM    *SIM
}

// Operators asks for each number the operator with the longest prefix; a number
// of none is one of which nothing is known. Numbers are ported, so the operator
// itself says whether it answers for one.
type Operators []Operator

// Changed asks a number's operator; see [SIM.Changed].
func (o Operators) Changed(ctx context.Context, number csi.ID, within time.Duration) (changed, known bool, err error) {
	var best Operator
	for _, one := range o {
		if strings.HasPrefix(number.CAMARA(), one.Prefix) && (best.SIM == nil || len(one.Prefix) > len(best.Prefix)) {
			best = one
		}
	}
	if best.SIM == nil {
		return false, false, nil
	}
	return best.SIM.Changed(ctx, number, within)
}
