package mail

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"whither/internal/dkim"
)

// always lists the fields that must be there, once and signed.
var always = []string{"From", "To", "Subject", "Date", "Message-ID"}

// ifPresent lists the other fields of RFC 8823 section 3.2: none of them must
// be there, but what is there is there once and signed.
var ifPresent = []string{
	"Sender", "Reply-To", "CC", "In-Reply-To", "References", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
}

// Verify checks a raw reply, as the prover received it, against want. record
// returns the TXT records at selector._domainkey.domain, each with its strings
// joined; it is called at most MaxSignatures times, after everything else has
// been found in order, and only for the domain of want.Address.
func Verify(raw []byte, want Want, record func(domain, selector string) ([]string, error)) (Report, error) {
	if !want.valid() || record == nil {
		return Report{}, ErrWant
	}
	m, err := parse(raw)
	if err != nil {
		return Report{}, err
	}
	for _, check := range []func(*dkim.Message, Want) error{checkPeople, checkOnce, checkPersonal, checkSubject, checkContent} {
		if err := check(m, want); err != nil {
			return Report{}, err
		}
	}
	report, err := checkSignatures(m, want, record)
	if err != nil {
		return Report{}, err
	}
	report.ArtefactDigest = sha256.Sum256(raw)
	return report, nil
}

// SubjectToken returns part 1 of the token in a reply's subject, so that the
// prover finds the challenge that it answers. Nothing else is checked.
func SubjectToken(raw []byte) (string, error) {
	m, err := parse(raw)
	if err != nil {
		return "", err
	}
	return subjectToken(m)
}

func (w Want) valid() bool {
	return validAddress(w.Address) && validAddress(w.ReplyTo) && validToken(w.Part1) && validFingerprint(w.Fingerprint) &&
		w.Response != [sha256.Size]byte{} && !w.Now.IsZero()
}

