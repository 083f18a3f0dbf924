package contacts

import (
	"slices"
	"strings"

	"whither/csi"
	"whither/csi/national"
)

// Identifier reads one identifier as a person writes it: a URI of a scheme that
// csi knows ("tel:+41791234567", "mailto:bob@example.org"), a mail address, alone
// or in angle brackets behind a name, or a telephone number, which without "+"
// is read as written for region. What does not say what it is, is a number.
//
// The error is a [national.Reason] or a csi.Error; it holds nothing of text.
func Identifier(text string, region national.Region) (csi.ID, error) {
	text = strings.TrimSpace(text)
	head, rest, colon := strings.Cut(text, ":")
	scheme := csi.Scheme(strings.ToLower(head))
	switch {
	case colon && slices.Contains(csi.Default().Schemes(), scheme):
		id, err := csi.Parse(text)
		if err == nil || scheme != csi.Tel {
			return id, err
		}
		// Address books write numbers for people behind "tel:" too.
		return national.Parse(rest, region)
	case strings.Contains(text, "@"):
		return csi.Parse(string(csi.Mailto) + ":" + addressIn(text))
	default:
		return national.Parse(text, region)
	}
}

// addressIn takes the address out of "Bob <bob@example.org>".
func addressIn(s string) string {
	if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
		return s[open+1 : len(s)-1]
	}
	return s
}
