// Package bysip is the method by the telephone itself (docs/spec/stir.md, "On
// the wire"): the holder's number sends the prover a message, or calls it, and
// the carrier signs that it did.
//
//	client                  prover                    carrier of the number
//	  │ POST /v1/challenges   │                                │
//	  │ ────────────────────> │                                │
//	  │ <── id, nonce, to ─── │                                │
//	  │ ── the person sends the response, or calls and ──────> │
//	  │    enters the code    │ <── MESSAGE or INVITE, ─────── │
//	  │                       │     Identity                   │
//	  │                       │ ── HTTPS: certificates ──────> │
//	  │ POST /v1/status       │
//	  │ ────────────────────> │
//	  │ <── receipt ───────── │
//
// Each challenge has a SIP address of its own, or for calls a telephone number,
// told to the client over TLS. It must be the one destination inside the PASSporT: so what a carrier signed for
// another challenge, another prover or a number that somebody lured a person to
// call answers none. A message contains the response. A call does not: its code,
// which is the response cut down to eight digits, is entered by keypad, after the
// carrier's full attestation was verified. A bare call proves nothing, and the
// prover calls nobody back.
//
// It promises that a MESSAGE is answered with 200 only when its receipt is
// stored, and that a code is judged only in a call whose PASSporT verified; that
// a PASSporT opens one call; that certificates are fetched only for what would
// count if they are right; and that what is refused is refused with the codes of
// RFC 8224 section 6.2.2 and words that a person can act on, without numbers.
//
// It does not check that the person who enters a code was told what it does. The
// answer to the call says it in words (field Warning), and an operator can have
// it said aloud; that is why a call is but one of two shares.
package bysip

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"whither/internal/certfetch"
	"whither/internal/prover"
	"whither/internal/prover/bystir"
	"whither/internal/sipin"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Errors.
var (
	ErrNoIdentity = errors.New("bysip: no Identity of the kind that is needed")
	ErrIdentity   = errors.New("bysip: malformed Identity")
	ErrUsed       = errors.New("bysip: this PASSporT has opened a call already")
	ErrCode       = errors.New("bysip: another code than the challenge's")
)

// Bounds.
const (
	// CallLife is how long a call can be made after it was asked for, as with
	// other codes (design section 4).
	CallLife = 5 * time.Minute
	// callAge is how old the signature of a call may be (RFC 8224 section 12.1).
	callAge = time.Minute
	maxUsed = 1 << 12
)

// Certificates gets the certificates that a PASSporT names; *certfetch.Client
// does.
type Certificates interface {
	Chain(ctx context.Context, address string) (pem []byte, err error)
}

// Config is what the method depends on.
type Config struct {
	Party registry.PartyID
	Trust bystir.Trust
	// Certificates are fetched for tokens that have them not within.
	Certificates Certificates
	// SIP are the settings of the edge; its Host and Count are set here.
	SIP sipin.Config
	// Numbers is a block of telephone numbers that lead here, as +4144555xxxxxx:
	// each call gets one of its own. Empty: calls go to SIP addresses.
	Numbers string
	Now     func() time.Time
	Log     *slog.Logger
}

// SIP is the telephone of one prover.
type SIP struct {
	config   Config
	numbers  block
	requests *prometheus.CounterVec
	used     used
}

// New returns the telephone of a prover.
func New(c Config) (*SIP, error) {
	if c.Certificates == nil || c.Now == nil || c.Log == nil || c.Trust.Snapshot == nil || c.Party.IsZero() {
		return nil, errors.New("bysip: party, trust, certificates, clock and log are needed")
	}
	numbers, err := parseBlock(c.Numbers)
	if err != nil {
		return nil, err
	}
	s := &SIP{config: c, numbers: numbers, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "whither", Subsystem: "prover", Name: "sip_requests_total",
		Help: "SIP requests by what became of them. Alarm on flood and busy.",
	}, []string{"outcome"})}
	for _, e := range sipin.Events() {
		s.requests.WithLabelValues(e)
	}
	s.config.SIP.Host = c.Party.String()
	s.config.SIP.Count = func(e string) { s.requests.WithLabelValues(e).Inc() }
	return s, nil
}

// Method returns the method for [prover.Config]. What other provers got by it is
// witnessed by package bystir.
func (s *SIP) Method() prover.Method {
	m := prover.Method{
		Challengers: map[possession.Kind]prover.Challenger{possession.SIPMessage: challenger{s, stir.FormMessage}},
		Quiet:       true, Problem: Problem, Metrics: []prometheus.Collector{s.requests},
	}
	if s.config.SIP.Media != "" {
		m.Challengers[possession.SignedCall] = challenger{s, stir.FormCall}
	}
	return m
}

// challenger challenges for one form. The client is told where to send or call;
// nothing goes to the number.
type challenger struct {
	sip  *SIP
	form stir.Form
}