// validFingerprint accepts one printable word of ASCII.
func validFingerprint(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func parse(raw []byte) (*dkim.Message, error) {
	if len(raw) > MaxSize {
		return nil, ErrTooLarge
	}
	m, err := dkim.ParseMessage(raw)
	if err != nil {
		return nil, translate(err)
	}
	return m, nil
}

// checkPeople checks who wrote to whom.
func checkPeople(m *dkim.Message, want Want) error {
	from, err := mailboxes(m, "From")
	if err != nil {
		return err
	}
	if len(from) != 1 {
		return ErrSecondFrom
	}
	if from[0] != want.Address {
		return ErrWrongSender
	}
	sender, err := mailboxes(m, "Sender")
	if err != nil {
		return err
	}
	for _, s := range sender {
		if s != want.Address {
			return fmt.Errorf("%w: Sender", ErrWrongSender)
		}
	}
	to, err := mailboxes(m, "To")
	if err != nil {
		return err
	}
	if len(to) != 1 || to[0] != want.ReplyTo {
		return ErrWrongRecipient
	}
	return nil
}

// mailboxes returns the addresses of all the fields of that name.
func mailboxes(m *dkim.Message, name string) ([]string, error) {
	var found []string
	for _, f := range m.All(name) {
		these, err := parseMailboxes(f.Value())
		if err != nil {
			return nil, fmt.Errorf("%w: address in %s", err, name)
		}
		found = append(found, these...)
	}
	return found, nil
}

// checkOnce checks that no reader can take another field of the same name than
// the one that was signed.
func checkOnce(m *dkim.Message, _ Want) error {
	for _, name := range always {
		if f := m.All(name); len(f) != 1 || f[0].Value() == "" {
			return fmt.Errorf("%w: %s", ErrRepeatedHeader, name)
		}
	}
	for _, name := range ifPresent {
		if len(m.All(name)) > 1 {
			return fmt.Errorf("%w: %s", ErrRepeatedHeader, name)
		}
	}
	return nil
}

// checkPersonal refuses what no person sent: RFC 3834 automatic answers, lists
// (RFC 8823 section 3.2), and the older marks of both. A receipt or a bounce
// quotes the challenge and may be signed by the right domain.
func checkPersonal(m *dkim.Message, _ Want) error {
	for _, f := range m.Fields {
		value := lowerASCII(f.Value())
		automatic := false
		switch name := lowerASCII(f.Name); {
		case strings.HasPrefix(name, "list-"):
			automatic = true
		case name == "auto-submitted":
			automatic = value != "no"
		case name == "precedence":
			automatic = value == "bulk" || value == "list" || value == "junk" || value == "auto_reply"
		case name == "return-path":
			automatic = value == "<>"
		case name == "x-autoreply", name == "x-autorespond":
			automatic = value != "no"
		}
		if automatic {
			return ErrAutomatic
		}
	}
	return nil
}

const subjectPrefix = "Whither: "

// replyPrefixes are what mail programs of many languages put before the subject
// of a reply, once or more: "Re: ", "AW: ", "Re[2]: ".
var replyPrefixes = regexp.MustCompile(`^(?i:(re|r|aw|antw|sv|vs|rif|odp|ynt|bls)(\[[0-9]{1,3}\])? ?: ?)*`)

func checkSubject(m *dkim.Message, want Want) error {
	token, err := subjectToken(m)
	if err != nil {
		return err
	}
	if token != want.Part1 {
		return ErrWrongToken
	}
	return nil
}

func subjectToken(m *dkim.Message) (string, error) {
	f := m.All("Subject")
	if len(f) != 1 {
		return "", fmt.Errorf("%w: Subject", ErrRepeatedHeader)
	}
	subject := strings.Join(strings.Fields(f[0].Value()), " ")
	token, ok := strings.CutPrefix(replyPrefixes.ReplaceAllString(subject, ""), subjectPrefix)
	if !ok || !validToken(token) {
		return "", ErrWrongToken
	}
	return token, nil
}

// checkSignatures looks for one good signature by the author's own domain.
// Signatures of others (lists, forwarders, providers' second ones) neither help
// nor harm; without a good one, the reason is that of the first aligned one.
func checkSignatures(m *dkim.Message, want Want, record func(domain, selector string) ([]string, error)) (Report, error) {
	fields := m.All(dkim.SignatureField)
	if len(fields) == 0 {
		return Report{}, ErrNoSignature
	}
	if len(fields) > MaxSignatures {
		return Report{}, ErrTooManySignatures
	}
	var reason error
	for _, f := range fields {
		report, err := checkSignature(m, f, want, record)
		if err == nil {
			return report, nil
		}
		if reason == nil || errors.Is(reason, ErrMisaligned) {
			reason = err
		}
	}
	return Report{}, reason
}

func checkSignature(m *dkim.Message, f dkim.Field, want Want, record func(domain, selector string) ([]string, error)) (Report, error) {
	s, err := dkim.ParseSignature(f)
	if err != nil {
		return Report{}, translate(err)
	}
	_, domain, _ := strings.Cut(want.Address, "@")
	if s.Domain != domain {
		return Report{}, ErrMisaligned
	}
	if err := checkCovered(m, s); err != nil {
		return Report{}, err
	}
	if !s.Expires.IsZero() && want.Now.After(s.Expires) {
		return Report{}, ErrExpired
	}
	if s.Time.After(want.Now.Add(MaxSkew)) {
		return Report{}, ErrFuture
	}
	txt, err := record(s.Domain, s.Selector)
	if err != nil {
		return Report{}, lookupError{err}
	}
	k, err := dkim.ParseKey(txt)
	if err != nil {
		return Report{}, translate(err)
	}
	if err := s.Verify(m, k); err != nil {
		return Report{}, translate(err)
	}
	return Report{Domain: s.Domain, Selector: s.Selector, KeyDigest: k.Digest(), SignedAt: s.Time}, nil
}

func checkCovered(m *dkim.Message, s *dkim.Signature) error {
	for _, name := range always {
		if !s.Covers(m, name) {
			return fmt.Errorf("%w: %s", ErrUnsignedHeader, name)
		}
	}
	for _, name := range ifPresent {
		if len(m.All(name)) > 0 && !s.Covers(m, name) {
			return fmt.Errorf("%w: %s", ErrUnsignedHeader, name)
		}
	}
	return nil
}

// translate turns an error of package dkim into ours. The texts of both name
// no address.
func translate(err error) error {
	for _, row := range []struct{ theirs, ours error }{
		{dkim.ErrMessage, ErrMalformed},
		{dkim.ErrBodyLength, ErrBodyLength},
		{dkim.ErrAlgorithm, ErrWeakKey},
		{dkim.ErrWeakKey, ErrWeakKey},
		{dkim.ErrKeyRecord, ErrKeyRecord},
		{dkim.ErrUnsigned, ErrUnsignedHeader},
		{dkim.ErrSyntax, ErrBadSignature},
		{dkim.ErrBodyHash, ErrBadSignature},
		{dkim.ErrSignature, ErrBadSignature},
	} {
		if errors.Is(err, row.theirs) {
			return fmt.Errorf("%w: %w", row.ours, err)
		}
	}
	return err
}

// lookupError is an ErrKeyLookup that keeps its cause for errors.Is and As but
// not for the text: a resolver's error quotes the name that was asked for, and
// a personal domain is an address.
type lookupError struct{ cause error }

func (e lookupError) Error() string   { return ErrKeyLookup.Error() }
func (e lookupError) Unwrap() []error { return []error{ErrKeyLookup, e.cause} }
