package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"whither/internal/pinned"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Mux returns a router that answers unknown paths with a problem document and
// serves the registry file, from which the server works, to everybody.
func Mux(c Config, registryFile func() []byte, routes map[string]http.Handler) http.Handler {
	mux := http.NewServeMux()
	for path, h := range routes {
		mux.Handle(path, h)
	}
	mux.HandleFunc("GET "+wire.PathRegistry, func(w http.ResponseWriter, _ *http.Request) {
		stamp(w, c.Snapshot())
		w.Header().Set("Content-Type", wire.TypeMapping)
		_, _ = w.Write(registryFile())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		stamp(w, c.Snapshot())
		WriteProblem(w, problem.NotFound, "")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) {
			stamp(w, c.Snapshot()) // the mux would redirect, without a stamp
			WriteProblem(w, problem.NotFound, "")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// Seen is a request as its server saw it.
type Seen struct {
	Path  string
	Party registry.PartyID // whose pinned key the connection proved; zero for people
	Token bool             // it signed an account in
	Body  []byte
}

// Tapped lets the demo and tests read all that a server sees, to show what it
// can know. A nil tap, as in every deployment, returns h itself.
func Tapped(h http.Handler, c Config, tap func(Seen)) http.Handler {
	if tap == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, wire.MaxBody+1))
		if err != nil {
			return // the client is gone
		}
		seen := Seen{Path: r.URL.Path, Token: r.Header.Get("Authorization") != "", Body: body}
		if p, ok := pinned.CallerOf(r.TLS, c.Snapshot(), c.Now()); ok {
			seen.Party = p.ID
		}
		tap(seen)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
}

// Time limits of a connection, and how long a stop waits for requests under way.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	drainTimeout      = 10 * time.Second
)

// Serve answers on l until ctx ends, then finishes the requests under way.
// A nil config serves plain HTTP, for the operations address only.
func Serve(ctx context.Context, l net.Listener, config *tls.Config, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
		// net/http would write clients' addresses.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if config != nil {
		server.TLSConfig = config
	}
	done := make(chan error, 1)
	go func() {
		if config != nil {
			done <- server.ServeTLS(l, "", "")
		} else {
			done <- server.Serve(l)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("endpoint: serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
		return fmt.Errorf("endpoint: serve: %w", serveErr)
	}
	return err
}

// Operations returns the handler of the operations address: /healthz (the
// process runs), /readyz (it can do its work) and /metrics (Prometheus).
func Operations(ready func() error, g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, err)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	return mux
}

// Metrics counts answers. Labels are paths and kinds, never anything of a person.
type Metrics struct {
	answers *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// NewMetrics returns the metrics of a role's endpoints; role prefixes the names.
func NewMetrics(role string) *Metrics {
	return &Metrics{
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "whither", Subsystem: role, Name: "answers_total", Help: "Answers by path and outcome.",
		}, []string{"path", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "whither", Subsystem: role, Name: "answer_seconds", Help: "Time to answer by path.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"path"}),
	}
}

// Observe is for [Config.Observe].
func (m *Metrics) Observe(path, outcome string, took time.Duration) {
	m.answers.WithLabelValues(path, outcome).Inc()
	m.seconds.WithLabelValues(path).Observe(took.Seconds())
}

// Metrics returns the collectors for a registry.
func (m *Metrics) Metrics() []prometheus.Collector {
	return []prometheus.Collector{m.answers, m.seconds}
}
