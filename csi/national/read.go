package national

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxShort is the length of the longest short codes that plans list.
	maxShort = 6
	// maxDigits is 15 digits of a number, and the longest prefix for calls abroad
	// that people write in front of one.
	maxDigits = 24
)

// written is a number as somebody wrote it: digits, and whether "+" is in front.
type written struct {
	plus   bool
	digits string
}

// zeros has the zero of each script whose digits people type on their own
// keyboards. Address books hold such numbers. Packages below take ASCII only;
// here each digit becomes the ASCII one of the same value. One number has digits
// of one script: ৪ is a Bengali four that looks like an eight, and nobody who
// reads Bengali digits is deceived by a number that is Bengali throughout.
const zeros = "0" + // ASCII
	"\u0660\u06f0" + // Arabic, Persian and Urdu
	"\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66" + // Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Tamil, Telugu, Kannada, Malayalam
	"\u0e50\u0ed0\u0f20\u1040\u17e0\u1810" + // Thai, Lao, Tibetan, Myanmar, Khmer, Mongolian
	"\uff10" // full width

// separators are dropped: blanks, and the hyphens, dots, brackets and dashes of
// Western and East Asian keyboards (U+30FC is where a Japanese one has its dash).
const separators = " \t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u3000" +
	"-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d" +
	".\u00b7\uff0e" + "()\uff08\uff09[]\uff3b\uff3d"

// invisible signs that come along when a number is copied, and change nothing:
// soft hyphen, zero-width blank, word joiner, byte order mark; and the controls
// that keep a number from left to right, with which address books wrap it.
const invisible = "\u00ad\u200b\u2060\ufeff" + "\u200e\u202a\u202d\u202c\u2066\u2068\u2069"

// turning are the controls that show digits in another order than they stand.
const turning = "\u200f\u061c\u202b\u202e\u2067"

// read takes a number's text apart without knowing any plan.
func read(text string) (written, Reason) {
	if len(text) > MaxInput {
		return written{}, ErrOverlong
	}
	w, zero, slash := written{}, rune(0), -1
	digits := make([]byte, 0, maxDigits)
	for i, r := range text {
		if z, value := digit(r); z != 0 {
			switch {
			case zero != 0 && zero != z:
				return written{}, ErrMixedDigits
			case len(digits) == maxDigits:
				return written{}, ErrLength
			}
			zero, digits = z, append(digits, '0'+value)
			continue
		}
		switch {
		case r == '+' || r == '\uff0b':
			if w.plus || len(digits) > 0 {
				return written{}, ErrSeveral
			}
			w.plus = true
		case r == '/' || r == '\uff0f':
			if slash >= 0 {
				return written{}, ErrSeveral
			}
			slash = len(digits)
		case strings.ContainsRune(separators, r), r != utf8.RuneError && strings.ContainsRune(invisible, r):
		default:
			return written{}, refuse(r, text[i:], len(digits))
		}
	}
	w.digits = string(digits)
	switch {
	case len(digits) == 0:
		return written{}, ErrEmpty
	case slash >= 0 && !areaSlash(w, slash):
		return written{}, ErrSeveral
	}
	return w, ""
}

// digit gives the zero of a digit's script and its value; zero 0: no digit.
func digit(r rune) (zero rune, value byte) {
	for _, z := range zeros {
		if z <= r && r <= z+9 {
			return z, byte(r - z)
		}
	}
	return 0, 0
}

// refuse says why a number cannot hold r, with which rest begins and which comes
// after so many digits.
func refuse(r rune, rest string, digits int) Reason {
	switch {
	case strings.ContainsRune(turning, r):
		return ErrDirection
	case digits > 0 && isExtension(rest):
		return ErrExtension
	case r == '*' || r == '#':
		return ErrServiceCode
	case r == '\n' || r == '\r' || r == '|' || r == '&':
		return ErrSeveral
	case r != utf8.RuneError && unicode.IsLetter(r):
		return ErrLetters
	default:
		return ErrCharacter
	}
}

// isExtension tells whether what follows a number says what to dial after it.
// Words are those that people write in Western Europe and in Russia.
func isExtension(rest string) bool {
	rest = strings.ToLower(rest)
	if strings.ContainsRune("#,;", rune(rest[0])) {
		return true
	}
	letters := strings.IndexFunc(rest, func(r rune) bool { return !unicode.IsLetter(r) })
	if letters < 0 {
		return false
	}
	switch rest[:letters] {
	case "x", "ex", "ext", "extn", "extension", "p", "w", "t", "int", "interno", "poste", "dw", "durchwahl", "app", "доб":
		return strings.ContainsAny(rest, "0123456789")
	}
	return false
}

// areaSlash tells whether the one slash of a number stands behind an area code
// ("030/123456"), and not between two numbers ("044 123 45 67/68"), which joined
// would be possible where plans have numbers of many lengths.
func areaSlash(w written, slash int) bool {
	longest := len("033201")
	if w.plus || strings.HasPrefix(w.digits, "00") {
		longest = len("004933201")
	}
	return slash <= longest && len(w.digits)-slash >= 4
}
