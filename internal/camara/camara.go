// Package camara speaks to mobile operators in the manner of the CAMARA APIs.
//
// One-time codes ([OTP]: OTPValidation, POST send-code and validate-code): the
// operator draws the code, sends it and compares it, so that a prover never
// knows it before the holder types it. The same interface serves a gateway
// that speaks the code in a call, at a base URL of its own.
//
// Changes of SIM cards ([SIM]: SIM Swap, POST check): whether a number came to
// another card not long ago, which is how numbers are stolen.
//
// It promises bounded requests, and errors that hold no number and no code.
// It does not decide how many codes may be sent: the prover's caps do.
package camara

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"whither/csi"
)

// Errors.
var (
	ErrCode        = errors.New("camara: the code is wrong")
	ErrExpired     = errors.New("camara: the code has run out")
	ErrTries       = errors.New("camara: too many wrong codes, or too many codes sent")
	ErrNotAllowed  = errors.New("camara: the operator sends no codes to this number")
	ErrUnavailable = errors.New("camara: the operator does not answer as it should")
)

// MaxText is the longest text of a message, with the placeholder (CAMARA
// OTPValidation: 160 characters).
const MaxText = 160

// Placeholder stands in a text where the operator puts the code.
const Placeholder = "{{code}}"

// OTP is one operator's service for one channel.
type OTP struct{ service }

// NewOTP returns the service at a base URL, to which token signs the prover
// in. Plain http is for loopback alone.
func NewOTP(base, token string) (*OTP, error) {
	s, err := newService(base, token)
	if err != nil {
		return nil, err
	}
	return &OTP{s}, nil
}

// String never shows the token.
func (o *OTP) String() string { return "camara.OTP(" + o.base + ")" }

type sendRequest struct {
	PhoneNumber string `json:"phoneNumber"`
	Message     string `json:"message"`
}

type sendAnswer struct {
	AuthenticationID string `json:"authenticationId"`
}

type validateRequest struct {
	AuthenticationID string `json:"authenticationId"`
	Code             string `json:"code"`
}

// Send has the operator send text, in which it puts a code for [Placeholder],
// to a number. The returned id goes with the code.
func (o *OTP) Send(ctx context.Context, to csi.ID, text string) (id string, err error) {
	if len(text) > MaxText || strings.Count(text, Placeholder) != 1 {
		return "", fmt.Errorf("camara: a text has at most %d characters and one %s", MaxText, Placeholder)
	}
	var a sendAnswer
	if err := o.call(ctx, "/send-code", sendRequest{PhoneNumber: to.CAMARA(), Message: text}, &a); err != nil {
		return "", err
	}
	if a.AuthenticationID == "" || len(a.AuthenticationID) > 36 {
		return "", fmt.Errorf("%w: no authentication id", ErrUnavailable)
	}
	return a.AuthenticationID, nil
}

// Validate asks the operator whether code is the one that it sent under id.
func (o *OTP) Validate(ctx context.Context, id, code string) error {
	return o.call(ctx, "/validate-code", validateRequest{AuthenticationID: id, Code: code}, nil)
}
