package phonenet

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// service is one API of an operator, on a socket of its own.
type service struct {
	network *Network
	token   string
	server  *http.Server
	url     string
	done    chan error
	down    atomic.Bool
}

// listen starts to answer; it ends with the network.
func (s *service) listen(ctx context.Context, h http.Handler) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("phonenet: %w", err)
	}
	s.url, s.done = "http://"+l.Addr().String(), make(chan error, 1)
	s.server = &http.Server{Handler: h, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	go func() { s.done <- s.server.Serve(l) }()
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	s.network.services = append(s.network.services, s)
	return nil
}

// URL and Token are what a customer is given.
func (s *service) URL() string { return s.url }

// Token signs the customer in.
func (s *service) Token() string { return s.token }

// SetDown makes the service answer every request with 503, or no more.
func (s *service) SetDown(down bool) { s.down.Store(down) }

func (s *service) close() error {
	err := s.server.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func (s *service) authenticated(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case s.down.Load():
			fail(w, http.StatusServiceUnavailable, "UNAVAILABLE")
		case subtle.ConstantTimeCompare([]byte(got), []byte(s.token)) != 1:
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
