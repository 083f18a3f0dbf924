package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"

	"whither/internal/jws"
)

// The algorithms of keys.
const (
	RS256 = jws.RS256
	ES256 = jws.ES256
)

// signingKey is a key with the name under which it is published.
type signingKey struct {
	kid string
	alg jws.Algorithm
	key crypto.Signer
}

// Rotate makes a new key that signs from now on. The older ones stay published,
// until [Provider.Retire].
func (p *Provider) Rotate(alg jws.Algorithm) error {
	k := signingKey{kid: rand.Text(), alg: alg}
	var err error
	if alg == RS256 {
		k.key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		k.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return fmt.Errorf("idp: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, k)
	return nil
}

// Retire takes all keys but the newest out of the published set.
func (p *Provider) Retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[len(p.keys)-1:]
}

// jwks publishes the key set.
func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	p.fetched++
	keys := []map[string]any{}
	for _, k := range p.keys {
		keys = append(keys, k.jwk())
	}
	fault := p.fault
	p.mu.Unlock()
	set := map[string]any{"keys": keys}
	if fault.Keys != nil {
		fault.Keys(set)
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	writeJSON(w, http.StatusOK, set)
}

// jwk is the public half as a JWK (RFC 7518 section 6).
func (k signingKey) jwk() map[string]any {
	m := map[string]any{"kid": k.kid, "alg": string(k.alg), "use": "sig"}
	encode := base64.RawURLEncoding.EncodeToString
	switch public := k.key.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", encode(public.N.Bytes()), encode(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic("idp: " + err.Error()) // a key that was generated here
		}
		m["kty"], m["crv"], m["x"], m["y"] = "EC", "P-256", encode(point[1:33]), encode(point[33:])
	}
	return m
}

// sign makes a token.
func (k signingKey) sign(claims map[string]any, f Fault) (string, error) {
	header, err := json.Marshal(bend(map[string]any{"alg": string(k.alg), "kid": k.kid, "typ": "JWT"}, f.Header))
	if err != nil {
		return "", fmt.Errorf("idp: %w", err)
	}
	payload, err := json.Marshal(bend(claims, f.Claims))
	if err != nil {
		return "", fmt.Errorf("idp: %w", err)
	}
	return jws.Sign(k.alg, header, payload, k.key)
}
