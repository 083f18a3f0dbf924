package doctor

import (
	"bytes"
	"crypto/sha256"
	"time"

	"whither/internal/keyfile"
	"whither/internal/prover/daemon"
	"whither/registry"
)

// telephone looks at a prover's part in the telephone world: roots that count,
// and the certificate for SIP.
func (r *Report) telephone(s subject, t daemon.Settings, reg *registry.Snapshot, now time.Time) {
	if t.STIR.Roots == "" {
		if reg != nil && len(reg.Policy().Evidence.Carriers) > 0 {
			r.warn("stir", "fill in [stir], or leave what carriers sign to other provers", "the federation takes the word of carriers, and this prover judges none")
		}
		return
	}
	roots, err := keyfile.Certificates(s.in(t.STIR.Roots))
	if err != nil {
		r.wrong("stir", "put the roots of carriers' certificates, in PEM, where stir.roots says", "%v", err)
		return
	}
	if t.SIP.ListenTLS != "" {
		if _, err := keyfile.Certificate(s.in(t.SIP.Certificate), s.in(t.SIP.CertificateKey)); err != nil {
			r.wrong("sip certificate", "put a certificate for the name of sip.host, and its key, where the settings say", "%v", err)
		}
	}
	if reg == nil {
		return
	}
	counted := 0
	for _, root := range roots {
		digest := sha256.Sum256(root.Raw)
		for _, a := range append(reg.Policy().Evidence.Carriers, reg.Policy().Evidence.Authorities...) {
			if !bytes.Equal(a.Digest, digest[:]) {
				continue
			}
			counted++
			if now.After(root.NotAfter) {
				r.warn("stir", "ask the federation for the next root", "a root has run out; what is signed under it does not count")
			}
		}
	}
	if counted == 0 {
		r.wrong("stir", "have the federation name these roots, or take those that it names", "the registry names none of the %d roots", len(roots))
		return
	}
	r.ok("stir", "the registry names %d of %d roots", counted, len(roots))
}
