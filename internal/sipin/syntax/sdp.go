package syntax

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Offer is what of a caller's description of sound (RFC 8866, RFC 3264) matters
// here: where sound comes from, and under which numbers.
type Offer struct {
	At     netip.AddrPort
	Law    uint8 // payload type of the sound: 0 = µ-law, 8 = A-law
	Events uint8 // payload type of pressed keys (RFC 4733), 0 = none
	media  int   // how many media there are; only the first sound is taken
	index  int   // which one that is
}

const maxLines = 200

// ParseOffer reads an offer. Only sound over RTP/AVP in G.711 is understood.
func ParseOffer(body []byte) (Offer, bool) {
	var o Offer
	var session, address netip.Addr
	var port uint64
	o.index = -1
	current := -1 // medium that the line belongs to
	for i, line := range strings.Split(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") {
		if i >= maxLines {
			return Offer{}, false
		}
		kind, value, _ := strings.Cut(line, "=")
		switch {
		case kind == "m":
			current++
			if o.index >= 0 {
				continue
			}
			if p, law, ok := sound(value); ok {
				o.index, port, o.Law = current, p, law
			}
		case kind == "c":
			a, ok := connection(value)
			switch {
			case !ok:
				return Offer{}, false
			case current < 0:
				session = a
			case current == o.index:
				address = a
			}
		case kind == "a" && current == o.index && current >= 0:
			if n, ok := eventType(value); ok {
				o.Events = n
			}
		}
	}
	if !address.IsValid() {
		address = session
	}
	o.media = current + 1
	o.At = netip.AddrPortFrom(address, uint16(port))
	return o, o.index >= 0 && address.IsValid() && o.media <= 8
}

// sound reads a line m= of sound in G.711.
func sound(value string) (port uint64, law uint8, ok bool) {
	parts := strings.Fields(value)
	if len(parts) < 4 || parts[0] != "audio" || parts[2] != "RTP/AVP" {
		return 0, 0, false
	}
	port, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil || port == 0 {
		return 0, 0, false
	}
	for _, p := range parts[3:] {
		switch p {
		case "0":
			return port, 0, true
		case "8":
			return port, 8, true
		}
	}
	return 0, 0, false
}

// connection reads a line c=; names are not looked up.
func connection(value string) (netip.Addr, bool) {
	parts := strings.Fields(value)
	if len(parts) != 3 || parts[0] != "IN" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(parts[2])
	return a, err == nil && a.Zone() == "" && (parts[1] == "IP4") == a.Is4()
}

// eventType reads a line a=rtpmap of telephone events.
func eventType(value string) (uint8, bool) {
	rest, ok := strings.CutPrefix(value, "rtpmap:")
	if !ok {
		return 0, false
	}
	number, name, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(number, 10, 7)
	return uint8(n), err == nil && n >= 96 && strings.EqualFold(strings.TrimSpace(name), "telephone-event/8000")
}

// Answer writes the answer to an offer: its sound and its keys, at a port here;
// every other medium is refused with port 0.
func (o Offer) Answer(host string, port uint16) []byte {
	address, family := host, "IP4"
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		family = "IP6"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n", family, address, family, address)
	for i := range o.media {
		if i != o.index {
			b.WriteString("m=audio 0 RTP/AVP 0\r\n")
			continue
		}
		fmt.Fprintf(&b, "m=audio %d RTP/AVP %d", port, o.Law)
		if o.Events != 0 {
			fmt.Fprintf(&b, " %d", o.Events)
		}
		fmt.Fprintf(&b, "\r\na=rtpmap:%d %s/8000\r\n", o.Law, map[uint8]string{0: "PCMU", 8: "PCMA"}[o.Law])
		if o.Events != 0 {
			fmt.Fprintf(&b, "a=rtpmap:%d telephone-event/8000\r\na=fmtp:%d 0-15\r\n", o.Events, o.Events)
		}
		b.WriteString("a=ptime:20\r\n")
	}
	return b.Bytes()
}
