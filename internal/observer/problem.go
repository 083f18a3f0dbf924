package observer

import (
	"errors"

	"whither/internal/endpoint"
	"whither/problem"
)

// table is the one table from an observer's errors to problem kinds; the first
// row that matches counts. A test walks every exported error of the package and
// fails on one without a row.
var table = [...]struct {
	err  error
	kind problem.Kind
}{
	{ErrKind, problem.KeyKind},
	{ErrUnpublished, problem.KeyUnpublished},
	{ErrUnusable, problem.KeyUnusable},
	{ErrLookup, problem.KeyLookup},
	{ErrLimited, problem.Limited},
	{ErrBusy, problem.Limited},
	{ErrNoList, problem.ListUnknown},
	{ErrPublished, problem.Internal},
	{ErrUnlisted, problem.Unavailable},
	{endpoint.ErrRegistryStale, problem.Registry},
}

// Kind is the observer's table from errors to problem kinds, "" for an error
// that it does not know.
func Kind(err error) problem.Kind {
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.kind
		}
	}
	return ""
}
