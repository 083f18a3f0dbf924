package publish

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"whither/internal/endpoint"
	"whither/registry/repository"
)

// Serve serves a federation's publication on l, and signs the timestamp anew
// when a third of its life has passed, until ctx ends. It needs the publication
// key and no other. What the folder gets while it serves is served at once.
func Serve(ctx context.Context, dir string, l net.Listener, certificate *tls.Config, now func() time.Time, log *slog.Logger) error {
	var f Federation
	if err := readTOML(filepath.Join(dir, FederationFile), &f); err != nil {
		return errors.Join(err, l.Close())
	}
	r, err := f.repository(dir)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	step := func(_ context.Context, now time.Time) error { return restamp(dir, r, now) }
	if err := step(ctx, now()); err != nil {
		return errors.Join(err, l.Close())
	}
	return endpoint.All(ctx,
		func(ctx context.Context) error { return endpoint.Serve(ctx, l, certificate, Handler(r.Dir)) },
		endpoint.Ticking(time.Minute, now, log, step))
}

// restamp signs the timestamp when it is due.
func restamp(dir string, r repository.Repository, now time.Time) error {
	info, err := os.Stat(filepath.Join(r.Dir, "metadata", "timestamp.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("publish: nothing is published yet: whither registry sign comes first")
	}
	if err != nil || now.Sub(info.ModTime()) < r.Lives.Timestamp/3 {
		return err
	}
	keys, err := atHand(dir)
	if err != nil {
		return err
	}
	return r.Stamp(now, keys.Publication)
}

// Handler serves the files of a publication: those under metadata/ and
// targets/, compressed for whoever takes that. Everything but timestamp.json
// never changes under its name.
func Handler(public string) http.Handler {
	files := http.FileServer(http.Dir(public))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".new") ||
			!strings.HasPrefix(name, "metadata/") && !strings.HasPrefix(name, "targets/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		if strings.HasSuffix(name, "/timestamp.json") || strings.HasSuffix(name, ".root.json") {
			w.Header().Set("Cache-Control", "no-cache")
		}
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			files.ServeHTTP(w, r)
			return
		}
		r.Header.Del("Range") // of what is compressed a range means nothing
		z := &compressed{ResponseWriter: w}
		files.ServeHTTP(z, r)
		_ = z.close() // whoever asked is gone
	})
}

// compressed writes an answer with gzip.
type compressed struct {
	http.ResponseWriter
	gzip *gzip.Writer
}

func (c *compressed) WriteHeader(status int) {
	if status == http.StatusOK {
		c.Header().Del("Content-Length")
		c.Header().Set("Content-Encoding", "gzip")
		c.gzip, _ = gzip.NewWriterLevel(c.ResponseWriter, gzip.BestCompression) // the level is a good one
	}
	c.Header().Add("Vary", "Accept-Encoding")
	c.ResponseWriter.WriteHeader(status)
}

func (c *compressed) Write(b []byte) (int, error) {
	if c.gzip == nil {
		return c.ResponseWriter.Write(b)
	}
	return c.gzip.Write(b)
}

func (c *compressed) close() error {
	if c.gzip == nil {
		return nil
	}
	return c.gzip.Close()
}
