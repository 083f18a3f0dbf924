// Package camara speaks to mobile operators in the manner of the CAMARA APIs:
// one-time codes (OTPValidation, POST send-code and validate-code). The
// operator draws the code, sends it and compares it, so that a prover never
// knows it before the holder types it. The same interface serves a gateway
// that speaks the code in a call, at a base URL of its own.
//
// It promises bounded requests, and errors that hold no number and no code.
// It does not decide how many codes may be sent: the prover's caps do.
package camara

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

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
type OTP struct {
	base   string
	token  string
	client *http.Client
}

const (
	timeout  = 10 * time.Second
	maxBody  = 16 << 10
	maxToken = 4 << 10
)

// NewOTP returns the service at a base URL, to which token signs the prover
// in. Plain http is for loopback alone.
func NewOTP(base, token string) (*OTP, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return nil, errors.New("camara: base URL is not one")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if loopback := err == nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return nil, errors.New("camara: base URL is neither https nor on loopback")
	}
	if token == "" || len(token) > maxToken {
		return nil, errors.New("camara: no token")
	}
	return &OTP{base: strings.TrimSuffix(base, "/"), token: token, client: &http.Client{Timeout: timeout}}, nil
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

type problem struct {
	Code string `json:"code"`
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

func (o *OTP) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("camara: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("camara: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+o.token)
	resp, err := o.client.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusal(resp.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%w: no JSON", ErrUnavailable)
	}
	return nil
}

// refusal reads CAMARA's error codes.
func refusal(status int, body []byte) error {
	var p problem
	_ = json.Unmarshal(body, &p) // a body without a code is no code that we know
	switch {
	case strings.HasSuffix(p.Code, ".INVALID_OTP"):
		return ErrCode
	case strings.HasSuffix(p.Code, ".VERIFICATION_EXPIRED"):
		return ErrExpired
	case strings.HasSuffix(p.Code, ".VERIFICATION_FAILED"), strings.HasSuffix(p.Code, ".MAX_OTP_CODES_EXCEEDED"):
		return ErrTries
	case strings.HasSuffix(p.Code, ".PHONE_NUMBER_NOT_ALLOWED"), strings.HasSuffix(p.Code, ".PHONE_NUMBER_BLOCKED"):
		return ErrNotAllowed
	default:
		return fmt.Errorf("%w: status %d", ErrUnavailable, status)
	}
}
