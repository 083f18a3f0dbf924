package smime

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"

	"whither/registry"
)

// RootsOf returns those of the given authorities that the federation's registry
// names. Others are passed over: the registry can take one back while provers
// still have its file.
func RootsOf(s *registry.Snapshot, roots []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range roots {
		digest := sha256.Sum256(c.Raw)
		for _, a := range s.Policy().Evidence.Mail {
			if bytes.Equal(a.Digest, digest[:]) {
				out = append(out, c)
			}
		}
	}
	return out
}
