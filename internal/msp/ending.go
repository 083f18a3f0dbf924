package msp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"whither/cosigner"
	"whither/csi"
	"whither/internal/keyfile"
	"whither/internal/sqlstore/mspstore"
	"whither/internal/sqlstore/sqldb"
	"whither/wire"
)

// ErrNoName: there is no account of this name.
var ErrNoName = errors.New("msp: there is no account of this name")

// Bounds of telling DPs which entries have ended: at once, and how long to wait
// before a DP that did not take a statement is told again. It may be a claim
// that lives later.
const (
	endBatch   = 16
	endTime    = 10 * time.Second
	minEndWait = time.Minute
	maxEndWait = 24 * time.Hour
)

// CloseAccount closes an account of an MSP's folder: nobody is signed in with its
// token any more, and what the MSP has confirmed for its CSIs ends. A running
// MSP, or the next one to run, takes both over within a tick.
//
// A crash between the two leaves the account there; closing it again does the
// rest.
func CloseAccount(ctx context.Context, dir string, s Settings, name string) error {
	secret, err := keyfile.ReadSecret(filepath.Join(dir, "keys", offerFile))
	if err != nil {
		return err
	}
	accounts, err := OpenAccountsIn(dir)
	if err != nil {
		return err
	}
	csis, ok := accounts.csis(name)
	if !ok {
		return ErrNoName
	}
	at, err := sqldb.Locate(s.Store.URL, dir, databaseFile)
	if err != nil {
		return fmt.Errorf("msp: %s: store: %w", SettingsFile, err)
	}
	ledger, err := mspstore.Open(ctx, at)
	if err != nil {
		return err
	}
	for _, one := range csis {
		err = errors.Join(err, ledger.Leave(ctx, cosigner.BoxOf(cosigner.Secret(secret), one.ID)))
	}
	if err == nil {
		err = accounts.Remove(name)
	}
	return errors.Join(err, ledger.Close())
}

// leave carries out what CloseAccount noted. takeOver takes the accounts over in
// between: from then on nobody gets a signature as the closed account. A CSI that
// an account has still, or again, is left alone.
func (m *MSP) leave(ctx context.Context, now time.Time, takeOver func()) error {
	leaving, err := m.config.Ledger.Leaving(ctx)
	takeOver()
	for _, b := range leaving {
		has := func(id csi.ID) bool { return cosigner.BoxOf(m.config.Offers, id) == b }
		if !m.config.Accounts.some(has) {
			err = errors.Join(err, m.config.Ledger.End(ctx, b, now))
		}
	}
	return errors.Join(err, m.tellEnds(ctx, now))
}

// tellEnds tells DPs which entries have ended.
func (m *MSP) tellEnds(ctx context.Context, now time.Time) error {
	due, err := m.config.Ledger.EndsDue(ctx, now, endBatch)
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	for _, c := range due {
		next := time.Time{} // told: forgotten
		if err := m.tellEnd(call, c); err != nil {
			m.config.Log.InfoContext(ctx, "the end of an entry is not taken yet", slog.String("dp", c.DP.String()), slog.Any("error", err))
			next = now.Add(min(max(now.Sub(c.Ended), minEndWait), maxEndWait))
		}
		if err := m.config.Ledger.Postpone(ctx, c, next); err != nil {
			return err
		}
	}
	return nil
}

func (m *MSP) tellEnd(ctx context.Context, c cosigner.Confirmation) error {
	statement, err := c.Statement(m.config.Party, m.config.Key)
	if err != nil {
		return err
	}
	var a wire.EndAnswer
	return m.backend.dps.Call(ctx, c.DP, wire.PathEnds, "", wire.EndRequest{Statement: statement}, &a)
}
