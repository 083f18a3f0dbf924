// Package sqlstore keeps a DP's mappings in an SQL database. Its spec is
// docs/spec/storage.md.
//
// It promises what [directory.Store] asks for, and that nothing about a person
// stands in the database in clear: a CSI is looked up by a label, which is an
// HMAC of it, and all else that is said about somebody is sealed. How, says
// package vault; what makes writes durable is in package sqldb; package sealed
// puts the two together. The other roles' stores stand beside it:
// proverstore and mspstore. Each role has a database of its own.
//
// What it does not check: whether a mapping is true (package mapping, before),
// which one has precedence (package directory), and whether the whole file was
// put back to an older state.
//
// Times are milliseconds since 1970 in the database; lengths are bytes.
package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
)

// Options open a database.
type Options = sealed.Options

// Keys open what a database holds.
type Keys = vault.Keys

// Fault is what shall go wrong with a write in a test.
type Fault = sqldb.Fault

// The faults; see package sqldb.
const (
	NoFault    = sqldb.NoFault
	FailBefore = sqldb.FailBefore
	FailAfter  = sqldb.FailAfter
	RunTwice   = sqldb.RunTwice
)

// MakeKeys makes the keys of a new database in a role's folder.
func MakeKeys(folder string) (Keys, error) { return vault.MakeKeys(folder) }

// LoadKeys reads the keys of a role's folder.
func LoadKeys(folder string) (Keys, error) { return vault.LoadKeys(folder) }

// Directory is the store of a DP.
type Directory struct {
	*sealed.Store
	find []string // see findQueries
}

var _ directory.Store = (*Directory)(nil)

// steps are the schema; NNNN.sql leads from schema NNNN−1 to NNNN.
//
//go:embed schema
var steps embed.FS

// The tables with sealed rows.
const (
	tableMappings = "mappings"
	tableRecords  = "records"
)

// OpenDirectory opens a DP's database, and makes it if there is none. ctx
// bounds the opening alone.
func OpenDirectory(ctx context.Context, o Options) (*Directory, error) {
	schema, err := fs.Sub(steps, "schema")
	if err != nil {
		return nil, fmt.Errorf("sqlstore: %w", err)
	}
	s, err := sealed.Open(ctx, o, sealed.Schema{Role: "directory", Steps: schema, Table: tableMappings, Also: []string{tableRecords}})
	if err != nil {
		return nil, err
	}
	return &Directory{Store: s, find: findQueries()}, nil
}
