package forge

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/json"

	"whither/csi"
	"whither/internal/jws"
	"whither/internal/prover"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/possession"
	"whither/possession/observe"
	"whither/possession/openid"
)

// signIn is an ID token in the making.
type signIn struct {
	issuer, client, address string
	nonce                   [sha256.Size]byte
	key                     *ecdsa.PrivateKey
}

func (s signIn) sign(h *Hand) (Artefact, error) {
	header, err := json.Marshal(map[string]any{"alg": jws.ES256, "kid": stage.KeyName(s.key), "typ": "JWT"})
	if err != nil {
		return Artefact{}, err
	}
	now := h.Now.Unix()
	payload, err := json.Marshal(map[string]any{
		"iss": s.issuer, "sub": s.address, "aud": s.client, "nonce": openid.Nonce(s.nonce), "iat": now, "exp": now + 300, "auth_time": now,
		"email": s.address, "email_verified": true,
	})
	if err != nil {
		return Artefact{}, err
	}
	token, err := jws.Sign(jws.ES256, header, payload, s.key)
	if err != nil {
		return Artefact{}, err
	}
	h.tokenKey = s.key
	places, err := observe.FromJWKS(stage.Issuer, stage.KeySet(s.key))
	if err != nil {
		return Artefact{}, err
	}
	return Artefact{[]byte(token), places[0].Digest, places[0]}, nil
}

// byOpenID are ID tokens for which the victim did not sign in, or not for this.
func byOpenID() []Forgery {
	of := func(name string, needs []cast.Set, bend func(h *Hand, s *signIn, c Challenge)) Forgery {
		return Forgery{
			Name: name, Scheme: csi.Mailto, Kind: possession.OpenIDToken, Witness: possession.OpenIDWitness, Needs: needs, Judge: judgeOpenID,
			Make: func(h *Hand, c Challenge) (Artefact, error) {
				s := signIn{stage.Issuer, stage.Client, h.CSI.Address(), c.response(), h.Outside.OpenID.Live}
				bend(h, &s, c)
				return s.sign(h)
			},
		}
	}
	issuer, word := []cast.Set{cast.Of(cast.CSIP)}, []cast.Set{cast.Of(cast.VictimWord)}
	retired := of("an ID token under a retired key", issuer, retiredToken)
	retired.Recheck = recheckOpenID
	retired.Today = func(h *Hand) observe.Key {
		k, _ := observe.FromJWKS(stage.Issuer, stage.KeySet(h.Outside.OpenID.Live)) // a good set
		return k[0]
	}
	return []Forgery{
		of("a lured sign-in at another application", word, luredSignIn),
		of("the holder's own sign-in for another key", word, otherNonce),
		of("the neighbour's sign-in", word, neighbourSignIn),
		of("a provider of the adversary's own", issuer, ownProvider),
		retired,
	}
}

// luredSignIn: the victim signs in at the adversary's application, which chooses
// the nonce.
func luredSignIn(h *Hand, s *signIn, _ Challenge) {
	switch {
	case h.Owns(cast.VictimWord):
	case h.Owns(cast.RelyingParty):
		s.client = stage.OwnClient
	default:
		s.key = h.Outside.OpenID.Own
	}
}

// otherNonce: the victim signed in for a key of her own.
func otherNonce(h *Hand, s *signIn, c Challenge) {
	if h.Owns(cast.VictimWord) {
		return
	}
	c.holder = h.Key("holder of " + h.CSI.Canonical()).Public()
	s.nonce = c.response()
	if !h.Owns(cast.Archive) {
		s.key = h.Outside.OpenID.Own
	}
}

// neighbourSignIn: somebody else of the same provider signs in.
func neighbourSignIn(h *Hand, s *signIn, _ Challenge) {
	switch {
	case h.Owns(cast.VictimWord):
	case h.Owns(cast.Neighbour):
		s.address = stage.Neighbour
	default:
		s.key = h.Outside.OpenID.Own
	}
}

// ownProvider: another provider says that it verified the victim's address.
func ownProvider(h *Hand, s *signIn, _ Challenge) {
	if !h.Owns(cast.CSIP) {
		s.issuer, s.key = stage.OwnIssuer, h.Outside.OpenID.Own
	}
}

// retiredToken is signed by a key that the provider has taken out of its set.
func retiredToken(h *Hand, s *signIn, _ Challenge) {
	switch {
	case h.Owns(cast.CSIP):
	case h.Owns(cast.Archive):
		s.key = h.Outside.OpenID.Old
	default:
		s.key = h.Outside.OpenID.Own
	}
}

// judgeOpenID is what an honest prover makes of a token, with the keys that it
// gets over HTTPS from the issuers that the registry names.
func judgeOpenID(h *Hand, by cast.Party, c Challenge, raw []byte) (prover.Finding, error) {
	return verdictOpenID(h, c, c.seenBy(by), raw, stage.KeySet(h.Outside.OpenID.Live))
}

// recheckOpenID is what one makes of it with the key set that it is handed.
func recheckOpenID(h *Hand, c Challenge, raw []byte) (prover.Finding, error) {
	return verdictOpenID(h, c, c.known, raw, stage.KeySet(h.tokenKey))
}

func verdictOpenID(h *Hand, c Challenge, nonce [possession.NonceSize]byte, raw, keys []byte) (prover.Finding, error) {
	report, err := openid.Verify(raw, openid.Want{CSI: c.csi, Response: possession.Response(c.csi, c.holder, nonce), Now: h.Now}, func(url string) (openid.Issuer, bool) {
		named, ok := h.Registry.Issuer(url)
		return openid.IssuerOf(named, keys), ok
	})
	return prover.Finding{Artefact: raw, Level: possession.Level3, KeySeen: report.KeyDigest, Evidence: report.Evidence()}, err
}
