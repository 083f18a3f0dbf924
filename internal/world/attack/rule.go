package attack

import (
	"whither/csi"
	"whither/internal/world/attack/cast"
	"whither/internal/world/attack/forge"
	"whither/internal/world/attack/stage"
)

// Effect is what an adversary achieves.
type Effect struct {
	Goal   Goal
	State  stage.State
	Scheme csi.Scheme
}

// effects lists the effects of some goals on CSIs of some schemes in a state.
func effects(s stage.State, goals []Goal, schemes ...csi.Scheme) []Effect {
	var out []Effect
	for _, g := range goals {
		for _, scheme := range schemes {
			out = append(out, Effect{g, s, scheme})
		}
	}
	return out
}

// Exception is something that the design concedes to a coalition.
type Exception struct {
	Who     string // in words
	Can     string
	Notices string     // what notices it; "nothing, yet" where nothing does
	Sets    []cast.Set // any of them, and whoever has one among others
	Effects []Effect
}

// Exceptions is the trust rule: whoever is not in it achieves nothing.
func Exceptions() []Exception {
	mailto, tel := csi.Mailto, csi.Tel
	some := []csi.Scheme{mailto, tel}
	block, steal, both := []Goal{Block}, []Goal{Steal}, []Goal{Block, Steal}
	anyMSP := []cast.Set{cast.Of(cast.MSP), cast.Of(cast.ForeignMSP)}
	with := func(p cast.Party, all []cast.Set) []cast.Set { return cast.Cross(all, []cast.Set{cast.Of(p)}) }
	services := []cast.Set{cast.Of(cast.CodesA, cast.CodesB), cast.Of(cast.ProverA, cast.CodesB), cast.Of(cast.ProverB, cast.CodesA)}
	lured := []cast.Set{cast.Of(cast.ProverX, cast.CodesA), cast.Of(cast.ProverX, cast.CodesB)}
	misled := forge.Misled()
	overheard := cast.Cross([]cast.Set{cast.Of(cast.LuredCaller, cast.Archive)}, []cast.Set{cast.Of(cast.ProverA), cast.Of(cast.CodesA)})
	askers := []cast.Set{cast.Of(cast.ProverA), cast.Of(cast.ProverB), cast.Of(cast.ProverX)}
	observers := []cast.Set{cast.Of(cast.ObserverA), cast.Of(cast.ObserverB)}
	witnessed := append(cast.Cross(askers, observers), cast.Cross([]cast.Set{cast.Of(cast.DNSA), cast.Of(cast.DNSB)}, observers)...)
	const held = "the true holder, who is held; "
	const replaced = "askers who remember another holder's key; the true holder, who looks herself up; "
	const receipts = "two signed receipts for what did not happen"
	return []Exception{
		{
			"two provers of different operators", "block a CSI that nobody has enrolled",
			held + receipts + "; for mail and OpenID the digest of a key that its owner can disown", twoProvers, effects(stage.Unlisted, block, some...),
		}, {
			"the same, with an MSP", "pass for its holder", held + receipts + "; that MSP's signature", cast.Cross(twoProvers, anyMSP), effects(stage.Unlisted, steal, some...),
		}, {
			"any two provers, with the DP", "block any CSI, since the DP need not see who lives there", replaced + receipts,
			with(cast.DP, twoProvers), effects(stage.Listed, block, some...),
		}, {
			"the mail provider or the carrier (CSIP)", "pass for the holder of its own CSIs that nobody has enrolled", held + "its own signature",
			[]cast.Set{cast.Of(cast.CSIP)},
			effects(stage.Unlisted, both, some...),
		}, {
			"the same, with the DP", "pass for the holder of any of its own CSIs", replaced + "its own signature", []cast.Set{cast.Of(cast.CSIP, cast.DP)}, effects(stage.Listed, both, some...),
		}, {
			"who swapped the SIM", "pass for the holder of a number that nobody has enrolled", held + "the operator, if it is asked for the date of the SIM",
			[]cast.Set{cast.Of(cast.SIMSwapper)},
			effects(stage.Unlisted, both, tel),
		}, {
			"the same, with the DP", "pass for the holder of any number", replaced + "the operator", []cast.Set{cast.Of(cast.SIMSwapper, cast.DP)}, effects(stage.Listed, both, tel),
		}, {
			"the code services of both assigned provers, or one and the other prover", "block a number that nobody has enrolled", held + "nothing else, yet",
			services, effects(stage.Unlisted, block, tel),
		}, {
			"the same, with an MSP", "pass for its holder", held + "that MSP's signature", cast.Cross(services, anyMSP), effects(stage.Unlisted, steal, tel),
		}, {
			"the same, with the DP", "block any number", replaced + "nothing else, yet", with(cast.DP, append(services, lured...)), effects(stage.Listed, block, tel),
		}, {
			"", "", "", with(cast.DP, lured), effects(stage.Unlisted, block, tel),
		}, {
			"who reads SIP on its way and lures the holder into a call, with the other prover or its code service", "block a number that nobody has enrolled",
			held + "nothing else, yet, where carriers bring calls without TLS", overheard, effects(stage.Unlisted, block, tel),
		}, {
			"who answers the DNS for two provers, or for one with another prover's help", "block a mail address that nobody has enrolled",
			held + "the digest of a key that the domain can disown", misled, effects(stage.Unlisted, block, mailto),
		}, {
			"the same, with an MSP", "pass for its holder", held + "likewise", cast.Cross(misled, anyMSP), effects(stage.Unlisted, steal, mailto),
		}, {
			"the same, with the DP", "block any mail address", replaced + "likewise", with(cast.DP, misled), effects(stage.Listed, block, mailto),
		}, {
			"an observer, with a prover of another operator or with who answers a prover's DNS", "block a mail address that nobody has enrolled",
			held + "the observer's signed word on a key that its owner can disown", witnessed, effects(stage.Unlisted, block, mailto),
		}, {
			"the same, with an MSP", "pass for its holder", held + "likewise", cast.Cross(witnessed, anyMSP), effects(stage.Unlisted, steal, mailto),
		}, {
			"the same, with the DP", "block any mail address", replaced + "likewise", with(cast.DP, witnessed), effects(stage.Listed, block, mailto),
		}, {
			"the DP alone", "keep alive what a holder has withdrawn or replaced, until it expires", "the holder, who looks herself up", []cast.Set{cast.Of(cast.DP)}, effects(stage.Ended, []Goal{Revive}, mailto),
		}, {
			"who had the CSI within a year, with the DP", "block it with the evidence of then", replaced + "the dates in the receipts",
			[]cast.Set{cast.Of(cast.FormerHolder, cast.DP)},
			append(effects(stage.Unlisted, block, mailto), effects(stage.Listed, block, mailto)...),
		}, {
			"the same, with an MSP", "pass for its holder", "likewise; that MSP's signature", with(cast.FormerHolder, with(cast.DP, anyMSP)),
			append(effects(stage.Unlisted, steal, mailto), effects(stage.Listed, steal, mailto)...),
		}, {
			"who has lost a CSI, with two provers", "go on for another year", receipts, with(cast.FormerHolder, twoProvers), effects(stage.Listed, []Goal{Outlive}, mailto),
		},
	}
}
