// Package cast names the parties whose keys an adversary may own, and lists the
// coalitions of them that package attack tries.
package cast

import (
	"math/bits"
	"slices"
	"strings"
)

// Party is somebody whose keys an adversary may own.
type Party uint8

// The ordinary parties, of which every coalition of up to three is tried.
const (
	DP         Party = iota
	MSP              // of the victim's mapping
	ForeignMSP       // another one
	ProverA          // the first that is assigned to the victim's CSI
	ProverB          // the second
	ProverX          // one that is not assigned
	ObserverA
	ObserverB
	Neighbour // holds another CSI, at the same mail provider and the same MSP
	Archive   // reads and keeps what is public or passes by in clear, retired keys included
)

// The special adversaries, tried alone, with up to two ordinary parties, and two
// of them together, with one.
const (
	CSIP         Party = iota + Archive + 1 // the victim's mail provider or carrier: its keys, and the mailbox or the line
	SIMSwapper                              // gets what is sent to the victim's number
	LuredReply                              // has the victim answer mail, which quotes what it answers
	LuredCaller                             // has the victim call back a number that she does not know
	RelyingParty                            // has the victim sign in with her mail provider at an application of its own
	OtherCarrier                            // a carrier that has numbers, and not the victim's
	FormerHolder                            // had the CSI, and was vouched for, a month ago
	CodesA                                  // runs the service that sends prover A's codes
	CodesB                                  // runs the service that sends prover B's codes
	DNSA                                    // answers prover A's questions to the DNS
	DNSB                                    // answers prover B's
)

// What honest people keep. These are in no coalition, only in controls.
const (
	VictimKey  Party = iota + DNSB + 1 // the holder's key, and her account at her MSP
	VictimWord                         // what is sent to the CSI, and her answer from it
	Parties                            // how many there are
)

var names = [Parties]string{
	DP: "DP", MSP: "MSP", ForeignMSP: "other MSP", ProverA: "prover A", ProverB: "prover B", ProverX: "prover X",
	ObserverA: "observer A", ObserverB: "observer B", Neighbour: "neighbour", Archive: "archive", CSIP: "CSIP",
	SIMSwapper: "SIM swapper", LuredReply: "lured reply", LuredCaller: "lured call", RelyingParty: "relying party",
	OtherCarrier: "other carrier", FormerHolder: "former holder", CodesA: "codes of prover A",
	CodesB: "codes of prover B", DNSA: "DNS of prover A", DNSB: "DNS of prover B", VictimKey: "the holder's key",
	VictimWord: "the holder's word",
}

// String returns the party's name in the table.
func (p Party) String() string { return names[p] }

// Set is a set of parties.
type Set uint64

// Of returns the set of some parties.
func Of(all ...Party) Set {
	var s Set
	for _, p := range all {
		s |= 1 << p
	}
	return s
}

// Has reports whether p is in s.
func (s Set) Has(p Party) bool { return s&(1<<p) != 0 }

// Within reports whether all of s is in t.
func (s Set) Within(t Set) bool { return s&^t == 0 }

// Len is the number of parties.
func (s Set) Len() int { return bits.OnesCount64(uint64(s)) }

// List returns the parties in order.
func (s Set) List() []Party {
	var out []Party
	for p := range Parties {
		if s.Has(p) {
			out = append(out, p)
		}
	}
	return out
}

// String names the parties.
func (s Set) String() string {
	var out []string
	for _, p := range s.List() {
		out = append(out, p.String())
	}
	return strings.Join(out, " + ")
}

// ordinary lists all subsets of the ordinary parties with at most n members.
func ordinary(n int) []Set {
	var out []Set
	for s := Set(0); s < 1<<(Archive+1); s++ {
		if s.Len() <= n {
			out = append(out, s)
		}
	}
	return out
}

// Coalitions lists every adversary that is tried, small ones first.
func Coalitions() []Set {
	out := ordinary(3)
	for p := Archive + 1; p < VictimKey; p++ {
		for _, s := range ordinary(2) {
			out = append(out, s|Of(p))
		}
		for q := p + 1; q < VictimKey; q++ {
			for _, s := range ordinary(1) {
				out = append(out, s|Of(p, q))
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Set) int { return a.Len() - b.Len() })
	return out
}

// Cross returns the smallest sets that contain one of a and one of b.
func Cross(a, b []Set) []Set {
	var out []Set
	for _, x := range a {
		for _, y := range b {
			out = append(out, x|y)
		}
	}
	return Minimal(out)
}

// Minimal drops sets that contain another one.
func Minimal(all []Set) []Set {
	var out []Set
	for _, s := range all {
		redundant := slices.Contains(out, s) || slices.ContainsFunc(all, func(t Set) bool { return t != s && t.Within(s) })
		if !redundant {
			out = append(out, s)
		}
	}
	return out
}

// AnyWithin reports whether one of the sets is owned.
func AnyWithin(all []Set, owned Set) bool {
	return slices.ContainsFunc(all, func(s Set) bool { return s.Within(owned) })
}
