package prover

// Doors for tests.
var (
	ParseMailbox = parseMailbox
	Recipient    = recipient
)
