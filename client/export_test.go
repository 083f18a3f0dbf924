package client

// Doors for tests.
var (
	Batches    = batches
	MergeAsked = mergeAsked
	ReadBits   = readBits
)
