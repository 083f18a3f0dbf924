package passport

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"time"

	"whither/possession/stir/jose"
	"whither/possession/stir/tnauth"
)

// readClaims reads a payload that is known to be deterministic.
func readClaims(v jose.Value, e Extension) (Claims, error) {
	var c Claims
	var err error
	var iat, orig, dest bool
	for _, m := range v.Members {
		switch {
		case m.Name == "iat":
			iat, err = true, c.readTime(m.Value)
		case m.Name == "orig":
			orig, err = true, c.readOrigin(m.Value)
		case m.Name == "dest":
			dest, err = true, c.readDestinations(m.Value)
		case m.Name == "mky":
			err = c.readMediaKeys(m.Value)
		case m.Name == "attest":
			err = readText(m.Value, &c.Attest, ErrAttestation)
		case m.Name == "origid":
			err = readText(m.Value, &c.OrigID, ErrAttestation)
		case m.Name == "msgi" && e == Message: // of others it is ignored, RFC 9475 section 3.2
			err = readText(m.Value, &c.MessageHash, ErrMessageHash)
		default:
			c.Other = append(c.Other, m)
		}
		if err != nil {
			return Claims{}, err
		}
	}
	switch {
	case !iat:
		return Claims{}, ErrTime
	case !orig:
		return Claims{}, ErrOrigin
	case !dest:
		return Claims{}, ErrDestination
	}
	return c, c.checkAttestation(e)
}

func readText(v jose.Value, out *string, fault error) error {
	if v.Kind != jose.String || v.Text == "" {
		return fault
	}
	*out = v.Text
	return nil
}

func (c *Claims) readTime(v jose.Value) error {
	if v.Kind != jose.Integer || v.Int <= 0 || v.Int > maxTime {
		return ErrTime
	}
	c.IssuedAt = time.Unix(v.Int, 0).UTC()
	return nil
}

func (c *Claims) readOrigin(v jose.Value) error {
	if v.Kind != jose.Object || len(v.Members) != 1 {
		return ErrOrigin
	}
	m := v.Members[0]
	out, check := &c.Orig.TN, checkNumber
	switch m.Name {
	case "tn":
	case "uri":
		out, check = &c.Orig.URI, checkURI
	default:
		return ErrOrigin
	}
	if err := readText(m.Value, out, ErrOrigin); err != nil {
		return err
	}
	return check(*out)
}

func (c *Claims) readDestinations(v jose.Value) error {
	if v.Kind != jose.Object || len(v.Members) == 0 {
		return ErrDestination
	}
	for _, m := range v.Members {
		var out *[]string
		check := checkNumber
		switch m.Name {
		case "tn":
			out = &c.Dest.TN
		case "uri":
			out, check = &c.Dest.URI, checkURI
		default:
			return ErrDestination
		}
		if m.Value.Kind != jose.Array || len(m.Value.List) == 0 || len(m.Value.List) > MaxDestinations {
			return ErrDestination
		}
		for i, e := range m.Value.List {
			if e.Kind != jose.String || i > 0 && e.Text <= (*out)[i-1] {
				return ErrDestination
			}
			if err := check(e.Text); err != nil {
				return err
			}
			*out = append(*out, e.Text)
		}
	}
	return nil
}

func checkNumber(s string) error {
	if !tnauth.ValidNumber(s) {
		return ErrNumber
	}
	return nil
}

func checkURI(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > MaxURI || u.Scheme == "" || len(s) == len(u.Scheme)+1 ||
		strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^{|}`+"`", r) }) {
		return ErrURI
	}
	return nil
}

// hashSize is the size in bytes of a hash that mky may name.
func hashSize(algorithm string) int {
	switch algorithm {
	case "sha-256":
		return sha256.Size
	case "sha-384":
		return sha512.Size384
	case "sha-512":
		return sha512.Size
	}
	return 0
}

func (c *Claims) readMediaKeys(v jose.Value) error {
	if v.Kind != jose.Array || len(v.List) == 0 || len(v.List) > MaxMediaKeys {
		return ErrMediaKey
	}
	for i, e := range v.List {
		algorithm, _ := e.Get("alg")
		digest, _ := e.Get("dig")
		k := MediaKey{algorithm.Text, digest.Text}
		raw, err := hex.DecodeString(k.Digest)
		if err != nil || len(e.Members) != 2 || len(raw) == 0 || len(raw) != hashSize(k.Algorithm) || strings.ToUpper(k.Digest) != k.Digest {
			return ErrMediaKey
		}
		if i > 0 {
			if last := c.MediaKeys[i-1]; k.Algorithm+k.Digest <= last.Algorithm+last.Digest {
				return ErrMediaKey
			}
		}
		c.MediaKeys = append(c.MediaKeys, k)
	}
	return nil
}

