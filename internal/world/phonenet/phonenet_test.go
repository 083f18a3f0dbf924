package phonenet_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"whither/internal/camara"
	"whither/internal/world/phonenet"
	"whither/internal/world/worldtest"
)

const number = "+41791234567"

var digits = regexp.MustCompile(`[0-9]{8}`)

// TestCodesOverTheGateway drives the real client against the real gateway.
func TestCodesOverTheGateway(t *testing.T) {
	var mu sync.Mutex
	moved := time.Duration(0)
	n := phonenet.New(func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(moved)
	})
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := n.AddGateway(t.Context(), "notary-a.example", phonenet.Message)
	if err != nil {
		t.Fatal(err)
	}
	otp, err := camara.NewOTP(g.URL(), g.Token())
	if err != nil {
		t.Fatal(err)
	}
	to := worldtest.CSI(t, "tel:"+number)
	if _, err := otp.Send(t.Context(), to, "code {{code}}"); !errors.Is(err, camara.ErrNotAllowed) {
		t.Errorf("a number without a phone: %v", err)
	}
	n.Connect(number)
	send := func() (id, code string) {
		t.Helper()
		id, err := otp.Send(t.Context(), to, "code {{code}} lets a key answer")
		if err != nil {
			t.Fatal(err)
		}
		item, err := n.Wait(t.Context(), number, func(i phonenet.Item) bool { return true })
		if err != nil || item.Channel != phonenet.Message || item.From != "notary-a.example" {
			t.Fatalf("%+v, %v", item, err)
		}
		return id, digits.FindString(item.Text)
	}
	id, code := send()
	if err := otp.Validate(t.Context(), id, "00000000x"); !errors.Is(err, camara.ErrCode) {
		t.Errorf("wrong code: %v", err)
	}
	if err := otp.Validate(t.Context(), id, code); err != nil {
		t.Errorf("right code: %v", err)
	}
	if err := otp.Validate(t.Context(), id, code); !errors.Is(err, camara.ErrUnavailable) {
		t.Errorf("used code: %v", err)
	}
	id, code = send()
	for range 5 {
		if err := otp.Validate(t.Context(), id, "1"); !errors.Is(err, camara.ErrCode) {
			t.Fatalf("wrong code: %v", err)
		}
	}
	if err := otp.Validate(t.Context(), id, code); !errors.Is(err, camara.ErrTries) {
		t.Errorf("after five wrong ones: %v", err)
	}
	id, code = send()
	mu.Lock()
	moved = 5 * time.Minute
	mu.Unlock()
	if err := otp.Validate(t.Context(), id, code); !errors.Is(err, camara.ErrExpired) {
		t.Errorf("late: %v", err)
	}
	g.Refuse(number)
	if _, err := otp.Send(t.Context(), to, "code {{code}}"); !errors.Is(err, camara.ErrNotAllowed) {
		t.Errorf("refused number: %v", err)
	}
	g.SetDown(true)
	_, err = otp.Send(t.Context(), to, "code {{code}}")
	if !errors.Is(err, camara.ErrUnavailable) || strings.Contains(err.Error(), "4179") {
		t.Errorf("down: %v", err)
	}
	stranger, err := camara.NewOTP(g.URL(), "x")
	if err != nil {
		t.Fatal(err)
	}
	g.SetDown(false)
	if _, err := stranger.Send(t.Context(), to, "code {{code}}"); !errors.Is(err, camara.ErrUnavailable) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestOnlyTLSOffLoopback(t *testing.T) {
	for base, ok := range map[string]bool{
		"https://operator.example/otp": true, "http://127.0.0.1:1": true,
		"http://operator.example": false, "ftp://operator.example": false, "": false, "https://a@operator.example": false,
	} {
		if _, err := camara.NewOTP(base, "t"); (err == nil) != ok {
			t.Errorf("%q: %v", base, err)
		}
	}
}
