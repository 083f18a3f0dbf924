package camara_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"whither/internal/camara"
	"whither/internal/world/worldtest"
)

// TestAnswersOfOperators: what operators answer, well-formed and not, becomes
// the errors of this package, without the number in them.
func TestAnswersOfOperators(t *testing.T) {
	to := worldtest.CSI(t, "tel:+41791234567")
	for name, test := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"wrong":       {400, `{"status":400,"code":"ONE_TIME_PASSWORD_SMS.INVALID_OTP","message":"+41791234567"}`, camara.ErrCode},
		"late":        {400, `{"code":"ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED"}`, camara.ErrExpired},
		"tries":       {400, `{"code":"ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED"}`, camara.ErrTries},
		"too many":    {403, `{"code":"ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED"}`, camara.ErrTries},
		"blocked":     {403, `{"code":"ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED"}`, camara.ErrNotAllowed},
		"unknown":     {418, `{"code":"TEAPOT"}`, camara.ErrUnavailable},
		"no JSON":     {500, `<html>+41791234567`, camara.ErrUnavailable},
		"200 no JSON": {200, `x`, camara.ErrUnavailable},
		"200 no id":   {200, `{}`, camara.ErrUnavailable},
		"long id":     {200, `{"authenticationId":"` + strings.Repeat("x", 37) + `"}`, camara.ErrUnavailable},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.body))
		}))
		otp, err := camara.NewOTP(server.URL, "t")
		if err != nil {
			t.Fatal(err)
		}
		_, err = otp.Send(t.Context(), to, "{{code}}")
		if !errors.Is(err, test.want) || strings.Contains(err.Error(), "4179") {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
		server.Close()
	}
	otp, err := camara.NewOTP("http://127.0.0.1:1", "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"no place for it", "{{code}} {{code}}", "{{code}}" + strings.Repeat("x", 160)} {
		if _, err := otp.Send(t.Context(), to, text); err == nil || errors.Is(err, camara.ErrUnavailable) {
			t.Errorf("text of %d characters: %v", len(text), err)
		}
	}
}
