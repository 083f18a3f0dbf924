// Package signin has a person sign in at an OpenID provider, so that the ID
// token which comes of it binds her address or handle to her key
// (docs/spec/openid.md). It is the app's half of OpenID Connect Core section 3.1:
// a public client with a loopback redirect (RFC 8252), PKCE (RFC 7636), a state,
// and a nonce that is the response to a prover's challenge.
//
//	app                              browser                 provider
//	  │ ── prints the URL ─────────────> │ ── signs in, now ───> │
//	  │ <── 127.0.0.1: code, state ───── │ <── redirect ──────── │
//	  │ ── code, verifier ──────────────────────────────────────> │
//	  │ <── ID token ──────────────────────────────────────────── │
//
// It promises that the token it returns passes package possession/openid here and
// now, with the keys that the provider publishes; that it listens on 127.0.0.1
// alone, at a port that nobody can foresee, and only as long as it waits; that
// what others send there neither ends nor delays the waiting; that the URL names
// neither address nor handle; and that access tokens are never read.
//
// It opens nothing by itself: the person opens the URL in the browser of her
// choice. It does not say whether a prover will take the token.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"whither/csi"
	"whither/internal/oidc"
	"whither/possession/openid"
	"whither/registry"
)

// Errors.
var (
	ErrNoIssuer = errors.New("signin: the federation knows no OpenID provider for this address or handle; use other evidence")
	ErrRefused  = errors.New("signin: the provider sends you back without a sign-in; try again")
	ErrMixedUp  = errors.New("signin: the answer is another provider's than the one asked; try again, and tell the federation if it happens again")
)

// RedirectPath is the path of the redirect under which client ids are
// registered: http://127.0.0.1/signed-in, at any port (RFC 8252 section 7.3).
const RedirectPath = "/signed-in"

// shutdown is how long the last page may take to be sent.
const shutdown = 2 * time.Second

// Request is what a sign-in is for.
type Request struct {
	// CSI is the mailto: or acct: CSI in question.
	CSI csi.ID
	// Response is the digest that the nonce carries, possession.Response.
	Response [sha256.Size]byte
	// Show shows the person a URL to open. It may wait until she has.
	Show func(ctx context.Context, url string) error
	Now  func() time.Time
}

// Token has the person sign in and returns the raw ID token. It waits until ctx
// ends.
func Token(ctx context.Context, providers *oidc.Client, s *registry.Snapshot, r Request) ([]byte, error) {
	issuer, ok := oidc.IssuerFor(s, r.CSI)
	if !ok {
		return nil, ErrNoIssuer
	}
	p, err := providers.Configuration(ctx, issuer.URL)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("signin: listen for the browser: %w", err)
	}
	redirect := "http://" + l.Addr().String() + RedirectPath
	state, verifier := rand.Text(), rand.Text()+rand.Text() // 52 characters, 260 bits
	where, err := address(p.Authorization, issuer, r, redirect, state, verifier)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	back, err := wait(ctx, l, state, func(ctx context.Context) error { return r.Show(ctx, where) })
	switch {
	case err != nil:
		return nil, err
	case p.NamesItself && back.Get("iss") != p.Issuer: // RFC 9207
		return nil, ErrMixedUp
	case back.Has("error"):
		return nil, fmt.Errorf("%w: %s", ErrRefused, oidc.Shown(back.Get("error")))
	}
	token, err := providers.Exchange(ctx, p, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {redirect},
		"client_id": {issuer.Clients[0]}, "code_verifier": {verifier},
	})
	if err != nil {
		return nil, err
	}
	if _, err := providers.Verify(ctx, token, openid.Want{CSI: r.CSI, Response: r.Response, Now: r.Now()}, s); err != nil {
		return nil, err
	}
	return token, nil
}

// address is the authentication request (OpenID Connect Core section 3.1.2.1).
// There is no login_hint: it would put the address into a URL.
func address(endpoint string, issuer registry.Issuer, r Request, redirect, state, verifier string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", oidc.ErrConfiguration
	}
	challenge := sha256.Sum256([]byte(verifier))
	q := u.Query() // an endpoint may have a query of its own (RFC 6749 section 3.1)
	for name, value := range map[string]string{
		"response_type": "code", "client_id": issuer.Clients[0], "redirect_uri": redirect, "scope": "openid email",
		"state": state, "nonce": openid.Nonce(r.Response), "max_age": "0",
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	if r.CSI.Scheme() == csi.Acct {
		claims, err := json.Marshal(map[string]any{"id_token": map[string]any{issuer.Handle: map[string]bool{"essential": true}}})
		if err != nil {
			return "", fmt.Errorf("signin: %w", err)
		}
		q.Set("claims", string(claims))
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// wait shows the URL and waits for the browser to come back with our state.
func wait(ctx context.Context, l net.Listener, state string, show func(context.Context) error) (url.Values, error) {
	came := make(chan url.Values, 1)
	server := &http.Server{
		Handler: handler(l.Addr().String(), state, came), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		MaxHeaderBytes: 16 << 10,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // it says that it was shut down; when it fails, nobody comes back
	}()
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close()
		}
		<-ended
	}()
	if err := show(ctx); err != nil {
		return nil, err
	}
	select {
	case back := <-came:
		return back, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// handler takes the first answer that has the state. Anybody on this machine can
// knock, and any page can send a browser here; without the state none of it
// counts.
func handler(host, state string, came chan<- url.Values) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+RedirectPath, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		good := r.Host == host && len(q["state"]) == 1 && len(q["iss"]) <= 1 && len(q["code"])+len(q["error"]) == 1 &&
			subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) == 1
		if !good {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "This is not the sign-in that is waited for.\n")
			return
		}
		select {
		case came <- q:
			_, _ = io.WriteString(w, "You may close this window and go back to where you came from.\n")
		default:
			w.WriteHeader(http.StatusGone)
			_, _ = io.WriteString(w, "This sign-in is over.\n")
		}
	})
	return mux
}
