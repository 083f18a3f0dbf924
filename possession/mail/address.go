package mail

import (
	"strings"

	"whither/internal/dkim"
)

// maxLocal and maxAddress are the bounds of RFC 5321 section 4.5.3.1.
const (
	maxLocal   = 64
	maxAddress = 254
)

// lowerASCII lower-cases ASCII only, as a canonical address is.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// validAddress accepts a canonical addr-spec: a dot-atom in lower case, "@",
// and a domain in lower case. Quoted local parts and address literals, legal
// elsewhere, are not.
func validAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > maxAddress || local == "" || len(local) > maxLocal || s != lowerASCII(s) {
		return false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, notAtext) {
			return false
		}
	}
	return dkim.ValidDomain(domain)
}

func isAtext(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func notAtext(r rune) bool { return !isAtext(r) }

// parseMailboxes reads the value of From, To or Sender: mailboxes separated by
// commas, each an addr-spec or a display name and an addr-spec in angle
// brackets, and returns the addresses in lower case. Comments, groups, routes
// and the obsolete forms of RFC 5322 section 4.4 are refused, except dots in a
// display name, which many programs write: two readers of such forms may see
// two different authors.
func parseMailboxes(value string) ([]string, error) {
	var found []string
	for _, part := range splitOutsideQuotes(value) {
		address, ok := parseMailbox(part)
		if !ok {
			return nil, ErrMalformed
		}
		found = append(found, address)
	}
	return found, nil
}

func splitOutsideQuotes(s string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func parseMailbox(s string) (string, bool) {
	s = strings.Trim(s, " \t")
	if strings.HasSuffix(s, ">") {
		open := strings.LastIndexByte(s, '<')
		if open < 0 || !validName(s[:open]) {
			return "", false
		}
		s = s[open+1 : len(s)-1]
	}
	s = lowerASCII(s)
	return s, validAddress(s)
}

// validName accepts a display name: atoms, with dots, and quoted strings,
// apart by white space. It may be empty.
func validName(s string) bool {
	for s = strings.Trim(s, " \t"); s != ""; s = strings.Trim(s, " \t") {
		n := 0
		if s[0] == '"' {
			n = quotedLen(s)
		} else {
			for n < len(s) && (isAtext(rune(s[n])) || s[n] == '.') {
				n++
			}
		}
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// quotedLen returns the length of the quoted string that s begins with, 0 if
// it does not end.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