// Begin gives the client the nonce and the address.
func (h challenger) Begin(_ context.Context, c *prover.Challenge) (wire.Challenge, error) {
	if _, err := h.sip.config.Trust.Now(h.form); err != nil {
		return wire.Challenge{}, err
	}
	told := wire.Challenge{Nonce: c.Nonce[:]}
	if h.form == stir.FormCall {
		c.Expires = c.Started.Add(CallLife)
		if h.sip.numbers.free > 0 {
			number, err := h.sip.numbers.draw()
			if err != nil {
				return wire.Challenge{}, err
			}
			c.Mailbox, c.Memo, told.To = boxOf(number), number, "tel:"+number
			return told, nil
		}
	}
	told.To = bystir.Address(c.Mailbox, h.sip.config.Party)
	return told, nil
}

// destination is what a PASSporT for a challenge must have as its one
// destination.
func (s *SIP) destination(c prover.Challenge) passport.Party {
	if number, ok := strings.CutPrefix(c.Memo, "+"); ok {
		return passport.Party{TN: number}
	}
	return passport.Party{URI: bystir.Address(c.Mailbox, s.config.Party)}
}

// Serve takes messages and calls for a prover on l until ctx ends, then finishes
// the verdicts under way. It closes l.
func (s *SIP) Serve(ctx context.Context, p *prover.Prover, l sipin.Listeners) error {
	server, err := sipin.New(s.config.SIP, &owner{s, p})
	if err != nil {
		return err
	}
	return server.Serve(ctx, l)
}

// owner judges what comes by SIP for a prover.
type owner struct {
	sip    *SIP
	prover *prover.Prover
}

var _ sipin.Owner = (*owner)(nil)

// open returns the challenge that a request is about.
func (o *owner) open(ctx context.Context, r sipin.Request, kind possession.Kind) (prover.Challenge, error) {
	box, ok := o.sip.numbers.box(r.User)
	if !ok {
		return prover.Challenge{}, prover.ErrUnknown
	}
	c, err := o.prover.Open(ctx, box)
	if err == nil && c.Kind != kind {
		return prover.Challenge{}, prover.ErrUnknown
	}
	return c, err
}

// Message judges a MESSAGE and stores the verdict.
func (o *owner) Message(ctx context.Context, r sipin.Request) error {
	c, err := o.open(ctx, r, possession.SIPMessage)
	if err == nil {
		err = o.prover.Decide(ctx, c, func(ctx context.Context, now time.Time) (prover.Finding, error) {
			return o.sip.judge(ctx, c, r, stir.FormMessage, prover.Life, now)
		})
	}
	return o.refusal(ctx, err)
}

// Call judges who calls. The verdict on the challenge waits for the code; only a
// refusal is stored at once.
func (o *owner) Call(ctx context.Context, r sipin.Request) (sipin.Prompt, error) {
	c, err := o.open(ctx, r, possession.SignedCall)
	if err == nil && c.State != prover.Waiting {
		err = prover.ErrDecided
	}
	if err != nil {
		return sipin.Prompt{}, o.refusal(ctx, err)
	}
	now := o.sip.config.Now()
	found, err := o.sip.judge(ctx, c, r, stir.FormCall, callAge, now)
	if err == nil {
		err = o.sip.used.take(found.Artefact, now)
	}
	if err != nil {
		return sipin.Prompt{}, o.refusal(ctx, o.prover.Decide(ctx, c, func(context.Context, time.Time) (prover.Finding, error) {
			return prover.Finding{}, err
		}))
	}
	return sipin.Prompt{
		Digits: stir.CodeDigits, Notice: notice(c),
		Enter: func(ctx context.Context, code string) error { return o.enter(ctx, c, code, found) },
	}, nil
}

// notice is what a caller is told.
func notice(c prover.Challenge) string {
	return fmt.Sprintf("With the code you let key %s answer for this number. Enter the one that your own app shows; if you did not ask for one, hang up.", c.Holder.ID())
}

// enter judges a code and stores the verdict.
func (o *owner) enter(ctx context.Context, c prover.Challenge, code string, found prover.Finding) error {
	// The call may have been made just before the end, or be one of two.
	c, err := o.prover.Open(ctx, c.Mailbox)
	if err == nil {
		err = o.prover.Decide(ctx, c, func(context.Context, time.Time) (prover.Finding, error) {
			want := stir.CallCode(possession.Response(c.CSI, c.Holder, c.Nonce))
			if subtle.ConstantTimeCompare([]byte(code), []byte(want)) != 1 {
				return prover.Finding{}, ErrCode
			}
			return found, nil
		})
	}
	return o.refusal(ctx, err)
}

