package prover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"whither/csi"
	"whither/internal/camara"
	"whither/internal/endpoint"
	"whither/possession"
	"whither/problem"
	"whither/wire"
)

// CodeLife is how long a code can be answered (design section 4).
const CodeLife = 5 * time.Minute

// ErrCode refuses a wrong code.
var ErrCode = errors.New("prover: the code is wrong")

// Courier sends one-time codes over one channel and compares what comes back.
// The code itself is never the prover's: whoever reads its memory or its store
// cannot answer for the holder. *camara.OTP is one, and its errors are the
// contract: ErrCode, ErrExpired, ErrTries, ErrNotAllowed, ErrUnavailable.
type Courier interface {
	// Send sends text with a code in the place of camara.Placeholder. It returns
	// the id under which Validate knows the code.
	Send(ctx context.Context, to csi.ID, text string) (id string, err error)
	// Validate returns nil if code is the one sent under id. A code is good once.
	Validate(ctx context.Context, id, code string) error
}

// codeText is what the holder reads or hears, at most camara.MaxText
// characters; %s is the key's fingerprint.
const codeText = camara.Placeholder + " lets key %s answer for this number in messaging discovery. Did you not ask? Then give it to nobody."

// maxCode bounds an answered code, in bytes (CAMARA OTPValidation).
const maxCode = 10

// startCode starts a challenge by a code. The code is on its way before the
// challenge is kept: a crash between the two costs the holder a new code.
func (p *Prover) startCode(ctx context.Context, c Challenge) (wire.Challenge, error) {
	courier, ok := p.config.Couriers[c.Kind]
	if !ok || c.CSI.CAMARA() == "" {
		return wire.Challenge{}, ErrKind
	}
	c.Expires = c.Started.Add(CodeLife)
	text := fmt.Sprintf(codeText, c.Holder.ID())
	sent, err := courier.Send(ctx, c.CSI, text)
	if err != nil {
		p.metrics.deliveries.WithLabelValues("refused").Inc()
		return wire.Challenge{}, fmt.Errorf("send the code: %w", err)
	}
	p.metrics.deliveries.WithLabelValues("ok").Inc()
	c.Courier, c.Delivered = sent, true
	if err := p.config.Store.Start(ctx, c); err != nil {
		return wire.Challenge{}, fmt.Errorf("keep challenge: %w", err)
	}
	return wire.Challenge{ID: c.ID[:], Nonce: wire.Bytes{}, Expires: c.Expires.Unix()}, nil
}

// answer takes the code of a challenge (POST /v1/answers). An answer that was
// right stays right when it is sent again.
func (p *Prover) answer(ctx context.Context, _ endpoint.Caller, r wire.AnswerRequest) (wire.ChallengeStatus, error) {
	now := p.config.Now()
	if err := p.listed(now); err != nil {
		return wire.ChallengeStatus{}, err
	}
	if len(r.ID) != len(ID{}) || r.Code == "" || len(r.Code) > maxCode {
		return wire.ChallengeStatus{}, fmt.Errorf("%w: id or code", ErrRequest)
	}
	c, err := p.config.Store.ByID(ctx, ID(r.ID))
	switch {
	case err != nil:
		return wire.ChallengeStatus{}, err
	case c.Courier == "":
		return wire.ChallengeStatus{}, ErrKind
	case !now.Before(c.Expires):
		return wire.ChallengeStatus{}, ErrExpired
	case c.State == Failed:
		return wire.ChallengeStatus{}, ErrFailed
	case c.State == Waiting:
		if err := p.judgeCode(ctx, c, r.Code, now); err != nil {
			return wire.ChallengeStatus{}, err
		}
	}
	return p.status(ctx, endpoint.Caller{}, wire.StatusRequest{ID: r.ID})
}

// judgeCode has the courier compare a code and records the verdict.
func (p *Prover) judgeCode(ctx context.Context, c Challenge, code string, now time.Time) error {
	// The verdict must be kept even if whoever asked hangs up: the courier
	// takes a right code once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverTimeout)
	defer cancel()
	err := p.config.Couriers[c.Kind].Validate(ctx, c.Courier, code)
	if err == nil {
		return p.proveCode(ctx, c, now)
	}
	refusal := Refusal{problem.CodeWrong, Counted}
	switch {
	case errors.Is(err, camara.ErrCode):
		err = ErrCode
	case errors.Is(err, camara.ErrExpired):
		refusal, err = Refusal{problem.ChallengeExpired, Ending}, ErrExpired
	case errors.Is(err, camara.ErrTries):
		refusal, err = Refusal{problem.ChallengeFailed, Ending}, ErrFailed
	default:
		return fmt.Errorf("validate the code: %w", err) // nothing is known; try again
	}
	if storeErr := p.config.Store.Refuse(ctx, c.ID, refusal); storeErr != nil && !errors.Is(storeErr, ErrDecided) {
		p.config.Log.ErrorContext(ctx, "wrong code not counted", slog.Any("error", storeErr))
		return storeErr // uncounted tries would be free ones
	}
	return err
}

// proveCode signs the receipt. The artefact is the courier's reference, with
// which its operator finds what it sent.
func (p *Prover) proveCode(ctx context.Context, c Challenge, now time.Time) error {
	artefact := []byte(c.Kind.String() + " " + c.Courier)
	at := time.Unix(now.Unix(), 0)
	receipt, err := possession.Receipt{
		Purpose: c.Purpose, Subject: possession.SubjectOf(c.CSI, c.Holder), Kind: c.Kind, Level: possession.Level2,
		Artefact: possession.Digest(artefact), Evidence: at, Signed: at,
	}.Sign(p.config.Key)
	if err != nil {
		return fmt.Errorf("sign receipt: %w", err)
	}
	err = p.config.Store.Prove(ctx, c.ID, Proof{Receipt: receipt, Artefact: artefact})
	if errors.Is(err, ErrDecided) {
		return ErrFailed
	}
	return err
}
