package csi

import "maps"

// Numbering is the numbering tables in the form of vectors/csi/numbering.json:
// codes and prefixes as strings of digits, sets as words separated by spaces.
type Numbering struct {
	Spec      string            `json:"spec"`
	Version   int               `json:"version"`
	Countries map[string]string `json:"countries"`
	Areas     []Area            `json:"areas"`
	NANP      map[string]string `json:"nanp"`
}

// Area is one refinement of a shared country code.
type Area struct {
	Code     string `json:"code"`
	Home     string `json:"home"`
	Prefixes string `json:"prefixes"`
}

// NumberingTables is a copy of the tables.
func NumberingTables() Numbering {
	n := Numbering{Countries: maps.Clone(countries), NANP: map[string]string{}}
	for _, a := range areas {
		n.Areas = append(n.Areas, Area{a.code, a.home, a.prefixes})
	}
	for _, a := range nanp {
		n.NANP[a.home] = a.codes
	}
	return n
}
