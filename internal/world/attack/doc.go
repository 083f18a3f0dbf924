// Package attack is the adversary suite: programs that own all keys of one or
// more parties and try to get a mapping believed for a CSI whose holder never
// authorised it (R4, R5). What they can do is the table in docs/trust.md, which
// the test of this package writes.
//
// # Method
//
// An adversary is a set of parties ([Set]): it owns every key of each, and what
// each of them sees. It attacks a federation on paper (package stage) whose honest
// parties are real wherever something is decided: package cosigner for MSPs, the
// directory over a database for the DP, the methods of provers and the verifiers
// of packages possession/…, and package client for who asks. Only sockets are missing; the
// tests of internal/prover and internal/world have those.
//
// A [Strategy] is a program. It does what it can with the keys that the adversary
// owns and with what honest parties give to anybody, and where a signature is
// missing it tries every [Style] of doing without: a key of its own, a borrowed
// name, a key that is listed for something else, a signature copied from an
// honest statement, none at all. What it made is judged by the DP's own admission
// and then, whatever that said, by the verification that every client runs, with
// the registry alone; success is what a client believes.
//
// Each strategy names what it takes ([Strategy.Needs]). With each of these sets
// the very same program must succeed, which is the control that keeps a failing
// attack honest: it fails for want of a key and not because it is badly made. With
// any member of such a set missing it must fail.
//
// [Coalitions] lists every set of up to three of the ten ordinary parties, and the
// special adversaries among them. What all strategies
// together achieve for each is held against [Exceptions], the short list of what
// the design concedes. A difference in either direction fails.
//
// [Mutator] is the other half: it bends valid bundles at random, by bytes, by
// parts of other people's bundles, and by statements that the adversary signs
// again with keys of its own.
//
// What this does not show: that an implementation of cryptography is right, that
// two operators are two, or that DNS, carriers and issuers tell the truth; who
// answers for those is a party here (CSIP, the DNS of a prover).
package attack
