package endpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"whither/problem"
	"whither/wire"
)

// Document is bytes that anybody may read by GET.
type Document struct {
	Type  string // media type
	Body  []byte
	Cache string // Cache-Control
}

// Read is what a reader says.
type Read struct {
	Name     string // what stands in the path for {name}
	Encoding string // of messages: the one that Accept names, or CBOR
}

// Publish returns the handler of what is read by GET or HEAD, with an ETag. What
// is published so names nobody: URLs are logged on the way.
func Publish(c Config, path string, f func(context.Context, Read) (Document, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, outcome := c.Now(), "ok"
		if err := publish(c, w, r, f); err != nil {
			outcome = string(c.refuse(r.Context(), w, path, err))
		}
		if c.Observe != nil {
			c.Observe(path, outcome, c.Now().Sub(began))
		}
	})
}

func publish(c Config, w http.ResponseWriter, r *http.Request, f func(context.Context, Read) (Document, error)) error {
	s := c.Snapshot()
	stamp(w, s)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return problem.New(problem.Method, "")
	}
	if !c.Now().Before(s.Expires()) {
		return ErrRegistryStale
	}
	in := Read{Name: r.PathValue("name"), Encoding: wire.TypeCBOR}
	if accepted, err := wire.Accepts(r.Header.Get("Accept")); err == nil {
		in.Encoding = accepted
	}
	d, err := f(r.Context(), in)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(d.Body)
	w.Header().Set("Content-Type", d.Type)
	w.Header().Set("Cache-Control", d.Cache)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.Body))
	return nil
}
