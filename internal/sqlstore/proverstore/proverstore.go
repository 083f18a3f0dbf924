// Package proverstore keeps a prover's challenges in an SQL database of its
// own. Its spec is docs/spec/storage.md.
//
// It promises what [prover.Store] asks for, and that nothing about a person
// stands in the database in clear. Not even the ids of challenges do: whoever
// has one can fetch the receipt. It does not judge answers.
//
// Times are milliseconds since 1970 in the database; lengths are bytes.
package proverstore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"whither/csi"
	"whither/internal/canon"
	"whither/internal/prover"
	"whither/internal/sqlstore/sealed"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/sqlstore/vault"
	"whither/key"
	"whither/possession"
	"whither/problem"
)

// Store is the store of a prover.
type Store struct{ *sealed.Store }

var _ prover.Store = (*Store)(nil)

// steps are the schema; NNNN.sql leads from schema NNNN−1 to NNNN.
//
//go:embed schema
var steps embed.FS

// tableChallenges has the sealed rows.
const tableChallenges = "challenges"

// Open opens a prover's database, and makes it if there is none. ctx bounds the
// opening alone.
func Open(ctx context.Context, o sealed.Options) (*Store, error) {
	schema, err := fs.Sub(steps, "schema")
	if err != nil {
		return nil, fmt.Errorf("proverstore: %w", err)
	}
	s, err := sealed.Open(ctx, o, sealed.Schema{Role: "prover", Steps: schema, Table: tableChallenges})
	if err != nil {
		return nil, err
	}
	return &Store{s}, nil
}

// challengeRow is a row of the table challenges as it is written and read.
type challengeRow struct {
	id, mailbox      vault.Label
	started, expires int64
	due              sql.NullInt64
	vault.Sealed
}

// challengeBody is what a row's body says.
type challengeBody struct {
	ID        prover.ID                  `cbor:"1,keyasint"`
	Mailbox   prover.Mailbox             `cbor:"2,keyasint"`
	Kind      possession.Kind            `cbor:"3,keyasint"`
	Purpose   possession.Purpose         `cbor:"4,keyasint"`
	CSI       csi.Clear                  `cbor:"5,keyasint"`
	Holder    key.Public                 `cbor:"6,keyasint"`
	Nonce     [possession.NonceSize]byte `cbor:"7,keyasint"`
	State     prover.State               `cbor:"8,keyasint"`
	Problem   problem.Kind               `cbor:"9,keyasint"`
	Tries     int                        `cbor:"10,keyasint"`
	Delivered bool                       `cbor:"11,keyasint"`
	Attempts  int                        `cbor:"12,keyasint"`
	Next      int64                      `cbor:"13,keyasint"`
	Receipt   []byte                     `cbor:"14,keyasint"`
	Artefact  []byte                     `cbor:"15,keyasint"`
	Memo      string                     `cbor:"16,keyasint,omitempty"`
	Incumbent bool                       `cbor:"17,keyasint,omitempty"`
	SIM       string                     `cbor:"18,keyasint,omitempty"`
}

// maxChallenge bounds a body: the artefact, the receipt, the memo, and 2 KiB for
// the rest.
const maxChallenge = prover.MaxArtefact + possession.MaxReceipt + prover.MaxMemo + 2048

// idLabel and mailboxLabel are labels of two kinds of random names of one
// length; the words keep them apart.
func (p *Store) idLabel(id prover.ID) vault.Label {
	return p.Vault.Label(append([]byte("challenge "), id[:]...))
}

func (p *Store) mailboxLabel(m prover.Mailbox) vault.Label {
	return p.Vault.Label(append([]byte("mailbox "), m[:]...))
}

func (r *challengeRow) place() vault.Place {
	return vault.Place{Table: tableChallenges, Label: r.mailbox, ID: r.id[:]}
}

// columns encodes the columns that the body is bound to. All are of fixed
// length; a due that is null is one that never comes.
func (r *challengeRow) columns() []byte {
	b := make([]byte, 0, 25)
	for _, ms := range []int64{r.started, r.expires, r.due.Int64} {
		b = binary.BigEndian.AppendUint64(b, uint64(ms))
	}
	if r.due.Valid {
		return append(b, 1)
	}
	return append(b, 0)
}

