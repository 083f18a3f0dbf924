package dp

import (
	"fmt"

	"whither/possession"
)

// EvidenceSettings are what a DP asks of evidence beyond its federation, for what
// it admits: the table [evidence] of dp.toml. Nothing in it can loosen what the
// registry says.
type EvidenceSettings struct {
	// Levels are lowest levels by scheme of the CSI, 2 to 4.
	Levels map[string]uint8 `toml:"levels"`
	// Refused are kinds that do not count here, by name (docs/spec/evidence.md).
	Refused []string `toml:"refused"`
}

// demands reads the names. A name that no table has is a mistake of who wrote it,
// and would refuse nothing.
func (s EvidenceSettings) demands() (possession.Demands, error) {
	d := possession.Demands{Levels: make(map[string]possession.Level)}
	for scheme, l := range s.Levels {
		if len(possession.KindsFor(scheme)) == 0 {
			return d, fmt.Errorf("dp: %s: evidence.levels: there is no evidence for %q", SettingsFile, scheme)
		}
		if l < uint8(possession.Level2) || l > uint8(possession.Level4) {
			return d, fmt.Errorf("dp: %s: evidence.levels: %s is 2 to 4", SettingsFile, scheme)
		}
		d.Levels[scheme] = possession.Level(l)
	}
	for _, name := range s.Refused {
		k, ok := possession.ParseKind(name)
		if !ok {
			return d, fmt.Errorf("dp: %s: evidence.refused: no kind of evidence is named %q", SettingsFile, name)
		}
		d.Refused = append(d.Refused, k)
	}
	return d, nil
}
