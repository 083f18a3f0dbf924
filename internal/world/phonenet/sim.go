package phonenet

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of the hours that an operator can be asked about (CAMARA SIM Swap).
const (
	minHours, defaultHours, maxHours = 1, 240, 2400
)

// ChangeSIM gives a number to another card, now: its phone stays where it is,
// and so do the messages that come to it.
func (n *Network) ChangeSIM(number string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed[number] = n.now()
}

// Operator is an operator's word on changes of SIM cards, for the numbers with
// its prefix.
type Operator struct {
	service
	prefix string

	mu     sync.Mutex
	asked  int
	silent map[string]bool
}

// AddOperator starts an operator's service.
func (n *Network) AddOperator(ctx context.Context, prefix string) (*Operator, error) {
	token, err := random(16)
	if err != nil {
		return nil, err
	}
	o := &Operator{service: service{network: n, token: token}, prefix: prefix, silent: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /check", o.authenticated(o.check))
	return o, o.listen(ctx, mux)
}

// Silence makes the operator offer nothing about a number.
func (o *Operator) Silence(number string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.silent[number] = true
}

// Asked returns how many questions the operator was asked.
func (o *Operator) Asked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked
}

func (o *Operator) check(w http.ResponseWriter, r *http.Request) {
	in := struct {
		PhoneNumber string `json:"phoneNumber"`
		MaxAge      int    `json:"maxAge"`
	}{MaxAge: defaultHours}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if r.Header.Get("Content-Type") != "application/json" || d.Decode(&in) != nil || !numbers.MatchString(in.PhoneNumber) {
		fail(w, http.StatusBadRequest, "INVALID_ARGUMENT")
		return
	}
	if in.MaxAge < minHours || in.MaxAge > maxHours {
		fail(w, http.StatusBadRequest, "OUT_OF_RANGE")
		return
	}
	o.mu.Lock()
	o.asked++
	silent := o.silent[in.PhoneNumber]
	o.mu.Unlock()
	o.network.mu.Lock()
	at, changed := o.network.changed[in.PhoneNumber]
	_, connected := o.network.phones[in.PhoneNumber]
	o.network.mu.Unlock()
	switch {
	case !connected || !strings.HasPrefix(in.PhoneNumber, o.prefix):
		fail(w, http.StatusNotFound, "IDENTIFIER_NOT_FOUND")
	case silent:
		fail(w, http.StatusUnprocessableEntity, "SERVICE_NOT_APPLICABLE")
	default:
		swapped := changed && o.network.now().Sub(at) <= time.Duration(in.MaxAge)*time.Hour
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]bool{"swapped": swapped})
	}
}