// seal makes the row of a challenge.
func (p *Store) seal(c prover.Challenge) (challengeRow, error) {
	body, err := canon.Marshal(challengeBody{
		ID: c.ID, Mailbox: c.Mailbox, Kind: c.Kind, Purpose: c.Purpose, CSI: csi.Clear{ID: c.CSI}, Holder: c.Holder,
		Nonce: c.Nonce, State: c.State, Problem: c.Problem, Tries: c.Tries, Delivered: c.Delivered, Attempts: c.Attempts,
		Next: sqldb.Milliseconds(c.Next), Receipt: c.Receipt, Artefact: c.Artefact, Memo: c.Memo, Incumbent: c.Incumbent, SIM: c.SIM,
	})
	if err != nil {
		return challengeRow{}, fmt.Errorf("proverstore: %w", err)
	}
	r := challengeRow{id: p.idLabel(c.ID), mailbox: p.mailboxLabel(c.Mailbox), started: sqldb.Milliseconds(c.Started), expires: sqldb.Milliseconds(c.Expires)}
	if c.State == prover.Waiting && !c.Delivered {
		r.due = sql.NullInt64{Int64: sqldb.Milliseconds(c.Next), Valid: true}
	}
	r.Sealed, err = p.Vault.Seal(r.place(), r.columns(), body)
	return r, err
}

const challengeColumns = "id, label, started, expires, due, generation, key, body"

// scan reads and opens a row.
func (p *Store) scan(row sqldb.Row) (prover.Challenge, error) {
	var r challengeRow
	var id, mailbox sql.RawBytes
	if err := row.Scan(&id, &mailbox, &r.started, &r.expires, &r.due, &r.Generation, &r.Key, &r.Body); err != nil {
		return prover.Challenge{}, err
	}
	if len(id) != len(r.id) || len(mailbox) != len(r.mailbox) {
		return prover.Challenge{}, fmt.Errorf("%w: length of a column", sealed.ErrCorrupt)
	}
	r.id, r.mailbox = vault.Label(id), vault.Label(mailbox)
	plain, err := p.Vault.Open(r.place(), r.columns(), r.Sealed)
	if err != nil {
		return prover.Challenge{}, err
	}
	var b challengeBody
	if err := canon.Unmarshal(plain, maxChallenge, &b); err != nil {
		return prover.Challenge{}, fmt.Errorf("%w: %w", sealed.ErrCorrupt, err)
	}
	return prover.Challenge{
		ID: b.ID, Mailbox: b.Mailbox, Kind: b.Kind, Purpose: b.Purpose, CSI: b.CSI.ID, Holder: b.Holder, Nonce: b.Nonce,
		Started: sqldb.Time(r.started), Expires: sqldb.Time(r.expires), State: b.State, Problem: b.Problem, Tries: b.Tries,
		Memo: b.Memo, Incumbent: b.Incumbent, Delivered: b.Delivered, Attempts: b.Attempts, Next: sqldb.Time(b.Next),
		Proof: prover.Proof{Receipt: b.Receipt, Artefact: b.Artefact, SIM: b.SIM},
	}, nil
}

// Start implements [prover.Store].
func (p *Store) Start(ctx context.Context, c prover.Challenge) error {
	r, err := p.seal(c)
	if err != nil {
		return err
	}
	return p.DB.Write(ctx, "start", func(ctx context.Context, t *sqldb.Tx) error {
		n, err := t.Affect(ctx, "INSERT INTO challenges ("+challengeColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
			r.id[:], r.mailbox[:], r.started, r.expires, r.due, r.Generation, r.Key, r.Body)
		if err != nil {
			return err
		}
		if n == 0 {
			return prover.ErrTaken
		}
		return nil
	})
}

// ByID implements [prover.Store].
func (p *Store) ByID(ctx context.Context, id prover.ID) (prover.Challenge, error) {
	l := p.idLabel(id)
	return p.one(ctx, "id = $1", l[:])
}

// ByMailbox implements [prover.Store].
func (p *Store) ByMailbox(ctx context.Context, m prover.Mailbox) (prover.Challenge, error) {
	l := p.mailboxLabel(m)
	return p.one(ctx, "label = $1", l[:])
}

