package passport

import (
	"fmt"
	"io"
	"strings"

	"whither/possession/stir/jose"
)

// Bounds of the header field.
const (
	MaxIdentity   = jose.MaxToken + 2048 // bytes of the value
	MaxIdentities = 8                    // fields in a request
)

// Identity is the value of a SIP header field Identity (RFC 8224 section 4):
//
//	Identity             = signed-identity-digest SEMI ident-info *( SEMI ident-info-params )
//	signed-identity-digest = 1*(base64-char / ".")
//	ident-info           = "info" EQUAL LAQUOT absoluteURI RAQUOT
//	ident-info-params    = ("alg" EQUAL token) / ("ppt" EQUAL token) / generic-param
//
// ppt is also read in quotes, as SHAKEN writes it.
type Identity struct {
	Token string // full or compact form
	Info  string // URL of the certificates
	Alg   string // empty if absent, which means ES256
	PPT   string // empty if absent
}

// ParseIdentity reads the value of one header field, unfolded.
func ParseIdentity(value string) (Identity, error) {
	if len(value) > MaxIdentity {
		return Identity{}, fmt.Errorf("%w: too large", ErrIdentity)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r != '\t' && r < ' ' || r > '~' }) {
		return Identity{}, fmt.Errorf("%w: a byte outside printable ASCII", ErrIdentity)
	}
	parts := splitParams(value)
	id := Identity{Token: parts[0]}
	if id.Token == "" || strings.Trim(id.Token, base64URL+".") != "" {
		return Identity{}, fmt.Errorf("%w: no token", ErrIdentity)
	}
	seen := make(map[string]bool)
	for _, p := range parts[1:] {
		name, content, _ := strings.Cut(p, "=")
		name, content = strings.ToLower(trim(name)), trim(content)
		if strings.Trim(name, tokenChars) != "" || name == "" || seen[name] {
			return Identity{}, fmt.Errorf("%w: parameter without name, or twice", ErrIdentity)
		}
		seen[name] = true
		if err := id.set(name, content); err != nil {
			return Identity{}, err
		}
	}
	if id.Info == "" {
		return Identity{}, fmt.Errorf("%w: no info", ErrIdentity)
	}
	return id, nil
}

func (id *Identity) set(name, content string) error {
	fault := fmt.Errorf("%w: value of a parameter", ErrIdentity)
	switch name {
	case "info":
		uri, opened := strings.CutPrefix(content, "<")
		uri, closed := strings.CutSuffix(uri, ">")
		if !opened || !closed || uri == "" || strings.ContainsAny(uri, "<> \t") {
			return fault
		}
		id.Info = uri
	case "alg":
		if content == "" || strings.Trim(content, tokenChars) != "" {
			return fault
		}
		id.Alg = content
	case "ppt":
		if len(content) > 1 && content[0] == '"' && content[len(content)-1] == '"' {
			content = content[1 : len(content)-1]
		}
		if content == "" || strings.Trim(content, tokenChars) != "" {
			return fault
		}
		id.PPT = content
	}
	return nil
}

const (
	letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	base64URL  = letters + "-_"
	tokenChars = letters + "-.!%*_+`'~" // token of RFC 3261 section 25.1
)

func trim(s string) string { return strings.Trim(s, " \t") }

// splitParams splits at semicolons, except inside <…> and quotes.
func splitParams(s string) []string {
	var parts []string
	start, closing := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case closing == '"' && c == '\\':
			i++
		case closing != 0:
			if c == closing {
				closing = 0
			}
		case c == '<':
			closing = '>'
		case c == '"':
			closing = '"'
		case c == ';':
			parts = append(parts, trim(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, trim(s[start:]))
}

// Value writes the header field's value.
func (id Identity) Value() string {
	s := id.Token + ";info=<" + id.Info + ">"
	if id.Alg != "" {
		s += ";alg=" + id.Alg
	}
	if id.PPT != "" {
		s += ";ppt=" + id.PPT
	}
	return s
}

// IdentityOf returns the header field that carries p.
func IdentityOf(p Passport) Identity {
	return Identity{Token: p.text, Info: p.X5U, Alg: "ES256", PPT: string(p.Extension)}
}

// Passport reads the PASSporT of a header field, which must be in full form and
// agree with the field's parameters (RFC 8224 section 4.1).
func (id Identity) Passport() (Passport, error) {
	if strings.HasPrefix(id.Token, "..") {
		return Passport{}, ErrCompact
	}
	p, err := Parse(id.Token)
	if err != nil {
		return Passport{}, err
	}
	return p, id.agrees(p)
}

// Pick returns the one PASSporT of an extension among the Identity header fields
// of a request. Fields of other extensions are passed over (RFC 8224 section
// 6.2); malformed ones are not, and two of the same are one too many.
func Pick(values []string, e Extension) (Passport, error) {
	if len(values) > MaxIdentities {
		return Passport{}, fmt.Errorf("%w: too many", ErrIdentity)
	}
	var picked *Identity
	for _, v := range values {
		id, err := ParseIdentity(v)
		if err != nil {
			return Passport{}, err
		}
		if Extension(id.PPT) != e {
			continue
		}
		if picked != nil {
			return Passport{}, fmt.Errorf("%w: two of one extension", ErrIdentity)
		}
		picked = &id
	}
	if picked == nil {
		return Passport{}, fmt.Errorf("%w: none of this extension", ErrIdentity)
	}
	return picked.Passport()
}

// Complete reads a PASSporT in compact form (RFC 8225 section 7), ".." and the
// signature, and rebuilds it in full form with the claims that the receiver has
// from the request.
func (id Identity) Complete(c Claims) (Passport, error) {
	signature, compact := strings.CutPrefix(id.Token, "..")
	if !compact {
		return Passport{}, ErrIdentity
	}
	if Extension(id.PPT) == Shaken {
		return Passport{}, fmt.Errorf("%w: shaken has no compact form", ErrIdentity) // RFC 8588 section 3
	}
	input := jose.Input(header(Extension(id.PPT), id.Info, nil), c.payload())
	p, err := Parse(input + "." + signature)
	if err != nil {
		return Passport{}, err
	}
	return p, id.agrees(p)
}

func (id Identity) agrees(p Passport) error {
	if id.Info != p.X5U || id.Alg != "" && id.Alg != "ES256" || id.PPT != string(p.Extension) {
		return ErrMismatch
	}
	return nil
}

// Format prints no part of the field.
func (id Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "passport:identity") }
