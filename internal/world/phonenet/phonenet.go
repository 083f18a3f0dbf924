// Package phonenet is the telephone network of a small outside world: phones
// whose messages and calls a person can read, and the gateways of operators
// that send one-time codes to them, in the manner of CAMARA's OTPValidation.
//
// Every gateway has sockets, tokens and codes of its own. It can be told to
// misbehave: to refuse a number, to be down. All sockets are on 127.0.0.1.
package phonenet

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Channel is how something reaches a phone.
type Channel string

// The channels.
const (
	Message Channel = "message"
	Call    Channel = "call"
)

// Item is a message that a phone got, or what a caller said.
type Item struct {
	Channel Channel   `json:"channel"`
	From    string    `json:"from"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// ErrNoPhone is returned for a number without a phone.
var ErrNoPhone = errors.New("phonenet: no phone has this number")

// Network is the phones of a world.
type Network struct {
	now func() time.Time

	mu       sync.Mutex
	phones   map[string][]Item
	arrived  chan struct{} // closed and made anew when something arrives
	gateways []*Gateway
}

// New returns a network without phones. now nil: the system's clock.
func New(now func() time.Time) *Network {
	if now == nil {
		now = time.Now //nolint:forbidigo // the clock where none is handed in
	}
	return &Network{now: now, phones: make(map[string][]Item), arrived: make(chan struct{})}
}

// Connect gives a number, +E.164, to a new phone.
func (n *Network) Connect(number string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.phones[number] = []Item{}
}

// Disconnect takes a number away with all that its phone had.
func (n *Network) Disconnect(number string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.phones, number)
}

// Items returns what a phone got, oldest first.
func (n *Network) Items(number string) ([]Item, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	items, ok := n.phones[number]
	if !ok {
		return nil, ErrNoPhone
	}
	return slices.Clone(items), nil
}

// Wait returns the newest item of a phone that matches, at once or when it
// arrives.
func (n *Network) Wait(ctx context.Context, number string, match func(Item) bool) (Item, error) {
	for {
		n.mu.Lock()
		items, ok := n.phones[number]
		arrived := n.arrived
		n.mu.Unlock()
		if !ok {
			return Item{}, ErrNoPhone
		}
		for _, i := range slices.Backward(items) {
			if match(i) {
				return i, nil
			}
		}
		select {
		case <-ctx.Done():
			return Item{}, ctx.Err()
		case <-arrived:
		}
	}
}

func (n *Network) deliver(number string, i Item) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.phones[number]; !ok {
		return ErrNoPhone
	}
	n.phones[number] = append(n.phones[number], i)
	close(n.arrived)
	n.arrived = make(chan struct{})
	return nil
}

// Close stops every gateway.
func (n *Network) Close() error {
	n.mu.Lock()
	gateways := n.gateways
	n.mu.Unlock()
	var err error
	for _, g := range gateways {
		err = errors.Join(err, g.close())
	}
	return err
}

// Bounds of a gateway, as CAMARA describes them.
const (
	codeDigits = 8
	codeLife   = 5 * time.Minute
	codeTries  = 5
	maxRequest = 4 << 10
)

// Gateway is an operator's service that sends codes over one channel.
type Gateway struct {
	network *Network
	name    string
	channel Channel
	token   string
	server  *http.Server
	url     string
	done    chan error

	mu     sync.Mutex
	sent   map[string]*sent
	down   bool
	refuse map[string]bool
}

// sent is a code that was sent and not yet validated.
type sent struct {
	code  string
	until time.Time
	tries int
}

// AddGateway starts a gateway; name is what phones show as sender.
func (n *Network) AddGateway(ctx context.Context, name string, c Channel) (*Gateway, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	token, err := random(16)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	g := n.NewGateway(name, c, token)
	g.url, g.done = "http://"+l.Addr().String(), make(chan error, 1)
	g.server = &http.Server{Handler: g.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { g.done <- g.server.Serve(l) }()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gateways = append(n.gateways, g)
	return g, nil
}

// NewGateway returns a gateway without a socket of its own, for a server that
// mounts its Handler and gives its customer the token.
func (n *Network) NewGateway(name string, c Channel, token string) *Gateway {
	return &Gateway{
		network: n, name: name, channel: c, token: token, sent: make(map[string]*sent), refuse: make(map[string]bool),
	}
}

// Handler answers POST /send-code and POST /validate-code.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send-code", g.authenticated(g.send))
	mux.HandleFunc("POST /validate-code", g.authenticated(g.validate))
	return mux
}

func random(bytes int) (string, error) {
	b := make([]byte, bytes)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("phonenet: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// URL and Token are what a customer of the gateway is given.
func (g *Gateway) URL() string { return g.url }

// Token signs the customer in.
func (g *Gateway) Token() string { return g.token }

// SetDown makes the gateway answer every request with 503, or no more.
func (g *Gateway) SetDown(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// Refuse makes the gateway send no codes to a number.
func (g *Gateway) Refuse(number string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse[number] = true
}

func (g *Gateway) close() error {
	err := g.server.Close()
	if served := <-g.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (g *Gateway) authenticated(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		down := g.down
		g.mu.Unlock()
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case down:
			fail(w, http.StatusServiceUnavailable, "UNAVAILABLE")
		case subtle.ConstantTimeCompare([]byte(got), []byte(g.token)) != 1:
			fail(w, http.StatusUnauthorized, "UNAUTHENTICATED")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			h(w, r)
		}
	}
}

// fail answers in CAMARA's form of errors.
func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "code": code, "message": code})
}

const prefix = "ONE_TIME_PASSWORD_SMS."

// numbers is CAMARA's pattern of a phone number.
var numbers = regexp.MustCompile(`^\+[1-9][0-9]{4,14}$`)

func (g *Gateway) send(w http.ResponseWriter, r *http.Request) {
	var in struct {
		PhoneNumber string `json:"phoneNumber"`
		Message     string `json:"message"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || !numbers.MatchString(in.PhoneNumber) ||
		len(in.Message) > 160 || strings.Count(in.Message, "{{code}}") != 1 {
		fail(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	id, err := random(16)
	if err != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL")
		return
	}
	n, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		fail(w, http.StatusInternalServerError, "INTERNAL")
		return
	}
	code := fmt.Sprintf("%0*d", codeDigits, n)
	g.mu.Lock()
	refused := g.refuse[in.PhoneNumber]
	g.sent[id] = &sent{code: code, until: g.network.now().Add(codeLife)}
	g.mu.Unlock()
	item := Item{Channel: g.channel, From: g.name, Text: strings.Replace(in.Message, "{{code}}", code, 1), At: g.network.now()}
	if refused || g.network.deliver(in.PhoneNumber, item) != nil {
		fail(w, http.StatusForbidden, prefix+"PHONE_NUMBER_NOT_ALLOWED")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"authenticationId": id})
}

func (g *Gateway) validate(w http.ResponseWriter, r *http.Request) {
	var in struct {
		AuthenticationID string `json:"authenticationId"`
		Code             string `json:"code"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in.Code) > 10 {
		fail(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.sent[in.AuthenticationID]
	switch {
	case !ok:
		fail(w, http.StatusNotFound, "NOT_FOUND")
	case !g.network.now().Before(s.until):
		delete(g.sent, in.AuthenticationID)
		fail(w, http.StatusBadRequest, prefix+"VERIFICATION_EXPIRED")
	case s.tries >= codeTries:
		fail(w, http.StatusBadRequest, prefix+"VERIFICATION_FAILED")
	case subtle.ConstantTimeCompare([]byte(s.code), []byte(in.Code)) != 1:
		s.tries++
		fail(w, http.StatusBadRequest, prefix+"INVALID_OTP")
	default:
		delete(g.sent, in.AuthenticationID)
		w.WriteHeader(http.StatusNoContent)
	}
}
