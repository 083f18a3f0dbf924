package syntax

import (
	"net/netip"
	"strconv"
	"strings"
)

// MagicCookie begins every branch (RFC 3261 section 8.1.1.7).
const MagicCookie = "z9hG4bK"

const (
	maxBranch   = 128
	defaultPort = 5060
)

// via is the Via on top: the one of who sent the message here.
type via struct {
	protocol string // SIP/2.0/UDP
	sentBy   string
	branch   string
	rport    bool     // asked for (RFC 3581)
	others   []string // parameters but received and rport, as they came
}

// parseVia reads a value of Via. A branch of RFC 2543 is refused: nothing tells
// its transactions apart.
func parseVia(value string) (via, error) {
	parts := split(value, ';')
	words := strings.Fields(parts[0])
	if len(words) != 2 || !strings.HasPrefix(strings.ToUpper(words[0]), "SIP/2.0/") {
		return via{}, ErrMalformed
	}
	v := via{protocol: words[0], sentBy: words[1]}
	for _, p := range parts[1:] {
		name, content, _ := strings.Cut(p, "=")
		switch name, content = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(content); name {
		case "received":
		case "rport":
			v.rport = content == ""
		case "branch":
			if v.branch != "" {
				return via{}, ErrMalformed
			}
			v.branch = content
			v.others = append(v.others, p)
		default:
			v.others = append(v.others, p)
		}
	}
	if !strings.HasPrefix(v.branch, MagicCookie) || len(v.branch) == len(MagicCookie) || len(v.branch) > maxBranch {
		return via{}, ErrMalformed
	}
	return v, nil
}

// port returns the port that the sender names, or the one that it then means.
func (v via) port() uint16 {
	if i := strings.LastIndexByte(v.sentBy, ':'); i >= 0 && !strings.HasSuffix(v.sentBy, "]") {
		if n, err := strconv.ParseUint(v.sentBy[i+1:], 10, 16); err == nil && n > 0 {
			return uint16(n)
		}
	}
	return defaultPort
}

// SentBy is where the sender says that it is.
func (m *Message) SentBy() string { return strings.ToLower(m.top.sentBy) }

// Back notes in the top Via where a datagram came from and returns where its
// answer goes: to that address, and to the port of it if the sender asks for
// that, else to the port that it names (RFC 3261 section 18.2, RFC 3581). Of a
// response it returns from.
func (m *Message) Back(from netip.AddrPort) netip.AddrPort {
	if m.Status != 0 {
		return from
	}
	v, port := m.top, m.top.port()
	params := append(append([]string{v.protocol + " " + v.sentBy}, v.others...), "received="+from.Addr().Unmap().WithZone("").String())
	if v.rport {
		port = from.Port()
		params = append(params, "rport="+strconv.Itoa(int(port)))
	}
	m.vias[0] = strings.Join(params, ";")
	return netip.AddrPortFrom(from.Addr(), port)
}

// split splits at a separator, except within quotes, and trims white space.
func split(s string, separator byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == separator && !quoted:
			parts = append(parts, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(s[start:]))
}
