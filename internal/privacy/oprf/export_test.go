package oprf

// Doors for vectors: fixed blinds, and a fixed random scalar of a proof.
var (
	BlindWith = blind
	Prove     = prove
)
