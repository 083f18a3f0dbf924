package syntax

import (
	"strings"
)

// KeyOf reads the key that an INFO reports: application/dtmf-relay, lines
// "Signal=5" and "Duration=160", or application/dtmf, the key alone.
func KeyOf(mediaType string, body []byte) (byte, bool) {
	if len(body) > 256 {
		return 0, false
	}
	text := strings.TrimSpace(string(body))
	switch mediaType {
	case "application/dtmf":
		return oneKey(text)
	case "application/dtmf-relay":
		var key byte
		found := false
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "signal") {
				continue
			}
			k, ok := oneKey(strings.TrimSpace(value))
			if !ok || found {
				return 0, false
			}
			key, found = k, true
		}
		return key, found
	}
	return 0, false
}

func oneKey(s string) (byte, bool) {
	if len(s) != 1 || !strings.Contains("0123456789*#ABCDabcd", s) {
		return 0, false
	}
	return s[0], true
}
