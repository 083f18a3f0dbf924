package phonenet

import (
	"fmt"
	"strings"
	"time"

	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

// tokenLife is how long an authority token can be used.
const tokenLife = 24 * time.Hour

// Attest has the carrier of a phone's number sign a PASSporT to a SIP address in
// whose mky a digest stands: that the key behind the digest is in use at the
// number. It returns the PASSporT and the signer's certificates in PEM.
func (n *Network) Attest(number, to, digest string) ([]byte, error) {
	c, err := n.of(number)
	if err != nil {
		return nil, err
	}
	return n.attest(c.signer, number, to, digest)
}

// AttestDelegated is Attest by the person herself: her carrier delegates her
// number to her (RFC 9060), and the certificate's key signs.
func (n *Network) AttestDelegated(number, to, digest string) ([]byte, error) {
	c, err := n.of(number)
	if err != nil {
		return nil, err
	}
	above, err := c.carriers.issue(c.carriers.root, c.name+" for delegates", true, tnauth.List{{Code: c.code}})
	if err != nil {
		return nil, err
	}
	delegate, err := c.carriers.issue(above, "a delegate", false, tnauth.List{{Number: strings.TrimPrefix(number, "+")}})
	if err != nil {
		return nil, err
	}
	return n.attest(delegate, number, to, digest)
}

func (n *Network) attest(signer *stirtest.Party, number, to, digest string) ([]byte, error) {
	token, err := passport.Claims{
		IssuedAt: n.now(), Orig: passport.Party{TN: strings.TrimPrefix(number, "+")},
		Dest: passport.Destinations{URI: []string{to}}, MediaKeys: []passport.MediaKey{{Algorithm: "sha-256", Digest: digest}},
	}.Sign(passport.Signing{X5U: "https://certificates.example/attest.pem", Key: signer.Key})
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	return append([]byte(token+"\n"), signer.PEM()...), nil
}

// AuthorityToken has the authority over numbers say that the key with a
// fingerprint may have certificates for a phone's number (RFC 9448).
func (n *Network) AuthorityToken(number, fingerprint string) ([]byte, error) {
	c, err := n.of(number)
	if err != nil {
		return nil, err
	}
	id, err := random(16)
	if err != nil {
		return nil, err
	}
	authority, err := c.carriers.issue(c.carriers.authority, "authority over numbers", false, nil)
	if err != nil {
		return nil, err
	}
	token, err := stir.Token{
		ID: id, Issued: n.now(), Expires: n.now().Add(tokenLife), Fingerprint: fingerprint,
		Numbers: tnauth.List{{Number: strings.TrimPrefix(number, "+")}},
	}.Sign("https://certificates.example/authority.pem", authority.Key)
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	return append([]byte(token+"\n"), authority.PEM()...), nil
}

// issue issues a certificate with a key of its own.
func (c *Carriers) issue(by *stirtest.Party, name string, ca bool, list tnauth.List) (*stirtest.Party, error) {
	k, err := newKey()
	if err != nil {
		return nil, err
	}
	profile := c.profile(name, k)
	profile.CA, profile.List = ca, list
	return by.Issue(profile)
}
