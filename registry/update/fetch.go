package update

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"whither/registry/repository"
	"whither/registry/tuf"
)

// Folder fetches from a published folder.
func Folder(dir string) Fetch {
	read := repository.ReadFolder(dir)
	return func(_ context.Context, name string, limit int) ([]byte, error) { return read(name, limit) }
}

// timeouts of a fetch from a server: of one file, and of its parts.
const (
	fileTimeout = 20 * time.Second
	dialTimeout = 5 * time.Second
)

// Server fetches from a web server, over TLS 1.3; roots are the authorities of
// its certificate, nil for the system's. What the server says is verified by
// signatures; TLS keeps to ourselves what we ask.
func Server(base string, roots *x509.CertPool) (Fetch, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("update: the address of a publication is an https URL without query")
	}
	client := &http.Client{
		Timeout: fileTimeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots},
			TLSHandshakeTimeout: dialTimeout,
			ForceAttemptHTTP2:   true,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, name string, limit int) ([]byte, error) {
		return Get(ctx, client, u.JoinPath(repository.Path(name)).String(), limit)
	}, nil
}

// Get fetches one file with a client that follows no redirects; its transport asks
// for gzip and unpacks it.
func Get(ctx context.Context, client *http.Client, address string, limit int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden: // as the TUF specification has it
		return nil, tuf.ErrAbsent
	default:
		return nil, fmt.Errorf("update: the publication answers %s", resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", tuf.ErrContent, limit)
	}
	return b, nil
}
