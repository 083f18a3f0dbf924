package possession

import (
	"fmt"
	"strings"

	"whither/possession/observe"
)

// Rows is the table of kinds as it stands in the specification.
func Rows() []string {
	out := []string{
		"| kind | name | speaks for | best | family | asked | siblings | key | provers |",
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	for _, r := range rules() {
		siblings := map[agreement]string{
			otherChannel: "another channel than " + string(r.channel), sameArtefact: "one artefact", sameKey: "one artefact, one key",
		}[r.agree]
		key := map[observe.Kind]string{observe.DKIM: "in the DNS", observe.JWKS: "in the key set"}[r.published]
		switch {
		case r.unseen:
			key += ", by others' word"
		case key == "" && r.agree != otherChannel:
			key = "in the artefact"
		case key == "":
			key = "—"
		}
		asked, provers := "no", "any"
		if r.asked {
			asked = "yes"
		}
		if r.assigned {
			provers = "assigned"
		}
		out = append(out, fmt.Sprintf("| %d | `%s` | `%s` | %d | %s | %s | %s | %s | %s |",
			r.kind, r.name, strings.Join(r.schemes, "`, `"), r.best, r.family, asked, siblings, key, provers))
	}
	return out
}
