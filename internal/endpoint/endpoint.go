// Package endpoint is what the servers of all roles share: strict message
// handlers, one table from errors to problem documents, registry stamps,
// bounded HTTP serving over pinned TLS, and the operations address.
//
// A handler's function gets a decoded message and a [Caller]; it never sees an
// *http.Request, so it cannot know or log a client's address (R14).
package endpoint

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/pinned"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// Config is what a role gives to its endpoints.
type Config struct {
	Snapshot func() *registry.Snapshot
	Now      func() time.Time
	Log      *slog.Logger
	// Kind is the role's table: the problem kind of an error, or "" for an
	// error that it does not know, which becomes [problem.Internal].
	Kind func(error) problem.Kind
	// Observe, if not nil, is told of every answer: path, "ok" or the
	// problem's kind, and the time taken.
	Observe func(path, outcome string, took time.Duration)
	// MaxBody bounds requests, in bytes; zero: wire.MaxBody, the most.
	MaxBody int
}

// Caller is who sent a message, as far as it matters.
type Caller struct {
	Party   registry.Party // valid when IsParty
	IsParty bool           // the connection proved a pinned key of an active party
	Token   string         // bearer token of an account, or empty
}

// ErrStanding refuses a party that is closed or expelled.
var ErrStanding = errors.New("endpoint: the calling party is not active")

// ErrRegistryStale: the server's own registry has expired, so it admits nothing.
var ErrRegistryStale = errors.New("endpoint: own registry has expired")

// Handle returns the handler of one message endpoint.
func Handle[Req, Res any](c Config, path string, f func(context.Context, Caller, Req) (Res, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		growStack(0)
		began := c.Now()
		outcome := "ok"
		if err := serve(c, w, r, f); err != nil {
			outcome = string(c.refuse(r.Context(), w, path, err))
		}
		if c.Observe != nil {
			c.Observe(path, outcome, c.Now().Sub(began))
		}
	})
}

// growStack makes the goroutine's stack as large as answering needs. HTTP/2 has a
// new goroutine for each request; its stack would grow by doubling, with ever more
// to move, in the depths of decoders and of the store. Here there is little to
// move: a look-up of one CSI then takes a twentieth less of all work.
//
//go:noinline
func growStack(at int) byte {
	var room [24 << 10]byte // kept by the compiler, since at could be anything
	return room[at]
}

func serve[Req, Res any](c Config, w http.ResponseWriter, r *http.Request, f func(context.Context, Caller, Req) (Res, error)) error {
	s := c.Snapshot()
	stamp(w, s)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return problem.New(problem.Method, "")
	}
	if !c.Now().Before(s.Expires()) {
		return ErrRegistryStale
	}
	who := Caller{}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		who.Token = token
	}
	if who.Party, who.IsParty = pinned.CallerOf(r.TLS, s, c.Now()); who.IsParty && who.Party.Standing.State != registry.Active {
		return ErrStanding
	}
	encoding, err := wire.Accepts(r.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	bound := cmp.Or(c.MaxBody, wire.MaxBody)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(bound)))
	if err != nil {
		return err
	}
	var in Req
	if err := wire.Decode(encoding, body, bound, &in); err != nil {
		return err
	}
	out, err := f(r.Context(), who, in)
	if err != nil {
		return err
	}
	if accepted, err := wire.Accepts(r.Header.Get("Accept")); err == nil {
		encoding = accepted
	}
	b, err := wire.Encode(encoding, out)
	if err != nil {
		return err
	}
	if len(b) > wire.MaxAnswer {
		return wire.ErrTooLarge // ask about less at once
	}
	w.Header().Set("Content-Type", encoding)
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b) // the connection is gone; nobody to tell
	return nil
}

// stamp names the registry that the server works with.
func stamp(w http.ResponseWriter, s *registry.Snapshot) {
	d := s.Digest()
	w.Header().Set(wire.HeaderRegistry, fmt.Sprintf("%d; %s", s.Version(), hex.EncodeToString(d[:])))
}

// StampOf returns the same for the inside of an answer.
func StampOf(s *registry.Snapshot) wire.Stamp {
	d := s.Digest()
	return wire.Stamp{Version: s.Version(), Digest: d[:]}
}

// refuse writes the problem document of err.
func (c Config) refuse(ctx context.Context, w http.ResponseWriter, path string, err error) problem.Kind {
	k, detail := c.kind(err)
	if k == problem.Internal {
		c.Log.ErrorContext(ctx, "request failed", slog.String("path", path), slog.Any("error", err))
	}
	WriteProblem(w, k, detail)
	return k
}

// WriteProblem answers with a document of kind k.
func WriteProblem(w http.ResponseWriter, k problem.Kind, detail string) {
	d := problem.New(k, detail)
	w.Header().Set("Content-Type", problem.MediaType)
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case k == problem.Limited:
		w.Header().Set("Retry-After", "600") // limits are by the hour
	case d.Retry == problem.RetryLater:
		w.Header().Set("Retry-After", "5")
	}
	if d.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(d.Status)
	_ = json.NewEncoder(w).Encode(d) // the connection is gone; nobody to tell
}

// kind finds the kind of err: the role's table, then what all endpoints share.
// The detail of a known error is its text, which holds no personal data.
func (c Config) kind(err error) (problem.Kind, string) {
	var d problem.Document
	if errors.As(err, &d) {
		return d.Kind(), d.Detail
	}
	if c.Kind != nil {
		if k := c.Kind(err); k != "" {
			return k, err.Error()
		}
	}
	k := shared(err)
	if k == problem.Internal {
		return k, ""
	}
	return k, err.Error()
}

// shared is the table of the errors that every endpoint can meet.
func shared(err error) problem.Kind {
	var tooLarge *http.MaxBytesError
	var badCSI *csi.Error
	switch {
	case errors.As(err, &tooLarge), errors.Is(err, wire.ErrTooLarge):
		return problem.TooLarge
	case errors.As(err, &badCSI):
		return problem.BadCSI
	case errors.Is(err, wire.ErrType):
		return problem.UnsupportedMedia
	case errors.Is(err, wire.ErrMalformed):
		return problem.Malformed
	case errors.Is(err, ErrStanding):
		return problem.Standing
	case errors.Is(err, ErrRegistryStale):
		return problem.Registry
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem.Unavailable
	default:
		return problem.Internal
	}
}
