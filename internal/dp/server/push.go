package server

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"whither/internal/dp/directory"
	"whither/internal/dp/events"
	"whither/internal/endpoint"
)

// pushTable names RFC 8935's error code (section 2.4) for each reason not to take
// a security event token. What is not here is our own trouble: 503, push again.
var pushTable = [...]struct {
	err  error
	code string
}{
	{events.ErrToken, "invalid_request"},
	{events.ErrKind, "invalid_request"},
	{events.ErrIssuer, "invalid_issuer"},
	{events.ErrAudience, "invalid_audience"},
	{events.ErrKey, "invalid_key"},
	{events.ErrSigned, "authentication_failed"},
	{events.ErrFuture, "invalid_request"},
	{events.ErrStale, "invalid_request"},
	{directory.ErrFutureEvent, "invalid_request"},
}

// Push is the endpoint for security event tokens (RFC 8935). A token is judged by
// itself, whoever delivers it; 202 says that what follows from it is durable.
func Push(c endpoint.Config, path string, r *events.Receiver) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		began, outcome := c.Now(), "ok"
		if code := push(c, w, q, path, r); code != "" {
			outcome = code
		}
		if c.Observe != nil {
			c.Observe(path, outcome, c.Now().Sub(began))
		}
	})
}

// push answers one delivery and returns the code of a refusal.
func push(c endpoint.Config, w http.ResponseWriter, q *http.Request, path string, r *events.Receiver) string {
	w.Header().Set("Cache-Control", "no-store")
	if q.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return "method"
	}
	if !c.Now().Before(c.Snapshot().Expires()) { // who has authority is not known
		w.WriteHeader(http.StatusServiceUnavailable)
		return "unavailable"
	}
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil || kind != "application/secevent+jwt" {
		return refusePush(w, "invalid_request", "the body is application/secevent+jwt")
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, q.Body, events.MaxSize))
	if err != nil {
		return refusePush(w, "invalid_request", "the token is too large or broke off")
	}
	err = r.Receive(q.Context(), raw)
	if err == nil {
		w.WriteHeader(http.StatusAccepted)
		return ""
	}
	for _, row := range pushTable {
		if errors.Is(err, row.err) {
			return refusePush(w, row.code, row.err.Error())
		}
	}
	c.Log.WarnContext(q.Context(), "event not taken", slog.String("path", path), slog.Any("error", err))
	w.WriteHeader(http.StatusServiceUnavailable)
	return "unavailable"
}

func refusePush(w http.ResponseWriter, code, why string) string {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"err": code, "description": why}) // the connection is gone; nobody to tell
	return code
}
