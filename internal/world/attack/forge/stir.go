package forge

import (
	"crypto/sha256"
	"time"

	"whither/csi"
	"whither/internal/prover"
	"whither/internal/prover/bysip"
	"whither/internal/prover/bystir"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
	"whither/registry"
)

const (
	chainURL = "https://cert.example.org/chain.pem"
	originID = "123e4567-e89b-12d3-a456-426655440000"
)

// call is a signature of the telephone world in the making.
type call struct {
	form      stir.Form
	extension passport.Extension
	number    string // in digits
	response  [sha256.Size]byte
	holder    string // its fingerprint, as messages have it
	to        string
	attest    string
	signer    *stirtest.Party
	at        time.Time
}

// calls begins what the victim's phone and carrier would make of a challenge.
func (h *Hand) calls(c Challenge, form stir.Form) call {
	return call{
		form: form, number: c.csi.PASSporTDigits(), response: c.response(), holder: c.holder.ID().String(),
		to: bystir.Address(c.box, c.prover), signer: h.Outside.Phones.Carrier, at: h.Now,
	}
}

// sign makes the artefact.
func (k call) sign() (Artefact, error) {
	claims := passport.Claims{
		IssuedAt: k.at, Orig: passport.Party{TN: k.number}, Dest: passport.Destinations{URI: []string{k.to}}, Attest: k.attest,
	}
	a := stir.Artefact{Form: k.form, Chain: k.signer.Chain()}
	var err error
	switch k.form {
	case stir.FormMessage:
		k.extension = passport.Message
		a.Body = []byte(stir.Response(k.response, k.holder))
		if claims.MessageHash, err = passport.HashMessage("sha256", a.Body); err != nil {
			return Artefact{}, err
		}
	case stir.FormKey, stir.FormDelegate:
		claims.MediaKeys = []passport.MediaKey{passport.SHA256Key(k.response)}
	case stir.FormToken, stir.FormCall:
	}
	if k.extension == passport.Shaken {
		claims.OrigID = originID
	}
	if a.Token, err = claims.Sign(passport.Signing{Extension: k.extension, X5U: chainURL, Key: k.signer.Key}); err != nil {
		return Artefact{}, err
	}
	return artefactOf(a)
}

// bySTIR are signatures that the victim's carrier has not made for her.
func bySTIR() []Forgery {
	of := func(name string, kind possession.Kind, needs []cast.Set, write func(h *Hand, c Challenge) (Artefact, error)) Forgery {
		return Forgery{
			Name: name, Scheme: csi.Tel, Kind: kind, Witness: possession.STIRWitness, Needs: needs, Make: write,
			Judge: func(h *Hand, by cast.Party, c Challenge, raw []byte) (prover.Finding, error) {
				return judgeSTIR(h, by, kind, c, raw)
			},
		}
	}
	carrier, word := []cast.Set{cast.Of(cast.CSIP)}, []cast.Set{cast.Of(cast.VictimWord)}
	return []Forgery{
		of("a message signed by a carrier of other numbers", possession.SIPMessage, carrier, otherCarrier),
		of("a call that the carrier does not fully attest", possession.PassportKey, word, halfAttested),
		of("the holder's own message for another key", possession.SIPMessage, word, otherMessage),
		of("a lured call", possession.PassportKey, word, luredCall),
		of("a delegate of a neighbour's number", possession.Delegate, word, neighbourDelegate),
		of("an authority token for another key", possession.TNToken, word, otherToken),
	}
}

// otherCarrier signs as a carrier that has no grant for the number, or under a
// root that nobody names.
func otherCarrier(h *Hand, c Challenge) (Artefact, error) {
	k := h.calls(c, stir.FormMessage)
	switch {
	case h.Owns(cast.CSIP):
	case h.Owns(cast.OtherCarrier):
		k.signer = h.Outside.Phones.Other
	default:
		k.signer = h.Outside.Phones.Forged
	}
	return k.sign()
}

// halfAttested is a call with the victim's number that the carrier passes on for
// a customer who is not known to have it.
func halfAttested(h *Hand, c Challenge) (Artefact, error) {
	k := h.calls(c, stir.FormKey)
	k.extension, k.attest = passport.Shaken, "B"
	if h.Owns(cast.VictimWord) {
		k.attest = "A"
	}
	return k.sign()
}

// otherMessage is one that the victim sent to prove a key of her own.
func otherMessage(h *Hand, c Challenge) (Artefact, error) {
	if !h.Owns(cast.VictimWord) {
		c.holder = h.Key("holder of " + h.CSI.Canonical()).Public()
	}
	k := h.calls(c, stir.FormMessage)
	if !h.Owns(cast.VictimWord) && !h.Owns(cast.Archive) {
		k.signer = h.Outside.Phones.Forged
	}
	return k.sign()
}

