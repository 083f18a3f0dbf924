package world_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/world"
	"whither/internal/world/desk"
	"whither/internal/world/mailca"
	"whither/mapping"
	"whither/possession"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// lenient is a scene whose federation takes evidence of level 3 for addresses.
func lenient(t *testing.T) *scene {
	t.Helper()
	return newSceneWith(t, func(c *world.Config) { c.Levels = map[string]uint8{"mailto": 3} })
}

// enrolBy enrols with a kind of evidence, and with signer in the place of the
// person's own certificate where it is not nil.
func (s *scene) enrolBy(t *testing.T, p person, kind possession.Kind, signer *mailca.Person, say client.Progress) (mapping.Verified, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w := s.wish(t, p)
	w.Evidence = kind
	h := &signing{Person: desk.NewPerson(s.Desk, p.csi), signer: signer}
	done, err := s.client(t).Enrol(ctx, w, h, &client.Enrolment{}, say)
	return done.Mapping, err
}

// signing is a person with a certificate that is not the desk's.
type signing struct {
	*desk.Person
	signer *mailca.Person
}

func (s *signing) Sign(ctx context.Context, prover registry.PartyID, content []byte) ([]byte, error) {
	if s.signer == nil {
		return s.Person.Sign(ctx, prover, content)
	}
	return s.signer.Sign(content)
}

func silent(string) {}

// TestR01AddressByLevel3 enrols an address, where the federation takes level 3,
// by a sign-in at its domain's OpenID provider, and by a certificate.
func TestR01AddressByLevel3(t *testing.T) {
	for _, kind := range []possession.Kind{possession.OpenIDToken, possession.SMIME} {
		t.Run(kind.String(), func(t *testing.T) {
			s := lenient(t)
			v, err := s.enrolBy(t, s.holder, kind, nil, silent)
			if err != nil {
				t.Fatal(err)
			}
			if v.Evidence().Level != possession.Level3 {
				t.Errorf("level %d", v.Evidence().Level)
			}
			for _, voucher := range v.Evidence().Vouchers {
				if !strings.HasPrefix(voucher.Kind.String(), strings.TrimSuffix(kind.String(), "-token")) {
					t.Errorf("a receipt of kind %s", voucher.Kind)
				}
			}
			if got := s.ask(t, s.holder.csi); got.Outcome != wire.OutcomeOne {
				t.Errorf("found: %s", got.Outcome)
			}
			for _, secret := range []string{"bob", world.MailDomain} {
				if strings.Contains(s.logs.String(), secret) {
					t.Errorf("the logs hold %q", secret)
				}
			}
		})
	}
}

// TestLevel3IsNotOffered: where the federation asks for more, a wish for less is
// answered before anybody signs in or signs.
func TestLevel3IsNotOffered(t *testing.T) {
	s := newScene(t, nil)
	for _, kind := range []possession.Kind{possession.OpenIDToken, possession.SMIME, possession.CodeMessage} {
		if _, err := s.enrolBy(t, s.holder, kind, nil, silent); !errors.Is(err, client.ErrKinds) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestR01CertificatesThatProveNothing: the provers have the authorities and the
// lists of the federation and their own, and believe no other.
func TestR01CertificatesThatProveNothing(t *testing.T) {
	s := lenient(t)
	certify := func(a *mailca.Authority, address string) *mailca.Person {
		p, err := a.Certify(address)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	other, err := mailca.New("Mailboxes of "+world.MailDomain, s.now)
	if err != nil {
		t.Fatal(err)
	}
	revoked := certify(s.MailAuthority, people[0].Address())
	s.MailAuthority.Revoke(revoked)
	s.add(2 * time.Hour) // lists are fetched again after an hour
	if err := s.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	with := func(change func(c *x509.Certificate)) *mailca.Person {
		p, err := s.MailAuthority.CertifyWith(people[0].Address(), change)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	elsewhere, err := s.MailAuthority.Subordinate("Mailboxes of example.net", func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedEmailAddresses = true, []string{"example.net"}
	})
	if err != nil {
		t.Fatal(err)
	}
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}
	for name, test := range map[string]struct {
		signer *mailca.Person
		want   problem.Kind
	}{
		"of an authority for others": {certify(elsewhere, people[0].Address()), problem.SMIMEChain},
		"critical and unknown":       {with(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{unknown} }), problem.SMIMEChain},
		"signed with SHA-1":          {with(func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), problem.SMIMEAlgorithm},
		"not for mail":               {with(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), problem.SMIMECertificate},
		"for encryption":             {with(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), problem.SMIMECertificate},
		"of last year":               {with(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Minute) }), problem.SMIMECertificate},
		"revoked":                    {revoked, problem.SMIMERevoked},
		"of another authority":       {certify(other, people[0].Address()), problem.SMIMEChain},
		"for another address":        {certify(s.MailAuthority, "alice@"+world.MailDomain), problem.SMIMEAddress},
		"for a look-alike address":   {certify(s.MailAuthority, "bob@examp1e.org"), problem.SMIMEAddress},
	} {
		asked := 0
		_, err := s.enrolBy(t, s.holder, possession.SMIME, test.signer, func(step string) {
			if strings.Contains(step, test.want.Row().Do) {
				asked++
			}
		})
		if problem.KindOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if asked != 2 { // and the third time by the error
			t.Errorf("%s: the person was told %d times what to do", name, asked)
		}
		s.add(time.Hour) // for the caps on challenges
	}
	if _, err := s.enrolBy(t, s.holder, possession.SMIME, certify(s.MailAuthority, "BOB@EXAMPLE.ORG"), silent); err != nil {
		t.Errorf("for the address in capitals: %v", err)
	}
}
