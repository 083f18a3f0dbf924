package resolver

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// What becomes of a message that is no whole answer.
var (
	errForeign   = errors.New("resolver: not an answer to this question")
	errTruncated = errors.New("resolver: the answer is cut short")
)

// Bounds of an answer.
const (
	maxRecords = 512
	maxChain   = 8 // CNAME records after one another
)

// question is one question that was sent.
type question struct {
	id   uint16
	name dnsmessage.Name
	of   dnsmessage.Type
}

// reply is an answer to a question, as the resolver gives it.
type reply struct {
	texts     []string // TXT records at the end of the chain
	authentic bool     // the AD bit
}

// parseName takes a complete name with or without its last dot. Octets outside
// of printable ASCII are no part of a name that keys are published at.
func parseName(name string) (dnsmessage.Name, error) {
	if name == "" {
		return dnsmessage.Name{}, ErrName
	}
	if name != "." {
		name = strings.TrimSuffix(name, ".") + "."
	}
	if strings.HasPrefix(name, ".") && name != "." || strings.Contains(name, "..") {
		return dnsmessage.Name{}, ErrName
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f {
			return dnsmessage.Name{}, ErrName
		}
	}
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return dnsmessage.Name{}, ErrName
	}
	return n, nil
}

// pack writes the question: recursion desired; AD, so that the bit in the
// answer means something (RFC 6840 section 5.7); EDNS with DO (RFC 3225).
func (q question) pack() ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true, AuthenticData: true})
	var edns dnsmessage.ResourceHeader
	err := errors.Join(
		b.StartQuestions(),
		b.Question(dnsmessage.Question{Name: q.name, Type: q.of, Class: dnsmessage.ClassINET}),
		b.StartAdditionals(),
		edns.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, true),
		b.OPTResource(edns, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, ErrName // a label of more than 63 octets
	}
	packed, err := b.Finish()
	if err != nil {
		return nil, ErrName
	}
	return packed, nil
}

// parse reads a message as the answer to q.
func (q question) parse(b []byte) (reply, error) {
	var p dnsmessage.Parser
	header, err := p.Start(b)
	if err != nil || !header.Response || header.ID != q.id || header.OpCode != 0 {
		return reply{}, errForeign
	}
	asked, err := p.AllQuestions()
	if err != nil || len(asked) != 1 || asked[0].Type != q.of || asked[0].Class != dnsmessage.ClassINET || !sameName(asked[0].Name, q.name) {
		return reply{}, errForeign
	}
	if header.Truncated {
		return reply{}, errTruncated
	}
	found, err := readAnswers(&p)
	if err != nil {
		return reply{}, fmt.Errorf("%w: answers", ErrMalformed)
	}
	code, err := responseCode(&p, header.RCode)
	if err != nil {
		return reply{}, fmt.Errorf("%w: after the answers", ErrMalformed)
	}
	switch code {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError: // where there is a chain, of its end (RFC 6604)
		return reply{}, ErrNoRecord
	default:
		return reply{}, fmt.Errorf("%w (response code %d)", ErrFailed, uint16(code))
	}
	texts, err := found.follow(q.name)
	return reply{texts: texts, authentic: header.AuthenticData}, err
}

// records are those of an answer section that matter, by their owner in lower case.
type records struct {
	aliases map[string]string
	texts   map[string][]string
}

// readAnswers reads the answer section. Signatures and what else comes along are
// passed over.
func readAnswers(p *dnsmessage.Parser) (records, error) {
	found := records{aliases: make(map[string]string), texts: make(map[string][]string)}
	for range maxRecords {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return found, nil
		}
		if err != nil {
			return records{}, err
		}
		owner := lower(h.Name)
		switch {
		case h.Class == dnsmessage.ClassINET && h.Type == dnsmessage.TypeCNAME:
			r, err := p.CNAMEResource()
			if err != nil {
				return records{}, err
			}
			if target, twice := found.aliases[owner]; twice && target != lower(r.CNAME) {
				return records{}, ErrMalformed // RFC 2181 section 10.1
			}
			found.aliases[owner] = lower(r.CNAME)
		case h.Class == dnsmessage.ClassINET && h.Type == dnsmessage.TypeTXT:
			r, err := p.TXTResource()
			if err != nil {
				return records{}, err
			}
			found.texts[owner] = append(found.texts[owner], strings.Join(r.TXT, ""))
		default:
			if err := p.SkipAnswer(); err != nil {
				return records{}, err
			}
		}
	}
	return records{}, ErrMalformed
}

// follow goes along the aliases from a name to its texts. Records of names that
// the chain does not lead to are nobody's answer.
func (r records) follow(from dnsmessage.Name) ([]string, error) {
	at := lower(from)
	for range maxChain + 1 {
		target, more := r.aliases[at]
		if !more {
			return r.texts[at], nil
		}
		if len(r.texts[at]) != 0 {
			return nil, fmt.Errorf("%w: an alias that has records of its own", ErrMalformed) // RFC 1034 section 3.6.2
		}
		at = target
	}
	return nil, fmt.Errorf("%w: the chain of aliases has no end", ErrMalformed)
}

// responseCode reads the rest of the message for the upper bits of the response
// code, which stand in the OPT record (RFC 6891 section 6.1.3).
func responseCode(p *dnsmessage.Parser, low dnsmessage.RCode) (dnsmessage.RCode, error) {
	if err := p.SkipAllAuthorities(); err != nil {
		return 0, err
	}
	code, seen := low, false
	for range maxRecords {
		h, err := p.AdditionalHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return code, nil
		}
		if err != nil {
			return 0, err
		}
		if h.Type == dnsmessage.TypeOPT {
			if seen {
				return 0, ErrMalformed
			}
			seen, code = true, h.ExtendedRCode(low)
		}
		if err := p.SkipAdditional(); err != nil {
			return 0, err
		}
	}
	return 0, ErrMalformed
}

func sameName(a, b dnsmessage.Name) bool { return lower(a) == lower(b) }

// lower puts the ASCII letters of a name into lower case (RFC 4343), and leaves
// all other octets alone, which strings.ToLower would not.
func lower(n dnsmessage.Name) string {
	b := []byte(n.String())
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
