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
)

// service is one API of one operator.
type service struct {
	base   string
	token  string
	client *http.Client
}

const (
	timeout  = 10 * time.Second
	maxBody  = 16 << 10
	maxToken = 4 << 10
)

func newService(base, token string) (service, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil {
		return service{}, errors.New("camara: base URL is not one")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if loopback := err == nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return service{}, errors.New("camara: base URL is neither https nor on loopback")
	}
	if token == "" || len(token) > maxToken {
		return service{}, errors.New("camara: no token")
	}
	return service{base: strings.TrimSuffix(base, "/"), token: token, client: &http.Client{Timeout: timeout}}, nil
}

// call posts in and reads the answer into out, if that is not nil.
func (s service) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("camara: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("camara: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.client.Do(req)
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
	var p struct {
		Code string `json:"code"`
	}
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
	case p.Code == "IDENTIFIER_NOT_FOUND", p.Code == "SERVICE_NOT_APPLICABLE":
		return fmt.Errorf("%w: %w", ErrNotAllowed, errNotOffered)
	default:
		return fmt.Errorf("%w: status %d", ErrUnavailable, status)
	}
}
