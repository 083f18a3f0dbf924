// Package phonenet is the telephone network of a small outside world: phones
// whose messages and calls a person can read, the gateways of operators that
// send one-time codes to them, in the manner of CAMARA's OTPValidation, and
// operators that say whether a SIM card was changed, in the manner of its SIM
// Swap.
//
// Every gateway and operator has sockets, tokens and state of its own, and holds
// its callers to the API's contract. It can be told to misbehave: to refuse a
// number, to be down.
//
// Numbers belong to carriers ([Carriers]), which let phones send texts to SIP
// addresses and call them, and sign that they did: MESSAGE and INVITE with
// PASSporTs (RFC 8224, RFC 9475, RFC 8588) under certificates with their service
// provider code, published over HTTPS. The user agents are sipgo's. A carrier
// signs for the phone that sends, and for no other; it can be told to misbehave.
//
// All sockets are on 127.0.0.1.
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
	carriers *Carriers
	services []*service
	changed  map[string]time.Time // SIM cards, by number
}

// New returns a network without phones. now nil: the system's clock.
func New(now func() time.Time) *Network {
	if now == nil {
		now = time.Now //nolint:forbidigo // the clock where none is handed in
	}
	return &Network{now: now, phones: make(map[string][]Item), arrived: make(chan struct{}), changed: make(map[string]time.Time)}
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

// Close stops every gateway, operator and carrier.
func (n *Network) Close() error {
	n.mu.Lock()
	services, carriers := n.services, n.carriers
	n.mu.Unlock()
	var err error
	if carriers != nil {
		err = carriers.close()
	}
	for _, s := range services {
		err = errors.Join(err, s.close())
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
	service
	name    string
	channel Channel

	mu     sync.Mutex
	sent   map[string]*sent
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
	token, err := random(16)
	if err != nil {
		return nil, err
	}
	g := n.NewGateway(name, c, token)
	return g, g.listen(ctx, g.Handler())
}

// NewGateway returns a gateway without a socket of its own, for a server that
// mounts its Handler and gives its customer the token.
func (n *Network) NewGateway(name string, c Channel, token string) *Gateway {
	return &Gateway{
		service: service{network: n, token: token}, name: name, channel: c,
		sent: make(map[string]*sent), refuse: make(map[string]bool),
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

// Refuse makes the gateway send no codes to a number.
func (g *Gateway) Refuse(number string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse[number] = true
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
