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
	fault := r.join(&p, l, k.old)
	k.size += len(p.value)
	text := ""
	if fault == "" {
		text, fault = p.text()
	}
	telephone, address := p.name == "TEL", p.name == "EMAIL"
	switch {
	case fault == "" && strings.TrimSpace(text) == "":
	case fault != "" && (telephone || address):
		r.refuse(&k.Contact, l.number, fault)
	case fault != "":
		r.problem(&k.Contact, l.number, fault)
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

// join appends the lines that continue p, and says what is wrong with the whole.
func (r *Reader) join(p *property, l line, old bool) Reason {
	value, whole := []byte(p.value), !l.cut
	for {
		next, more := r.continuation(*p, l)
		switch {
		case !more && (l.torn || r.lines.broken()):
			return ErrNoEnd // half a number may be another one
		case !more && !whole:
			return ErrLine
		case !more:
			p.value = string(value)
			return ""
		case !whole:
			// Passed over, as the rest.
		case next.cut || len(value)+len(next.text) > MaxLine:
			whole = false
		case p.encoding == quotedPrintable && l.last == '=':
			value = append(value[:len(value)-1], next.text...) // a soft line break
		case next.folded() && !old:
			value = append(value, next.text[1:]...) // RFC 6350 §3.2
		default:
			value = append(value, next.text...) // in 2.1 the blank belongs to the value
		}
		l = next
	}
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
