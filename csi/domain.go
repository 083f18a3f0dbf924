package csi

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	maxLabel  = 63  // RFC 1035 §2.3.4
	maxDomain = 253 // RFC 1035 §2.3.4: 255 octets on the wire
)

// canonicalDomain turns a host name into lower-case LDH labels (RFC 5890
// §2.3.2), at least two, without a final dot.
func canonicalDomain(s string) (string, error) {
	name := lowerASCII(s)
	if !ascii(name) || strings.Contains(name, "xn--") {
		var err error
		if name, err = toALabels(name); err != nil {
			return "", err
		}
	}
	if len(name) > maxDomain {
		return "", ErrOverlong
	}
	labels := 0
	last := ""
	for last = range strings.SplitSeq(name, ".") {
		labels++
		if len(last) > maxLabel {
			return "", ErrOverlong
		}
		if !ldhLabel(last) {
			return "", ErrDomain
		}
	}
	// A top-level domain begins with a letter (RFC 1123 §2.1); this also
	// refuses IPv4 addresses in any base.
	if labels < 2 || last[0] < 'a' {
		return "", ErrDomain
	}
	return name, nil
}

// ldhLabel reports whether s is an A-label or a non-reserved LDH label: "--" in
// the third and fourth place is reserved for A-labels (RFC 5890 §2.3.1).
func ldhLabel(s string) bool {
	for _, c := range []byte(s) {
		if !alphanumeric(c) && c != '-' {
			return false
		}
	}
	switch {
	case s == "", s[0] == '-', s[len(s)-1] == '-':
		return false
	case len(s) >= 4 && s[2:4] == "--":
		return strings.HasPrefix(s, "xn--")
	}
	return true
}

// strict is IDNA2008 registration (RFC 5891 §4): no mapping, NFC, hyphens,
// joiners and the Bidi rule. The profile's functions do not change it.
var strict = idna.New(idna.ValidateForRegistration())

// toALabels turns a name with U-labels or A-labels, ASCII letters already
// lower, into A-labels.
//
// Not the mapping of UTS #46: it folds full-width letters, ligatures, ideographic
// full stops and ignorable characters away, differs between Unicode versions
// (U+1E9E), and so guesses. Only what loses nothing is mapped: canonical
// composition, and a capital that comes back when it is raised again.
func toALabels(s string) (string, error) {
	uname := norm.NFC.String(strings.Map(lowerReversible, s))
	name, err := strict.ToASCII(uname)
	if err != nil {
		if longLabel(name) {
			return "", ErrOverlong
		}
		return "", ErrDomain
	}
	// What was ASCII before must be unchanged: another encoding of the same
	// label would be a second spelling.
	in, out := strings.Split(uname, "."), strings.Split(name, ".")
	if len(in) != len(out) {
		return "", ErrDomain
	}
	for i := range in {
		if ascii(in[i]) && in[i] != out[i] {
			return "", ErrDomain
		}
	}
	back, err := strict.ToUnicode(name)
	if err != nil {
		return "", ErrDomain
	}
	for label := range strings.SplitSeq(back, ".") {
		if ascii(label) {
			continue
		}
		runes := []rune(label)
		if !permitted(runes) {
			return "", ErrDomain
		}
		if mixesScripts(runes) {
			return "", ErrConfusable
		}
	}
	return name, nil
}

func longLabel(name string) bool {
	return len(name) > maxDomain ||
		slices.ContainsFunc(strings.Split(name, "."), func(l string) bool { return len(l) > maxLabel })
}

// lowerReversible lowers capitals one to one. The Kelvin and Ångström signs and
// the dotted İ do not come back and stay, for IDNA to refuse.
func lowerReversible(r rune) rune {
	if l := unicode.ToLower(r); unicode.ToUpper(l) == r {
		return l
	}
	return r
}

// permitted applies the parts of RFC 5892 that package idna leaves out: symbols
// and punctuation that UTS #46 allows for old names (its class NV8), old Hangul
// Jamo, and the CONTEXTO rules of appendix A.3–A.9.
func permitted(label []rune) bool {
	for i, r := range label {
		switch {
		case r < 0x80, r == 0x200c, r == 0x200d: // LDH; CONTEXTJ is checked by idna
		case slices.Contains([]rune{0x6fd, 0x6fe, 0xf0b, 0x3007}, r): // §2.6, PVALID by exception
		case slices.Contains([]rune{0xb7, 0x375, 0x5f3, 0x5f4, 0x30fb}, r) || arabicDigit(r) || extendedArabicDigit(r):
			if !contextAllows(label, i) {
				return false
			}
		case r == 0x640, r == 0x7fa, r == 0x302e, r == 0x302f, 0x3031 <= r && r <= 0x3035, r == 0x303b: // §2.6
			return false
		case 0x1100 <= r && r <= 0x11ff, 0xa960 <= r && r <= 0xa97f, 0xd7b0 <= r && r <= 0xd7ff: // §2.9
			return false
		case !unicode.In(r, unicode.L, unicode.Mn, unicode.Mc, unicode.Nd): // §2.1
			return false
		}
	}
	return true
}

func arabicDigit(r rune) bool         { return 0x660 <= r && r <= 0x669 }
func extendedArabicDigit(r rune) bool { return 0x6f0 <= r && r <= 0x6f9 }

// contextAllows is RFC 5892 appendix A.3 to A.9 for the rune at i.
func contextAllows(label []rune, i int) bool {
	at := func(j int) rune {
		if j < 0 || j >= len(label) {
			return -1
		}
		return label[j]
	}
	switch r := label[i]; {
	case r == 0xb7: // MIDDLE DOT: between two l
		return at(i-1) == 'l' && at(i+1) == 'l'
	case r == 0x375: // GREEK KERAIA: before Greek
		return unicode.Is(unicode.Greek, at(i+1))
	case r == 0x5f3, r == 0x5f4: // HEBREW GERESH, GERSHAYIM: after Hebrew
		return unicode.Is(unicode.Hebrew, at(i-1))
	case r == 0x30fb: // KATAKANA MIDDLE DOT: with Japanese
		return slices.ContainsFunc(label, func(r rune) bool {
			return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han)
		})
	case arabicDigit(r): // no mixture with the extended digits
		return !slices.ContainsFunc(label, extendedArabicDigit)
	default:
		return !slices.ContainsFunc(label, arabicDigit)
	}
}

// together lists the scripts that one label may mix: the "highly restrictive"
// level of UTS #39 §5.2. All other labels keep to one script, so that a Cyrillic
// letter cannot hide among Latin ones.
var together = [...][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

func mixesScripts(label []rune) bool {
	var scripts []*unicode.RangeTable
	for _, r := range label {
		if unicode.In(r, unicode.Common, unicode.Inherited) || unicode.In(r, scripts...) {
			continue
		}
		for _, table := range unicode.Scripts {
			if unicode.Is(table, r) {
				scripts = append(scripts, table)
				break
			}
		}
	}
	if len(scripts) <= 1 {
		return false
	}
	for _, allowed := range together {
		if !slices.ContainsFunc(scripts, func(t *unicode.RangeTable) bool { return !slices.Contains(allowed, t) }) {
			return false
		}
	}
	return true
}
