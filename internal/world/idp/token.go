package idp

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"time"
)

// idTokenLife is how long an ID token is good.
const idTokenLife = 5 * time.Minute

// grant is what a code stands for.
type grant struct {
	request

	session session
	made    time.Time
}

// grant makes a code. It is good once, for a minute.
func (p *Provider) grant(in request, s session) string {
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants[code] = grant{in, s, p.config.Now()}
	return code
}

// token gives an ID token for a code (OpenID Connect Core section 3.1.3).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	fail := func(code string) { writeJSON(w, http.StatusBadRequest, map[string]string{"error": code}) }
	if err := r.ParseForm(); err != nil {
		fail("invalid_request")
		return
	}
	p.mu.Lock()
	_, client := p.clients[r.PostForm.Get("client_id")]
	g, ok := p.grants[r.PostForm.Get("code")]
	delete(p.grants, r.PostForm.Get("code"))
	p.mu.Unlock()
	now := p.config.Now()
	switch {
	case r.PostForm.Get("grant_type") != "authorization_code":
		fail("unsupported_grant_type")
		return
	case !client, r.PostForm.Has("client_secret"), r.Header.Get("Authorization") != "":
		fail("invalid_client") // all clients here are public
		return
	case !ok, now.Sub(g.made) > codeLife, g.client != r.PostForm.Get("client_id"), g.redirect != r.PostForm.Get("redirect_uri"),
		!proves(r.PostForm.Get("code_verifier"), g.challenge):
		fail("invalid_grant")
		return
	}
	id, err := p.idToken(g, now)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": "server_error"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 60, "id_token": id})
}

// proves compares a code verifier with its challenge (RFC 7636 section 4.6).
func proves(verifier, challenge string) bool {
	digest := sha256.Sum256([]byte(verifier))
	return len(verifier) >= 43 && len(verifier) <= 128 &&
		subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(digest[:])), []byte(challenge)) == 1
}

// Token returns the ID token that a client would get for a sign-in of an account
// now, with scope openid email and the handle: for those who try what becomes of
// tokens, whoever asked for them.
func (p *Provider) Token(client, nonce, name string) (string, error) {
	now := p.config.Now()
	return p.idToken(grant{
		request: request{client: client, nonce: nonce, email: true, handle: true},
		session: session{account: name, at: now}, made: now,
	}, now)
}

func (p *Provider) idToken(g grant, now time.Time) (string, error) {
	p.mu.Lock()
	a, ok := p.accounts[g.session.account]
	if !ok {
		p.mu.Unlock()
		return "", ErrAccount
	}
	claims := map[string]any{
		"iss": p.config.Issuer, "sub": a.subject, "aud": g.client, "iat": now.Unix(), "exp": now.Add(idTokenLife).Unix(),
		"auth_time": g.session.at.Unix(),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if g.email {
		claims["email"], claims["email_verified"] = a.Address, a.Verified
	}
	if g.handle {
		claims[Handle] = a.Name
	}
	k, f := p.keys[len(p.keys)-1], p.fault
	p.mu.Unlock()
	return k.sign(claims, f)
}
