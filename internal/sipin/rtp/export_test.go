package rtp

// ALaw is for its test.
var ALaw = aLaw
