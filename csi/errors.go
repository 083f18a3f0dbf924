package csi

// Reason says why an identifier was refused. Reasons are constants, so
// errors.Is(err, csi.ErrTwoAt) works on what the parsers return. The value is a
// stable name that may travel in problem documents and test vectors; Error
// gives the words for people. Neither ever holds any part of the input.
type Reason string

// The reasons. Each says in its text what to do next.
const (
	ErrScheme       Reason = "scheme"        // no scheme, or one that the table does not know
	ErrOverlong     Reason = "overlong"      // more octets than allowed, in the whole or in a part
	ErrControl      Reason = "control"       // NUL, another control character, a bidi control
	ErrNonASCII     Reason = "non-ascii"     // a look-alike, a full-width digit, broken UTF-8
	ErrEscape       Reason = "escape"        // percent-encoding
	ErrParameter    Reason = "parameter"     // ;ext=, ;phone-context=, ?subject= and their like
	ErrNotGlobal    Reason = "not-global"    // a national or local number, or a trunk prefix "(0)"
	ErrNumber       Reason = "number"        // something in a number that is no digit
	ErrLength       Reason = "length"        // a number with too few or too many digits
	ErrCountryCode  Reason = "country-code"  // a country code that ITU-T E.164 does not assign
	ErrNoAt         Reason = "no-at"         // an address without "@"
	ErrTwoAt        Reason = "two-at"        // an address with more than one "@"
	ErrEmptyLocal   Reason = "empty-local"   // nothing before the "@"
	ErrQuoted       Reason = "quoted"        // a quoted local part
	ErrLocal        Reason = "local"         // a local part that is no dot-atom, or that a URI cannot carry
	ErrDomain       Reason = "domain"        // a domain that is no host name, or that fails IDNA2008
	ErrConfusable   Reason = "confusable"    // a domain label that mixes scripts
	ErrNotCanonical Reason = "not-canonical" // another spelling where only the canonical one is allowed
	ErrRefused      Reason = "refused"       // a scheme outside this package refused, for reasons of its own
)

// Error is the reason in words, with what to do next.
func (r Reason) Error() string {
	if text := r.text(); text != "" {
		return text
	}
	return ErrRefused.text()
}

// text is empty for a Reason that is not in the list above.
func (r Reason) text() string {
	switch r {
	case ErrScheme:
		return "unknown kind of identifier: write tel:+…, mailto:… or acct:…"
	case ErrOverlong:
		return "too long: check for pasted text around the identifier"
	case ErrControl:
		return "contains invisible control characters: type it by hand"
	case ErrNonASCII:
		return "contains characters outside ASCII: type it by hand with plain letters and digits"
	case ErrEscape:
		return "contains percent-encoding: write the character itself"
	case ErrParameter:
		return "contains URI parameters or headers: give the number or address alone"
	case ErrNotGlobal:
		return "not an international number: write + and the country code, and no 0 in brackets"
	case ErrNumber:
		return "contains something that is not a digit: write + and digits"
	case ErrLength:
		return "has the wrong number of digits: give 7 to 15, country code included"
	case ErrCountryCode:
		return "begins with no assigned country code: check the digits after +"
	case ErrNoAt:
		return `has no "@": give a whole address`
	case ErrTwoAt:
		return `has more than one "@": give exactly one address`
	case ErrEmptyLocal:
		return `has nothing before the "@": give a whole address`
	case ErrQuoted:
		return "has a quoted local part, which is not supported: use another address"
	case ErrLocal:
		return `has a part before the "@" that is not supported: check dots and special characters`
	case ErrDomain:
		return "has no valid domain name: check the part after the \"@\""
	case ErrConfusable:
		return "has a domain that mixes alphabets: type it by hand"
	case ErrNotCanonical:
		return "is not in canonical form: parse and write it again"
	case ErrRefused:
		return "refused by the rules of its scheme: check the spelling"
	}
	return ""
}

// Error is what the parsers return: the scheme, if the table knows it, and the
// reason. It holds no part of the input beyond the scheme's name.
type Error struct {
	Scheme Scheme // a name from the table, or empty
	Reason Reason
}

// Error names the scheme and gives the reason in words.
func (e *Error) Error() string {
	if e.Scheme == "" {
		return "csi: " + e.Reason.Error()
	}
	return "csi: " + string(e.Scheme) + ": " + e.Reason.Error()
}

// Unwrap is the reason.
func (e *Error) Unwrap() error { return e.Reason }