func (p *Store) one(ctx context.Context, where string, args ...any) (prover.Challenge, error) {
	found, err := p.list(ctx, where, args...)
	switch {
	case err != nil:
		return prover.Challenge{}, err
	case len(found) == 0:
		return prover.Challenge{}, prover.ErrUnknown
	default:
		return found[0], nil
	}
}

// list returns the challenges that a condition selects, in its order.
func (p *Store) list(ctx context.Context, where string, args ...any) ([]prover.Challenge, error) {
	var found []prover.Challenge
	err := p.DB.Each(ctx, func(row sqldb.Row) error {
		c, err := p.scan(row)
		found = append(found, c)
		return err
	}, "SELECT "+challengeColumns+" FROM challenges WHERE "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("proverstore: challenges: %w", err)
	}
	return found, nil
}

// change has f change a challenge and writes it back.
func (p *Store) change(ctx context.Context, write string, id prover.ID, f func(*prover.Challenge) error) error {
	l := p.idLabel(id)
	return p.DB.Write(ctx, write, func(ctx context.Context, t *sqldb.Tx) error {
		var c prover.Challenge
		found := false
		err := t.Each(ctx, func(row sqldb.Row) (err error) {
			found = true
			c, err = p.scan(row)
			return err
		}, "SELECT "+challengeColumns+" FROM challenges WHERE id = $1", l[:])
		if err != nil {
			return err
		}
		if !found {
			return prover.ErrUnknown
		}
		if err := f(&c); err != nil {
			return err
		}
		r, err := p.seal(c)
		if err != nil {
			return err
		}
		return t.Exec(ctx, "UPDATE challenges SET due = $1, generation = $2, key = $3, body = $4 WHERE id = $5",
			r.due, r.Generation, r.Key, r.Body, r.id[:])
	})
}

// Delivered implements [prover.Store].
func (p *Store) Delivered(ctx context.Context, id prover.ID) error {
	return p.change(ctx, "delivered", id, func(c *prover.Challenge) error {
		c.MarkDelivered()
		return nil
	})
}

// Postpone implements [prover.Store].
func (p *Store) Postpone(ctx context.Context, id prover.ID, why problem.Kind, next time.Time) error {
	return p.change(ctx, "postpone", id, func(c *prover.Challenge) error { return c.Postpone(why, next) })
}

// Refuse implements [prover.Store].
func (p *Store) Refuse(ctx context.Context, id prover.ID, r prover.Refusal) error {
	return p.change(ctx, "refuse", id, func(c *prover.Challenge) error { return c.Refuse(r) })
}

// Prove implements [prover.Store].
func (p *Store) Prove(ctx context.Context, id prover.ID, proof prover.Proof) error {
	return p.change(ctx, "prove", id, func(c *prover.Challenge) error { return c.Prove(proof) })
}

// DeliveriesDue implements [prover.Store].
func (p *Store) DeliveriesDue(ctx context.Context, now time.Time, max int) ([]prover.Challenge, error) {
	if max <= 0 {
		return nil, nil
	}
	return p.list(ctx, "due <= $1 AND expires > $1 ORDER BY due, id LIMIT $2", sqldb.Milliseconds(now), max)
}

// StartedSince implements [prover.Store].
func (p *Store) StartedSince(ctx context.Context, since time.Time, max int) ([]prover.Challenge, error) {
	if max <= 0 {
		return nil, nil
	}
	found, err := p.list(ctx, "started >= $1 ORDER BY started DESC, id LIMIT $2", sqldb.CeilMilliseconds(since), max)
	for i := range found {
		found[i].Proof = prover.Proof{}
	}
	return found, err
}

// Sweep implements [prover.Store].
func (p *Store) Sweep(ctx context.Context, now time.Time, max int) (int, error) {
	if max <= 0 {
		return 0, nil
	}
	p.DB.Tidy()
	var n int64
	err := p.DB.Write(ctx, "sweep", func(ctx context.Context, t *sqldb.Tx) (err error) {
		n, err = t.Affect(ctx, "DELETE FROM challenges WHERE id IN "+
			"(SELECT id FROM challenges WHERE expires <= $1 ORDER BY expires LIMIT $2)", sqldb.Milliseconds(now), max)
		return err
	})
	return int(n), err
}
