package forge

import (
	"crypto/sha256"
	"crypto/x509"

	"whither/csi"
	"whither/internal/prover"
	"whither/internal/prover/bysmime"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/stage"
	"whither/internal/world/mailca"
	"whither/possession"
	"whither/possession/smime"
	"whither/registry"
)

// bySMIME are signatures that the victim's certificate has not made for this key.
func bySMIME() []Forgery {
	of := func(name string, write func(h *Hand, c Challenge) (Artefact, error)) Forgery {
		return Forgery{
			Name: name, Scheme: csi.Mailto, Kind: possession.SMIME, Witness: possession.SMIMEWitness,
			Needs: []cast.Set{cast.Of(cast.VictimWord)}, Make: write, Judge: judgeSMIME,
		}
	}
	return []Forgery{
		of("S/MIME with the neighbour's certificate", func(h *Hand, c Challenge) (Artefact, error) {
			address, authority := h.CSI.Address(), h.Outside.SMIME.Authority
			switch {
			case h.Owns(cast.VictimWord):
			case h.Owns(cast.Neighbour):
				address = stage.Neighbour
			default:
				authority = h.Outside.SMIME.Own
			}
			p, err := h.Certified(authority, address)
			if err != nil {
				return Artefact{}, err
			}
			return c.smime(p)
		}),
		of("the holder's own S/MIME for another key", func(h *Hand, c Challenge) (Artefact, error) {
			authority := h.Outside.SMIME.Authority
			if !h.Owns(cast.VictimWord) {
				c.holder = h.Key("holder of " + h.CSI.Canonical()).Public()
				if !h.Owns(cast.Archive) {
					authority = h.Outside.SMIME.Own
				}
			}
			p, err := h.Certified(authority, h.CSI.Address())
			if err != nil {
				return Artefact{}, err
			}
			return c.smime(p)
		}),
	}
}

// smime has somebody sign what answers the challenge.
func (c Challenge) smime(p *mailca.Person) (Artefact, error) {
	raw, err := p.Sign(smime.Content(c.response(), c.holder.ID().String()))
	return Artefact{Raw: raw, Seen: sha256.Sum256(p.Certificate.RawSubjectPublicKeyInfo)}, err
}

// judgeSMIME is what an honest prover makes of a signature.
func judgeSMIME(h *Hand, by cast.Party, c Challenge, raw []byte) (prover.Finding, error) {
	s := h.Outside.SMIME
	m := bysmime.Method(bysmime.Config{
		Snapshot: func() *registry.Snapshot { return h.Registry }, Authorities: []*x509.Certificate{s.Authority.Certificate, s.Own.Certificate},
		Lists: func() ([][]byte, error) {
			list, err := s.Authority.List()
			return [][]byte{list}, err
		},
	})
	return h.judge(m, by, possession.SMIME, possession.SMIMEWitness, c, raw)
}
