package csi

import "strings"

const (
	maxLocal   = 64  // RFC 5321 §4.5.3.1.1
	maxAddress = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
)

// canonicalAddress reads the part of a mailto URI after the colon: one address,
// no headers, no percent-encoding. The part of an acct URI is read by the same
// rules, a subset of RFC 7565 section 7 in which nothing has two spellings.
//
// The local part is lower-cased: RFC 5321 §2.4 lets hosts tell case apart, but
// none of size does, and two spellings of one mailbox must not be two people.
// Dots and "+" stay: only the mail provider knows what they mean.
func canonicalAddress(s string) (string, error) {
	local, domain, at := strings.Cut(s, "@")
	switch {
	case !ascii(local):
		return "", ErrNonASCII
	case strings.Contains(s, `"`):
		return "", ErrQuoted // before "@" is counted: it may stand inside the quotes
	case strings.Contains(s, "%"):
		return "", ErrEscape
	case strings.Contains(s, "?"):
		return "", ErrParameter
	case !at:
		return "", ErrNoAt
	case strings.Contains(domain, "@"):
		return "", ErrTwoAt
	case local == "":
		return "", ErrEmptyLocal
	case len(local) > maxLocal:
		return "", ErrOverlong
	case !dotAtom(local):
		return "", ErrLocal
	}
	name, err := canonicalDomain(domain)
	if err != nil {
		return "", err
	}
	if len(local)+len("@")+len(name) > maxAddress {
		return "", ErrOverlong
	}
	if lower := lowerASCII(local); lower != local || name != domain {
		return lower + "@" + name, nil
	}
	return s, nil
}

// dotAtom reports whether s is a dot-string (RFC 5321 §4.1.2) of characters
// that stand for themselves in a mailto URI (RFC 6068 §2). The other eleven
// (# % & / = ? ^ ` { | }) would need percent-encoding, and with it a second
// spelling; they are refused until somebody needs them.
func dotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, c := range []byte(atom) {
			if !alphanumeric(c) && strings.IndexByte("!$'*+-_~", c) < 0 {
				return false
			}
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// Address is the mail address in clear (RFC 5321 Mailbox). Empty if id is none.
func (id ID) Address() string { return id.part(Mailto) }

// Domain is the mail domain in clear, in A-labels. Empty if id is no mail address.
func (id ID) Domain() string {
	_, domain, _ := strings.Cut(id.part(Mailto), "@")
	return domain
}
