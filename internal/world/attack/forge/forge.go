// Package forge makes what an adversary shows to honest provers in the place of
// evidence: mail, signatures of telephone carriers, ID tokens, S/MIME. Each
// [Forgery] differs from evidence in one point; the parties beside it are those
// with whose keys the same program makes it true. Honest provers judge it here by
// the methods and verifiers that they use in production.
package forge

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"

	"whither/csi"
	"whither/internal/dkim"
	"whither/internal/prover"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/key"
	"whither/possession"
	"whither/possession/mail"
	"whither/possession/observe"
	"whither/registry"
)

// Forgery is an artefact that passes for evidence about which two provers must
// agree.
type Forgery struct {
	Name   string
	Scheme csi.Scheme
	// Kind is the challenger's, Witness the other prover's.
	Kind, Witness possession.Kind
	// Needs are the smallest sets with which honest provers take it for true.
	Needs []cast.Set
	Make  func(h *Hand, c Challenge) (Artefact, error)
	// Judge is what an honest prover makes of it, as challenger or as witness.
	Judge func(h *Hand, by cast.Party, c Challenge, raw []byte) (prover.Finding, error)
	// Recheck is what an honest prover makes of it under the key that it is handed,
	// nil where the forgery does not lie in the key.
	Recheck func(h *Hand, c Challenge, raw []byte) (prover.Finding, error)
	// Today is the true key, where there is one to recheck by.
	Today func(h *Hand) observe.Key
}

// Artefact is what is shown, and the key on which it rests.
type Artefact struct {
	Raw   []byte
	Seen  [sha256.Size]byte
	Place observe.Key // where the key would be published, if it is one that is
}

// Forgeries lists all.
func Forgeries() []Forgery {
	out := byMail()
	out = append(out, bySTIR()...)
	out = append(out, byOpenID()...)
	return append(out, bySMIME()...)
}

// Hand is what a forger has in hand.
type Hand struct {
	*stage.Stage
	Owns   func(cast.Party) bool
	Names  map[cast.Party]string // of parties in the registry
	CSI    csi.ID                // the victim's
	Holder key.Public            // the key that is to answer for it

	signedWith dkim.PrivateKey   // with which it signed the mail that it shows
	tokenKey   *ecdsa.PrivateKey // with which it signed the token
}

// Challenge is what a prover asked, and what of it the adversary knows.
type Challenge struct {
	By     cast.Party
	prover registry.PartyID
	box    prover.Mailbox
	holder key.Public
	csi    csi.ID
	nonce  [possession.NonceSize]byte
	// known is the nonce as the adversary has it: the half that went to the CSI
	// is a guess unless it reads what is sent there.
	known [possession.NonceSize]byte
}

// Ask has a prover challenge the CSI for the adversary's key. A prover that the
// adversary owns keeps nothing from it. toCSI: half of the nonce goes to the CSI.
func (h *Hand) Ask(by cast.Party, toCSI bool) (Challenge, error) {
	c := Challenge{By: by, holder: h.Holder, csi: h.CSI}
	var err error
	if c.prover, err = registry.ParsePartyID(h.Names[by]); err != nil {
		return Challenge{}, err
	}
	_, _ = rand.Read(c.nonce[:]) // never fails
	_, _ = rand.Read(c.box[:])
	c.known = c.nonce
	if toCSI && !h.Owns(by) && !h.Reads(by) {
		_, _ = rand.Read(c.known[:mail.TokenSize])
	}
	return c, nil
}

// response is what answers the challenge, as far as the adversary knows.
func (c Challenge) response() [sha256.Size]byte { return possession.Response(c.csi, c.holder, c.known) }

// seenBy is the nonce as a prover has it: a witness takes it from the client.
func (c Challenge) seenBy(by cast.Party) [possession.NonceSize]byte {
	if by == c.By {
		return c.nonce
	}
	return c.known
}

// Reads reports whether the adversary gets what a prover sends to the CSI.
func (h *Hand) Reads(by cast.Party) bool {
	if h.Owns(cast.VictimWord) || h.Owns(cast.CSIP) {
		return true
	}
	if h.CSI.Scheme() == csi.Tel {
		return h.Owns(cast.SIMSwapper)
	}
	return h.Misleads(by) // its mail goes where the DNS says
}

// Misleads reports whether a prover's questions to the DNS are answered by the
// adversary, and so where it finds keys and delivers mail.
func (h *Hand) Misleads(p cast.Party) bool {
	return p == cast.ProverA && h.Owns(cast.DNSA) || p == cast.ProverB && h.Owns(cast.DNSB)
}

// asChallenge is the challenge as the methods of honest provers have it.
func (c Challenge) asChallenge(h *Hand, kind possession.Kind) prover.Challenge {
	return prover.Challenge{
		CSI: c.csi, Holder: c.holder, Kind: kind, Purpose: possession.PurposeEnrol, Mailbox: c.box, Nonce: c.nonce, Started: h.Now,
		Expires: h.Now.Add(prover.Life),
	}
}

// judge has a method judge an artefact.
func (h *Hand) judge(m prover.Method, by cast.Party, kind, witness possession.Kind, c Challenge, raw []byte) (prover.Finding, error) {
	if by == c.By {
		a, ok := m.Challengers[kind].(prover.Answerer)
		if !ok {
			return prover.Finding{}, prover.ErrKind
		}
		return a.Answer(h.Context(), c.asChallenge(h, kind), prover.Answer{Artefact: raw}, h.Now)
	}
	return m.Witnesses[witness].Witness(h.Context(), prover.Testimony{
		CSI: c.csi, Holder: c.holder, Nonce: c.known, Challenger: c.prover, Artefact: raw, Now: h.Now,
	})
}
