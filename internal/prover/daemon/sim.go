package daemon

import (
	"fmt"
	"strings"
	"time"

	"whither/internal/camara"
	"whither/internal/keyfile"
	"whither/internal/party"
	"whither/internal/prover"
)

// SIMSettings is the table sim: the operators that say whether a number's SIM
// card was changed. A number without an operator here counts all the same, and
// the client is told that nobody was asked.
type SIMSettings struct {
	// Hours is how long a number must have been with its SIM card, 1 to 2,400;
	// zero: 240, ten days.
	Hours int `toml:"hours"`
	// Operators are the tables [[sim.operator]].
	Operators []OperatorSettings `toml:"operator"`
}

// OperatorSettings is a service in the manner of CAMARA's SIM Swap.
type OperatorSettings struct {
	// Prefix are the numbers that are asked about there, as "+41"; of several the
	// longest counts.
	Prefix string `toml:"prefix"`
	// URL is the base of check, https.
	URL string `toml:"url"`
	// Token is the file with the token that signs this prover in there.
	Token string `toml:"token"`
}

// open opens the operators; nil if there are none.
func (s SIMSettings) open(dir string) (prover.SIM, error) {
	if most := int(camara.MaxSIMAge / time.Hour); s.Hours < 0 || s.Hours > most {
		return nil, fmt.Errorf("daemon: %s: sim.hours: want 1 to %d", SettingsFile, most)
	}
	if len(s.Operators) == 0 {
		return nil, nil
	}
	var operators camara.Operators
	for _, o := range s.Operators {
		if digits, plus := strings.CutPrefix(o.Prefix, "+"); !plus || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return nil, fmt.Errorf("daemon: %s: sim.operator.prefix: want + and digits", SettingsFile)
		}
		token, err := keyfile.Token(party.In(dir, o.Token))
		if err != nil {
			return nil, err
		}
		sim, err := camara.NewSIM(o.URL, token)
		if err != nil {
			return nil, fmt.Errorf("daemon: %s: sim.operator: %w", SettingsFile, err)
		}
		operators = append(operators, camara.Operator{Prefix: o.Prefix, SIM: sim})
	}
	return operators, nil
}
