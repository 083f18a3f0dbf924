package contacts

import (
	"slices"
	"strings"
)

// card reads a card; peek shows its BEGIN.
func (r *Reader) card() Contact {
	begin, _ := r.lines.peek()
	r.lines.take()
	k := card{Contact: Contact{Line: begin.number}}
	for {
		l, err := r.lines.peek()
		switch {
		case err != nil, l.begins():
			r.problem(&k.Contact, k.Line, ErrNoEnd)
			return k.named()
		case l.ends():
			r.lines.take()
			return k.named()
		}
		r.lines.take()
		switch {
		case k.size > MaxCard, l.blank():
		default:
			r.property(&k, l)
			if k.size > MaxCard {
				r.problem(&k.Contact, l.number, ErrCard)
			}
		}
		if r.err != nil {
			return k.named()
		}
	}
}

// card is a contact that is being read.
type card struct {
	Contact
	size   int
	old    bool   // VERSION 2.1
	family string // from N, for cards without FN
}

func (k *card) named() Contact {
	if k.Name.IsZero() {
		k.Name = newName(k.family)
	}
	return k.Contact
}

// property reads the property that begins with l, and consumes the lines that
// continue it.
func (r *Reader) property(k *card, l line) {
	p, ok := parseHead(l.text)
	if !ok {
		r.skip(property{}, l)
		if l.cut {
			r.problem(&k.Contact, l.number, ErrLine)
		} else {
			r.problem(&k.Contact, l.number, ErrMalformed)
		}
		return
	}
	if !slices.Contains([]string{"VERSION", "FN", "N", "TEL", "EMAIL"}, p.name) {
		r.skip(p, l)
		return
	}
	whole := r.join(&p, l, k.old)
	k.size += len(p.value)
	telephone, address := p.name == "TEL", p.name == "EMAIL"
	if !whole {
		if telephone || address {
			r.refuse(&k.Contact, l.number, ErrLine)
		} else {
			r.problem(&k.Contact, l.number, ErrLine)
		}
		return
	}
	text, reason := p.text()
	switch {
	case strings.TrimSpace(p.value) == "":
	case reason != "" && (telephone || address):
		r.refuse(&k.Contact, l.number, reason)
	case reason != "":
		r.problem(&k.Contact, l.number, reason)
	case p.name == "VERSION":
		k.old = strings.TrimSpace(text) == "2.1"
	case p.name == "FN":
		if k.Name.IsZero() {
			k.Name = newName(p.unescape(text))
		}
	case p.name == "N":
		k.family = p.joinNames(text)
	case telephone && p.forMachines():
		r.refuse(&k.Contact, l.number, ErrNotPerson)
	default:
		if text = strings.TrimSpace(p.unescape(text)); address && !strings.Contains(text, ":") {
			text = "mailto:" + addressIn(text)
		}
		r.value(&k.Contact, l.number, text)
	}
}

// join appends the lines that continue p; false: the whole is too long.
func (r *Reader) join(p *property, l line, old bool) bool {
	whole := !l.cut
	var value strings.Builder
	value.WriteString(p.value)
	for {
		next, ok := r.continuation(*p, l)
		if !ok {
			break
		}
		text := next.text
		if p.encoding == quotedPrintable && l.last == '=' {
			text = "\r\n" + text // a soft line break, for the decoder
		} else if next.folded() && !old {
			text = text[1:] // RFC 6350 §3.2; in 2.1 the blank belongs to the value
		}
		whole = whole && !next.cut && value.Len()+len(text) <= MaxLine
		if whole {
			value.WriteString(text)
		}
		l = next
	}
	p.value = value.String()
	return whole
}

// skip passes over the lines that continue a property which is not read.
func (r *Reader) skip(p property, l line) {
	for ok := true; ok; {
		l, ok = r.continuation(p, l)
	}
}

// continuation consumes the line that follows l if it continues p: it is folded,
// or l ends in a soft line break, or p is BASE64 as 2.1 has it, up to an empty
// line or something that looks like a property.
func (r *Reader) continuation(p property, l line) (line, bool) {
	next, err := r.lines.peek()
	switch {
	case err != nil:
		return line{}, false
	case p.encoding == quotedPrintable && l.last == '=':
	case next.folded():
	case p.encoding == base64Encoding && next.text != "" && !strings.Contains(next.text, ":"):
	default:
		return line{}, false
	}
	r.lines.take()
	return next, true
}
