package stage

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"whither/internal/dkim"
	"whither/internal/world/mailca"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
	"whither/registry"
)

// The outside world.
const (
	MailDomain     = "example.org" // the victims' and the neighbour's
	Neighbour      = "neighbour@" + MailDomain
	OwnDomain      = "elsewhere.example" // the adversary's own
	LiveSelector   = "s2026"
	OldSelector    = "s2025" // withdrawn from the DNS, and its private key published
	ForgedSelector = "forged"

	Issuer    = "https://id." + MailDomain     // OpenID provider of the mail domain
	OwnIssuer = "https://id." + OwnDomain      // that of the adversary
	Client    = "whither"                      // the client id that serves this purpose alone
	OwnClient = "free-games.elsewhere.example" // the adversary's application, at the same provider

	carrierCode, otherCode       = "C001", "C002"
	carrierNumbers, otherNumbers = "4179", "4178"
	// NeighbourNumber is one of the victims' carrier.
	NeighbourNumber = carrierNumbers + "9999999"
)

// Outside is what is there besides the federation, with its keys.
type Outside struct {
	Mail   Mail
	Phones Phones
	OpenID OpenID
	SMIME  SMIME
}

// Mail is a mail provider's.
type Mail struct {
	Live, Old dkim.PrivateKey   // in the DNS, and no longer there
	Forged    dkim.PrivateKey   // passes for one of them
	Own       dkim.PrivateKey   // of the adversary's domain
	Published map[string]string // names in the DNS, with their TXT record
}

// Phones are certificates of the telephone world.
type Phones struct {
	Root, AuthorityRoot    *stirtest.Party
	Carrier, Other, Forged *stirtest.Party // of the victims' numbers; of others; under a root of its own
	CarrierCA              *stirtest.Party // issues the carrier's delegates
	Authority              *stirtest.Party // issues authority tokens
}

// OpenID are keys of the mail domain's provider, in its set and no longer there,
// and one of the adversary's.
type OpenID struct{ Live, Old, Own *ecdsa.PrivateKey }

// SMIME are authorities that certify mailboxes: one that the federation names,
// and the adversary's. People holds the certificates that there are.
type SMIME struct {
	Authority, Own *mailca.Authority
	People         map[string]*mailca.Person // by authority and address
}

// makeOutside makes the outside world and has the federation name it.
func (w *Stage) makeOutside() error {
	for _, step := range []func() error{w.makeMail, w.makePhones, w.makeSMIME} {
		if err := step(); err != nil {
			return fmt.Errorf("stage: outside: %w", err)
		}
	}
	w.Outside.OpenID = OpenID{stirtest.FixedKey("openid live"), stirtest.FixedKey("openid old"), stirtest.FixedKey("openid own")}
	p := &w.Outside.Phones
	anchor := func(b []byte) []registry.Anchor {
		digest := sha256.Sum256(b)
		return []registry.Anchor{{Digest: digest[:]}}
	}
	w.Record.Policy.Evidence = registry.Evidence{
		Issuers:     []registry.Issuer{{URL: Issuer, Clients: []string{Client}, Domains: []string{MailDomain}}},
		Carriers:    anchor(p.Root.Certificate.Raw),
		Authorities: anchor(p.AuthorityRoot.Certificate.Raw),
		Mail:        anchor(w.Outside.SMIME.Authority.Certificate.Raw),
	}
	for name, range_ := range map[string][2]string{"carrier.example": {carrierCode, carrierNumbers}, "carrier-b.example": {otherCode, otherNumbers}} {
		w.Add(name, registry.RoleCSIP, nil)
		w.Grant(name).Codes, w.Grant(name).Ranges = []string{range_[0]}, []string{"+" + range_[1]}
	}
	return nil
}