// checkAttestation: shaken has both claims; elsewhere what is there is of the
// same form.
func (c Claims) checkAttestation(e Extension) error {
	switch c.Attest {
	case "A", "B", "C":
	case "":
		if e == Shaken {
			return ErrAttestation
		}
	default:
		return ErrAttestation
	}
	if (e == Shaken || c.OrigID != "") && !validUUID(c.OrigID) {
		return ErrAttestation
	}
	return nil
}

// validUUID accepts 8-4-4-4-12 hexadecimal digits (RFC 4122).
func validUUID(s string) bool {
	digits := strings.ReplaceAll(s, "-", "")
	_, err := hex.DecodeString(digits)
	return err == nil && len(s) == 36 && len(digits) == 32 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

// payload returns the claims as JSON; what is empty is left out.
func (c Claims) payload() jose.Value {
	v := jose.Value{Kind: jose.Object}
	add := func(name string, e jose.Value) { v.Members = append(v.Members, jose.Member{Name: name, Value: e}) }
	object := func(name string, e jose.Value) jose.Value {
		return jose.Value{Kind: jose.Object, Members: []jose.Member{{Name: name, Value: e}}}
	}
	add("iat", jose.Number(c.IssuedAt.Unix()))
	if c.Orig.TN != "" {
		add("orig", object("tn", jose.Text(c.Orig.TN)))
	} else {
		add("orig", object("uri", jose.Text(c.Orig.URI)))
	}
	dest := jose.Value{Kind: jose.Object}
	if len(c.Dest.TN) > 0 {
		dest.Members = append(dest.Members, jose.Member{Name: "tn", Value: jose.Texts(c.Dest.TN)})
	}
	if len(c.Dest.URI) > 0 {
		dest.Members = append(dest.Members, jose.Member{Name: "uri", Value: jose.Texts(c.Dest.URI)})
	}
	add("dest", dest)
	if len(c.MediaKeys) > 0 {
		list := jose.Value{Kind: jose.Array}
		for _, k := range c.MediaKeys {
			list.List = append(list.List, jose.Value{Kind: jose.Object, Members: []jose.Member{
				{Name: "alg", Value: jose.Text(k.Algorithm)}, {Name: "dig", Value: jose.Text(k.Digest)},
			}})
		}
		add("mky", list)
	}
	for _, m := range []jose.Member{
		{Name: "attest", Value: jose.Text(c.Attest)},
		{Name: "origid", Value: jose.Text(c.OrigID)},
		{Name: "msgi", Value: jose.Text(c.MessageHash)},
	} {
		if m.Value.Text != "" {
			v.Members = append(v.Members, m)
		}
	}
	v.Members = append(v.Members, c.Other...)
	return v
}

// SHA256Key returns the mky entry for a hash by SHA-256.
func SHA256Key(digest [sha256.Size]byte) MediaKey {
	return MediaKey{"sha-256", strings.ToUpper(hex.EncodeToString(digest[:]))}
}

// HasMediaKey reports whether mky names k.
func (c Claims) HasMediaKey(k MediaKey) bool { return slices.Contains(c.MediaKeys, k) }

// HashMessage returns msgi for a body: the algorithm ("sha256", "sha384" or
// "sha512"), a hyphen, the hash in base64 (RFC 9475 section 3.2).
func HashMessage(algorithm string, body []byte) (string, error) {
	var sum []byte
	switch algorithm {
	case "sha256":
		h := sha256.Sum256(body)
		sum = h[:]
	case "sha384":
		h := sha512.Sum384(body)
		sum = h[:]
	case "sha512":
		h := sha512.Sum512(body)
		sum = h[:]
	default:
		return "", ErrMessageHash
	}
	return algorithm + "-" + base64.StdEncoding.EncodeToString(sum), nil
}

// CheckMessage returns ErrMessageHash unless msgi is there and is the hash of
// the body: all of it, as it came.
func (c Claims) CheckMessage(body []byte) error {
	algorithm, _, _ := strings.Cut(c.MessageHash, "-")
	if want, err := HashMessage(algorithm, body); err != nil || want != c.MessageHash {
		return ErrMessageHash
	}
	return nil
}