// luredCall is a call that the victim made, fully attested, to an address that
// rang her: her phone knows of no response.
func luredCall(h *Hand, c Challenge) (Artefact, error) {
	k := h.calls(c, stir.FormKey)
	k.extension, k.attest = passport.Shaken, "A"
	if !h.Owns(cast.VictimWord) {
		k.response = sha256.Sum256([]byte("the key of her phone's media"))
		if !h.Owns(cast.LuredCaller) {
			k.signer = h.Outside.Phones.Forged
		}
	}
	return k.sign()
}

// neighbourDelegate signs with a certificate that was delegated for another
// number.
func neighbourDelegate(h *Hand, c Challenge) (Artefact, error) {
	k := h.calls(c, stir.FormDelegate)
	number := k.number
	switch {
	case h.Owns(cast.VictimWord):
	case h.Owns(cast.Neighbour):
		number = stage.NeighbourNumber
	default:
		k.signer = h.Outside.Phones.Forged
		return k.sign()
	}
	var err error
	if k.signer, err = h.Delegate(number); err != nil {
		return Artefact{}, err
	}
	return k.sign()
}

// SignedCall has a prover judge a call with the victim's number: her carrier's
// signature, and the code that the caller enters. A lured caller enters none; who
// reads the call on its way opens another one with the same signature, and enters
// the code, which was told to him as the claimant.
func (h *Hand) SignedCall(by cast.Party) (prover.Finding, error) {
	c, err := h.Ask(by, false)
	if err != nil {
		return prover.Finding{}, err
	}
	k := h.calls(c, stir.FormCall)
	k.extension, k.attest = passport.Shaken, "A"
	line := h.Reads(by)
	if !line && !h.Owns(cast.LuredCaller) {
		k.signer = h.Outside.Phones.Forged
	}
	a, err := k.sign()
	if err != nil {
		return prover.Finding{}, err
	}
	found, err := judgeSTIR(h, by, possession.SignedCall, c, a.Raw)
	if err != nil {
		return prover.Finding{}, err
	}
	entered := ""
	if line || h.Owns(cast.Archive) {
		entered = stir.CallCode(c.response())
	}
	if entered != stir.CallCode(possession.Response(c.csi, c.holder, c.nonce)) {
		return prover.Finding{}, bysip.ErrCode
	}
	return found, nil
}

// otherToken is an authority token that the victim got for a key of her own.
func otherToken(h *Hand, c Challenge) (Artefact, error) {
	holder := c.holder
	if !h.Owns(cast.VictimWord) {
		holder = h.Key("holder of " + h.CSI.Canonical()).Public()
	}
	signer := h.Outside.Phones.Authority
	if !h.Owns(cast.VictimWord) && !h.Owns(cast.Archive) {
		signer, holder = h.Outside.Phones.Forged, c.holder
	}
	token, err := stir.Token{
		Issuer: "https://authority.example", ID: "1", Issued: h.Now, Expires: h.Now.Add(time.Hour),
		Numbers: tnauth.List{{Number: c.csi.PASSporTDigits()}}, Fingerprint: stir.Fingerprint(holder),
	}.Sign(chainURL, signer.Key)
	if err != nil {
		return Artefact{}, err
	}
	return artefactOf(stir.Artefact{Form: stir.FormToken, Token: token, Chain: signer.Chain()})
}

// artefactOf is what is shown, and the certificate on which it rests.
func artefactOf(a stir.Artefact) (Artefact, error) {
	raw, err := a.Marshal()
	return Artefact{Raw: raw, Seen: sha256.Sum256(a.Chain[0])}, err
}

// judgeSTIR is what an honest prover makes of an artefact: its method, or for
// messages and calls, which come by SIP, the verdict on which that rests.
func judgeSTIR(h *Hand, by cast.Party, kind possession.Kind, c Challenge, raw []byte) (prover.Finding, error) {
	party, err := registry.ParsePartyID(h.Names[by])
	if err != nil {
		return prover.Finding{}, err
	}
	p := h.Outside.Phones
	trust := bystir.Trust{
		Snapshot:     func() *registry.Snapshot { return h.Registry },
		Certificates: [][]byte{p.Root.Certificate.Raw, p.AuthorityRoot.Certificate.Raw, p.Forged.Chain()[1]},
	}
	if (kind == possession.SIPMessage || kind == possession.SignedCall) && by == c.By {
		a, err := stir.Parse(raw)
		if err != nil {
			return prover.Finding{}, err
		}
		return bystir.Judge(trust, a, stir.Want{
			CSI: c.csi, Holder: c.holder, Nonce: c.nonce, Dest: passport.Party{URI: bystir.Address(c.box, c.prover)}, Now: h.Now,
		}, raw)
	}
	return h.judge(bystir.Method(bystir.Config{Party: party, Trust: trust}), by, kind, possession.STIRWitness, c, raw)
}