func (w *Stage) makeMail() error {
	n := Mail{
		Live: dkim.Ed25519(w.Key("dkim of today")), Old: dkim.Ed25519(w.Key("dkim of last year")),
		Forged: dkim.Ed25519(w.Key("dkim of the adversary's making")), Own: dkim.Ed25519(w.Key("dkim of the adversary's domain")),
		Published: make(map[string]string),
	}
	for name, k := range map[string]dkim.PrivateKey{
		LiveSelector + "._domainkey." + MailDomain: n.Live,
		LiveSelector + "._domainkey." + OwnDomain:  n.Own,
	} {
		record, err := k.Record()
		if err != nil {
			return err
		}
		n.Published[name] = record
	}
	w.Outside.Mail = n
	return nil
}

// certificate issues a certificate of the telephone world.
func (w *Stage) certificate(by *stirtest.Party, name string, ca bool, list tnauth.List) (*stirtest.Party, error) {
	p := stirtest.Profile{
		Name: name, Key: stirtest.FixedKey("stir " + name), CA: ca, List: list, From: w.Now.Add(-60 * day), Until: w.Now.Add(60 * day),
	}
	if by == nil {
		return stirtest.Root(p)
	}
	return by.Issue(p)
}

func (w *Stage) makePhones() error {
	p := &w.Outside.Phones
	var ownRoot *stirtest.Party
	code := tnauth.List{{Code: carrierCode}}
	for _, c := range []struct {
		to   **stirtest.Party
		by   **stirtest.Party // nil: itself
		name string
		ca   bool
		list tnauth.List
	}{
		{&p.Root, nil, "root", true, nil},
		{&p.AuthorityRoot, nil, "authority root", true, nil},
		{&ownRoot, nil, "the adversary's root", true, nil},
		{&p.Carrier, &p.Root, "carrier", false, code},
		{&p.Other, &p.Root, "other carrier", false, tnauth.List{{Code: otherCode}}},
		{&p.Forged, &ownRoot, "forged carrier", false, code},
		{&p.CarrierCA, &p.Root, "carrier ca", true, code},
		{&p.Authority, &p.AuthorityRoot, "authority", false, nil},
	} {
		var by *stirtest.Party
		if c.by != nil {
			by = *c.by
		}
		var err error
		if *c.to, err = w.certificate(by, c.name, c.ca, c.list); err != nil {
			return err
		}
	}
	return nil
}

// Delegate returns the carrier's delegate for a number, in digits.
func (w *Stage) Delegate(number string) (*stirtest.Party, error) {
	return w.certificate(w.Outside.Phones.CarrierCA, "delegate "+number, false, tnauth.List{{Number: number}})
}

func (w *Stage) makeSMIME() error {
	s := SMIME{People: make(map[string]*mailca.Person)}
	for _, a := range []struct {
		to   **mailca.Authority
		name string
	}{{&s.Authority, "mailbox authority"}, {&s.Own, "the adversary's authority"}} {
		var err error
		if *a.to, err = mailca.New(a.name, w.clock); err != nil {
			return err
		}
	}
	w.Outside.SMIME = s
	return nil
}

// Certified returns the certificate of an address by an authority, the same each
// time.
func (w *Stage) Certified(by *mailca.Authority, address string) (*mailca.Person, error) {
	name := by.Certificate.Subject.CommonName + " " + address
	if p := w.Outside.SMIME.People[name]; p != nil {
		return p, nil
	}
	p, err := by.Certify(address)
	if err == nil {
		w.Outside.SMIME.People[name] = p
	}
	return p, err
}

// KeySet is the key set that a provider's keys are published in, as JSON, each
// under the name that KeyName gives it.
func KeySet(keys ...*ecdsa.PrivateKey) []byte {
	var out []string
	for _, k := range keys {
		point, err := k.PublicKey.Bytes()
		if err != nil {
			panic("stage: " + err.Error()) // a key that was generated here
		}
		encode := base64.RawURLEncoding.EncodeToString
		out = append(out, fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"use":"sig","x":%q,"y":%q}`, KeyName(k), encode(point[1:33]), encode(point[33:])))
	}
	return []byte(`{"keys":[` + strings.Join(out, ",") + `]}`)
}

// KeyName is the kid of a key.
func KeyName(k *ecdsa.PrivateKey) string {
	point, err := k.PublicKey.Bytes()
	if err != nil {
		panic("stage: " + err.Error())
	}
	sum := sha256.Sum256(slices.Clone(point))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}
