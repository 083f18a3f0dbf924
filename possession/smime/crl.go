package smime

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"
)

// Bounds of revocation lists.
const (
	maxCRLs = 64
	maxCRL  = 16 << 20
)

// CRLs returns a [Want.Status] that knows what the given revocation lists say
// (RFC 5280 section 5, in DER) at time now. A certificate is good if a list that
// its issuer signed, that is current at now, does not name it; without such a
// list its status is unknown. Lists with critical extensions, so partial,
// indirect and delta ones, are lists about something else.
func CRLs(now time.Time, lists ...[]byte) (func(certificate, issuer *x509.Certificate) error, error) {
	if len(lists) > maxCRLs {
		return nil, fmt.Errorf("%w: more than %d lists", ErrStatus, maxCRLs)
	}
	var current []*x509.RevocationList
	for _, der := range lists {
		if len(der) > maxCRL {
			return nil, fmt.Errorf("%w: list too large", ErrStatus)
		}
		l, err := x509.ParseRevocationList(der)
		if err != nil || len(l.Raw) != len(der) { // the parser lets bytes after it pass
			return nil, fmt.Errorf("%w: malformed list", ErrStatus)
		}
		if usable(l, now) {
			current = append(current, l)
		}
	}
	return func(certificate, issuer *x509.Certificate) error {
		status := ErrStatus
		for _, l := range current {
			if !bytes.Equal(l.RawIssuer, certificate.RawIssuer) || l.CheckSignatureFrom(issuer) != nil {
				continue
			}
			status = nil
			for _, e := range l.RevokedCertificateEntries {
				if e.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
					return ErrRevoked
				}
			}
		}
		return status
	}, nil
}

func usable(l *x509.RevocationList, now time.Time) bool {
	for _, e := range l.Extensions {
		if e.Critical {
			return false
		}
	}
	strong := l.SignatureAlgorithm != x509.SHA1WithRSA && l.SignatureAlgorithm != x509.ECDSAWithSHA1
	return strong && !l.ThisUpdate.After(now.Add(MaxSkew)) && now.Before(l.NextUpdate)
}
