// Package whither is the root of the module. It holds no code, only the tests
// that look at the whole tree: arch_test.go keeps the floors of the house and
// docs_test.go keeps the documents true.
//
// Start with README.md, then the package documentation of mapping, client and
// cosigner.
package whither

// Every package whose tests write vectors or golden files with -update.
//
//go:generate go test ./csi ./internal/dp/precedence ./internal/privacy/pir ./internal/privacy/pir/batch ./internal/privacy/pir/keyword ./internal/world/attack ./possession ./possession/mail ./possession/observe ./possession/openid ./possession/smime ./possession/stir ./possession/stir/passport ./possession/stir/tnauth ./problem ./registry ./vectors -update