// judge verifies what a request carries, cheapest checks first.
func (s *SIP) judge(ctx context.Context, c prover.Challenge, r sipin.Request, form stir.Form, age time.Duration, now time.Time) (prover.Finding, error) {
	extension, body := passport.Message, r.Body
	if form == stir.FormCall {
		extension, body = passport.Shaken, nil // its body describes sound and is not signed
	}
	p, err := pick(r.Identity, extension)
	if err != nil {
		return prover.Finding{}, err
	}
	want := stir.Want{
		CSI: c.CSI, Holder: c.Holder, Nonce: c.Nonce, Dest: s.destination(c), Now: now, MaxAge: age,
	}
	artefact := stir.Artefact{Form: form, Token: p.Text(), Body: body}
	if err := stir.CheckClaims(artefact, want); err != nil {
		return prover.Finding{}, err
	}
	if p.X5C == nil {
		pem, err := s.config.Certificates.Chain(ctx, p.X5U)
		if err != nil {
			return prover.Finding{}, err
		}
		if artefact, err = stir.Collect(form, p.Text(), body, pem); err != nil {
			return prover.Finding{}, err
		}
	}
	raw, err := artefact.Marshal()
	if err != nil {
		return prover.Finding{}, err
	}
	if len(raw) > prover.MaxArtefact {
		return prover.Finding{}, prover.ErrTooLarge
	}
	return bystir.Judge(s.config.Trust, artefact, want, raw)
}

// pick returns the one PASSporT of an extension.
func pick(identities []string, e passport.Extension) (passport.Passport, error) {
	found := false
	for _, value := range identities {
		id, err := passport.ParseIdentity(value)
		if err != nil {
			return passport.Passport{}, fmt.Errorf("%w: %w", ErrIdentity, err)
		}
		found = found || passport.Extension(id.PPT) == e
	}
	if !found {
		return passport.Passport{}, ErrNoIdentity
	}
	p, err := passport.Pick(identities, e)
	if err != nil {
		return passport.Passport{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return p, nil
}

// used remembers the PASSporTs that opened a call, for as long as they are fresh,
// so that whoever hears one on its way opens no second call with it.
type used struct {
	mu   sync.Mutex
	ends map[[sha256.Size]byte]time.Time
}

func (u *used) take(artefact []byte, now time.Time) error {
	a, err := stir.Parse(artefact)
	if err != nil {
		return err
	}
	// Without its signature: of that, anybody can make a second one that is as good.
	signed := a.Token[:strings.LastIndexByte(a.Token, '.')]
	digest := sha256.Sum256([]byte(signed))
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ends == nil {
		u.ends = make(map[[sha256.Size]byte]time.Time)
	}
	for d, end := range u.ends {
		if !now.Before(end) {
			delete(u.ends, d)
		}
	}
	if _, again := u.ends[digest]; again || len(u.ends) >= maxUsed {
		return ErrUsed
	}
	// iat may lie in the future by MaxSkew, and is fresh for callAge from then on.
	u.ends[digest] = now.Add(callAge + 2*stir.MaxSkew)
	return nil
}

// refusal puts an error into the words of SIP. What is ours, and may pass, stays
// an error: the other side is told to try again.
func (o *owner) refusal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	k := o.prover.Problem(err)
	if k == "" || k == problem.Internal {
		o.sip.config.Log.ErrorContext(ctx, "request by SIP not judged", slog.Any("error", err))
		return err
	}
	row := k.Row()
	r := &sipin.Refusal{Code: 403, Reason: row.Title, Advice: row.Do}
	switch {
	case errors.Is(err, ErrNoIdentity):
		r.Code, r.Reason = 428, "Use Identity Header"
	case k == problem.STIRFetch:
		r.Code, r.Reason = 436, "Bad Identity Info"
	case k == problem.STIRCertificate, k == problem.STIRAuthority:
		r.Code, r.Reason = 437, "Unsupported Credential"
	case k == problem.STIRPassport, k == problem.STIRSignature, k == problem.STIRArtefact:
		r.Code, r.Reason = 438, "Invalid Identity Header"
	case k == problem.STIRTime:
		r.Reason = "Stale Date"
	case k == problem.ChallengeUnknown:
		r.Code, r.Reason = 404, "Not Found"
	case k == problem.ChallengeExpired:
		r.Code, r.Reason = 410, "Gone"
	case prover.Passing(k):
		return err
	}
	return r
}

// table is the table from this method's errors to problem kinds; those of what
// is judged are in the table of package bystir.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrNoIdentity, problem.STIRPassport},
	{ErrIdentity, problem.STIRPassport},
	{ErrUsed, problem.STIRTime},
	{ErrCode, problem.CodeWrong},
	{ErrNumbers, problem.Internal},
	{certfetch.ErrHost, problem.STIRFetch},
	{certfetch.ErrFetch, problem.STIRFetch},
	{certfetch.ErrContent, problem.STIRFetch},
	{certfetch.ErrBusy, problem.Unavailable},
}

// Problem is the method's table, "" for an error that it does not know.
func Problem(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
