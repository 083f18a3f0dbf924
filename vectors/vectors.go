// Package vectors embeds the golden vectors of every specification: data for
// our own tests and for other implementations, no logic.
//
//	csi/      identifiers, docs/spec/csi.md
//	evidence/ receipts and the levels that they reach, docs/spec/evidence.md
//	mail/     replies to a mail challenge
//	mapping/  mappings and withdrawals, docs/spec/mapping.md
//	registry/ registry files, docs/spec/registry.md
//	stir/     telephone evidence, docs/spec/stir.md
//
// Each folder has vectors that must be accepted and vectors that must be
// refused, with the kind of the refusal, and says in a README.md what their
// members mean. Keys in them are published here and protect nothing. A released
// vector never changes.
package vectors

import "embed"

// FS holds the folders, one a specification.
//
//go:embed */*
var FS embed.FS
