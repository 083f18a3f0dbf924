package fetch

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// special4 and special6 are the blocks of IANA's special-purpose address
// registries (RFC 6890 and its updates) that are not globally reachable, and
// those that lead to such blocks by translation: 6to4, Teredo, NAT64. In IPv6
// nothing but 2000::/3 is public.
var (
	special4 = prefixes(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
		192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
		198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4`)
	special6 = prefixes(`2001::/23 2001:db8::/32 2002::/16 3fff::/20`)
	global6  = netip.MustParsePrefix("2000::/3")
)

func prefixes(list string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range strings.Fields(list) {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// public reports whether everybody on the Internet reaches an address.
func public(a netip.Addr) bool {
	a = a.Unmap()
	list := special4
	if a.Is6() {
		if !global6.Contains(a) {
			return false
		}
		list = special6
	}
	for _, p := range list {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid() && a.Zone() == ""
}

// fresh returns for how long a private cache may keep an answer: max-age less
// Age. Heuristics are not for keys.
func fresh(h http.Header) time.Duration {
	var age time.Duration
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				age = seconds(strings.Trim(value, `"`))
			}
		}
	}
	return max(0, age-seconds(h.Get("Age")))
}

// seconds reads delta-seconds (RFC 9111 section 1.2.2); what is none counts as
// zero, and more than a day as a day.
func seconds(s string) time.Duration {
	const day = 24 * 60 * 60
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(min(n, day)) * time.Second
}
