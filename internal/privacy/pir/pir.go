// Package pir is the retrieval engine of the private road: a client reads one
// column of each band of a public matrix of bytes, and the server that holds
// the matrix does not learn which (docs/spec/private.md; design section 6).
//
//	client                                              server
//	                                       NewBuilder, Put, Build: a Snapshot
//	Ask(params, columns)
//	    fresh secret s, keys, query  ---------->
//	                                       Decode, Answer: scan and pack
//	                                 <----------
//	Question.Open: the columns; s is burned
//
// A query is a vector of LWE ciphertexts under 2^32, one a column, whose
// uniform halves come from seeds that the client derives itself. The server
// multiplies the matrix with it ([whither/internal/privacy/pir/kernel]) and
// packs 2048 resulting ciphertexts into one ring ciphertext
// ([whither/internal/privacy/pir/packing]), with two keys of 12,800 bytes. The
// client keeps no state between questions and no hint.
//
// Promises: columns are hidden under Ring-LWE of dimension 2048, with ternary
// secrets, for the parameters of [Sets]; a wrong byte in an answer of an honest
// server is less likely than 2^-40 whatever the matrix holds; each secret
// serves one [Ask], because nothing else can reach it.
//
// Not promised: that the server is honest. It can answer with anything, so
// what is in a column must be sealed (package keyword), and what a client does
// next must not show whether an answer was good. Nor is freshness: whoever
// calls [Ask] has checked that the [Identity] is the wanted one.
//
// Units: offsets and sizes are bytes, and a row of the matrix is one byte of
// every column. Integers of the wire format are big-endian in headers; packed
// vectors are little-endian bit strings.
package pir

import "errors"

// What can be wrong with bytes from the other side.
var (
	// ErrParams means that a description of a table is malformed or out of bounds.
	ErrParams = errors.New("pir: malformed parameters")
	// ErrQuery means that a query is malformed.
	ErrQuery = errors.New("pir: malformed query")
	// ErrTable means that a query or answer is for another table or epoch.
	ErrTable = errors.New("pir: of another table")
	// ErrAnswer means that an answer is malformed.
	ErrAnswer = errors.New("pir: malformed answer")
	// ErrSpent means that a question was opened before: its secret is burned.
	ErrSpent = errors.New("pir: question already opened")
	// ErrFile means that a stored snapshot is torn or not one.
	ErrFile = errors.New("pir: damaged snapshot file")
	// ErrRange means a band, column or offset outside the matrix.
	ErrRange = errors.New("pir: outside the matrix")
)
