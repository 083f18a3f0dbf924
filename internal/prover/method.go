package prover

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/csi"
	"whither/key"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Method is one way to prove possession: all that is special about the kinds of
// evidence that come by it. It is a plain value, made by a package of its own
// and handed to [New]; the package doc says how to add one. A method keeps no
// state of a challenge but in [Challenge.Memo], and signs nothing.
type Method struct {
	// Challengers challenge holders, by the kind that their receipts will say.
	Challengers map[possession.Kind]Challenger
	// Quiet says that its challengers send nothing to anybody: the holder comes
	// with the evidence. Their challenges count towards caps of their own, without
	// a bound for each CSI, or a stranger could spend what the holder needs.
	Quiet bool
	// Witnesses judge what another prover got, by the kind of their receipts.
	Witnesses map[possession.Kind]Witness
	// Tellers send notices, by the scheme of the CSI. The first method that has
	// one for a scheme sends them.
	Tellers map[string]Teller
	// Problem is the method's table from its errors to problem kinds, "" for an
	// error that it does not know. Nil: it has no errors of its own.
	Problem func(error) problem.Kind
	// Metrics are what the method counts itself.
	Metrics []prometheus.Collector
}

// Challenger challenges the holder of a CSI for one kind of evidence. It may be
// a [Deliverer] too. Answers come from the client, to an [Answerer], or from
// outside: then the method has an edge of its own, which gives them to
// [Prover.Decide].
type Challenger interface {
	// Begin makes a new challenge one of this kind. Of c it may change Expires,
	// to earlier, Memo, and Mailbox, where answers come to addresses that are not
	// as long: then two may be the same, and ErrTaken is due. It returns what the client is told; the core adds id
	// and expiry. The kind speaks for the CSI's scheme, or ErrKind is due.
	//
	// What Begin sends is on its way before the challenge is stored: a crash
	// between the two costs the holder a new challenge.
	Begin(ctx context.Context, c *Challenge) (wire.Challenge, error)
}

// Deliverer is a [Challenger] whose challenge goes out when it is stored, and
// again until it has arrived.
type Deliverer interface {
	Challenger
	// Deliver tries once, with the same bytes each time. An error that wraps
	// ErrLater leads to another try, any other ends the challenge.
	Deliver(ctx context.Context, c Challenge) error
}

// Answerer is a [Challenger] whose answer the client brings (POST /v1/answers).
type Answerer interface {
	Challenger
	// Answer judges an answer. See [Prover.Decide] for what its error does.
	Answer(ctx context.Context, c Challenge, a Answer, now time.Time) (Finding, error)
}

// Answer is what a client brings: a code or an artefact, one of them. An
// artefact has at most MaxArtefact bytes, a code at most MaxCode.
type Answer struct {
	Code     string
	Artefact []byte
}

// Witness judges an artefact that another prover got, by the same rules, with
// look-ups of its own. It believes neither the client nor the other prover, and
// keeps nothing.
type Witness interface {
	Witness(ctx context.Context, t Testimony) (Finding, error)
}

// Testimony is what a witness is asked about.
type Testimony struct {
	CSI    csi.ID
	Holder key.Public
	Nonce  [possession.NonceSize]byte
	// Challenger is the prover that got the artefact: an active one, of another
	// operator.
	Challenger registry.PartyID
	Artefact   []byte // at most MaxArtefact bytes
	// Published is the key to judge by, as it was published, if the kind of the
	// receipt says that it was handed (possession.Kind.Unseen); else empty.
	Published []byte
	Now       time.Time
}

// Finding is what an artefact shows; the core makes a receipt of it.
type Finding struct {
	// Artefact is the raw evidence: its digest goes into the receipt, its bytes
	// to the holder.
	Artefact []byte
	// Level is what it reaches at most.
	Level possession.Level
	// KeySeen names the key of the CSIP that was seen published; zero: none.
	KeySeen [32]byte
	// Evidence is the time inside the CSIP's signature; zero, or in the future:
	// when we saw it.
	Evidence time.Time
}

// ErrLater says that a delivery may succeed later.
var ErrLater = errors.New("prover: cannot be delivered now")
