package dkim

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signature is a parsed DKIM-Signature field.
type Signature struct {
	Domain   string    // d=, lower case
	Selector string    // s=, lower case
	KeyType  string    // "rsa" or "ed25519"
	Signed   []string  // h=, lower case, in its order
	Time     time.Time // t=, zero if absent
	Expires  time.Time // x=, zero if absent

	agent        string // domain of i=, lower case; d= if absent
	header, body Canonical
	bodyHash     []byte
	value        []byte
	unsigned     string // the field with the value of b= deleted
}

// ParseSignature reads one DKIM-Signature field (RFC 6376 section 3.5). Every
// refusal but ErrBodyLength, ErrAlgorithm and ErrUnsigned is an ErrSyntax.
func ParseSignature(f Field) (*Signature, error) {
	if !f.Is(SignatureField) {
		return nil, fmt.Errorf("%w: another field", ErrSyntax)
	}
	text := f.raw[len(f.Name)+1:]
	tags, err := parseTags(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if value, ok := tags.get(name); !ok || value == "" {
			return nil, fmt.Errorf("%w: %s= absent or empty", ErrSyntax, name)
		}
	}
	if v, _ := tags.get("v"); v != "1" {
		return nil, fmt.Errorf("%w: version", ErrSyntax)
	}
	if _, ok := tags.get("l"); ok {
		return nil, ErrBodyLength
	}
	if q := tags.list("q"); q != nil && !slices.Contains(q, "dns/txt") {
		return nil, fmt.Errorf("%w: key not in DNS", ErrSyntax)
	}
	s := new(Signature)
	for _, read := range []func(tagList) error{s.readAlgorithm, s.readNames, s.readSigned, s.readCanonical, s.readValues, s.readTimes} {
		if err := read(tags); err != nil {
			return nil, err
		}
	}
	from, to := tags.span("b")
	s.unsigned = f.Name + ":" + text[:from] + text[to:]
	return s, nil
}

func (s *Signature) readAlgorithm(tags tagList) error {
	switch a, _ := tags.get("a"); a {
	case "rsa-sha256":
		s.KeyType = "rsa"
	case "ed25519-sha256":
		s.KeyType = "ed25519"
	default:
		return ErrAlgorithm
	}
	return nil
}

func (s *Signature) readNames(tags tagList) error {
	d, _ := tags.get("d")
	selector, _ := tags.get("s")
	s.Domain, s.Selector, s.agent = lower(d), lower(selector), lower(d)
	if !ValidDomain(s.Domain) || !validName(s.Selector) {
		return fmt.Errorf("%w: d= or s= is no name", ErrSyntax)
	}
	if i, ok := tags.get("i"); ok {
		s.agent = lower(i[strings.LastIndexByte(i, '@')+1:])
		if !strings.Contains(i, "@") || s.agent != s.Domain && !strings.HasSuffix(s.agent, "."+s.Domain) {
			return fmt.Errorf("%w: i= outside d=", ErrSyntax)
		}
	}
	return nil
}

func (s *Signature) readSigned(tags tagList) error {
	s.Signed = tags.list("h")
	if len(s.Signed) > MaxSigned {
		return fmt.Errorf("%w: h= too long", ErrSyntax)
	}
	for i, name := range s.Signed {
		if name == "" || strings.ContainsAny(name, " \t\r\n") {
			return fmt.Errorf("%w: h= has what is no name", ErrSyntax)
		}
		s.Signed[i] = lower(name)
	}
	if !slices.Contains(s.Signed, "from") {
		return ErrUnsigned
	}
	return nil
}

func (s *Signature) readCanonical(tags tagList) error {
	s.header, s.body = Simple, Simple
	if c, ok := tags.get("c"); ok {
		header, body, both := strings.Cut(c, "/")
		s.header = Canonical(header)
		if both {
			s.body = Canonical(body)
		}
	}
	if !s.header.valid() || !s.body.valid() {
		return fmt.Errorf("%w: unknown canonicalization", ErrSyntax)
	}
	return nil
}

func (s *Signature) readValues(tags tagList) error {
	bh, _ := tags.get("bh")
	b, _ := tags.get("b")
	var err error
	if s.bodyHash, err = decodeBase64(bh); err != nil || len(s.bodyHash) != sha256.Size {
		return fmt.Errorf("%w: bh= is no SHA-256 hash", ErrSyntax)
	}
	if s.value, err = decodeBase64(b); err != nil {
		return fmt.Errorf("%w: b= is not base64", ErrSyntax)
	}
	return nil
}

func (s *Signature) readTimes(tags tagList) error {
	for name, field := range map[string]*time.Time{"t": &s.Time, "x": &s.Expires} {
		text, ok := tags.get(name)
		if !ok {
			continue
		}
		seconds, err := strconv.ParseUint(text, 10, 64)
		if err != nil || seconds == 0 || seconds > maxTime {
			return fmt.Errorf("%w: %s= is no time", ErrSyntax, name)
		}
		*field = time.Unix(int64(seconds), 0).UTC()
	}
	if !s.Time.IsZero() && !s.Expires.IsZero() && !s.Expires.After(s.Time) {
		return fmt.Errorf("%w: expires before it was made", ErrSyntax)
	}
	return nil
}

// Covers reports whether the signature covers every field of that name in m,
// and that there is at least one.
func (s *Signature) Covers(m *Message, name string) bool {
	listed := 0
	for _, signed := range s.Signed {
		if signed == lower(name) {
			listed++
		}
	}
	present := len(m.All(name))
	return present > 0 && listed >= present
}

// Verify checks that the key signed the body and the listed fields of m.
func (s *Signature) Verify(m *Message, k Key) error {
	if k.Type() != s.KeyType {
		return fmt.Errorf("%w: key is of another type than the signature", ErrKeyRecord)
	}
	if k.strict && s.agent != s.Domain {
		return fmt.Errorf("%w: record does not allow a subdomain in i=", ErrKeyRecord)
	}
	bodyHash := sha256.Sum256(s.body.body(m.Body))
	if subtle.ConstantTimeCompare(bodyHash[:], s.bodyHash) != 1 {
		return ErrBodyHash
	}
	return k.verify(s.headerHash(m), s.value)
}

// headerHash hashes the fields named in h=, each name taken from the bottom of
// the header upwards, and then the signature's own field without its value
// (RFC 6376 sections 3.7 and 5.4.2). A name without a field adds nothing.
func (s *Signature) headerHash(m *Message) [sha256.Size]byte {
	below := make(map[string][]Field) // not yet taken, by lower-case name
	for _, f := range m.Fields {
		below[lower(f.Name)] = append(below[lower(f.Name)], f)
	}
	h := sha256.New()
	for _, name := range s.Signed {
		left := below[name]
		if len(left) == 0 {
			continue
		}
		h.Write([]byte(s.header.header(left[len(left)-1].raw) + "\r\n"))
		below[name] = left[:len(left)-1]
	}
	h.Write([]byte(s.header.header(s.unsigned)))
	return [sha256.Size]byte(h.Sum(nil))
}
