package person

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"whither/client"
	"whither/csi"
	"whither/internal/keyfile"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

// rotation is a hand-over under way: the new key is keys/next.pem, and the
// statements that were signed once are kept, since a DP takes one a lineage.
type rotation map[string][]byte

// Rotate hands every mapping of the person's over from her key to a new one, which
// is hers from then on. Interrupted, it goes on when it is called again; until it
// is done, both keys are kept. It returns the mappings as they are now.
func (f *Folder) Rotate(ctx context.Context, c *client.Client, say client.Progress) ([]mapping.Verified, error) {
	old, err := f.HolderKey()
	if err != nil {
		return nil, err
	}
	next, err := keyfile.Signing(f.Path("keys", "next.pem"))
	if errors.Is(err, keyfile.ErrMissing) {
		next, err = keyfile.MakeSigning(f.Path("keys", "next.pem"))
	}
	if err != nil {
		return nil, err
	}
	ids, err := f.IDs()
	if err != nil {
		return nil, err
	}
	signed := make(rotation)
	if _, err := readState(f.rotation(), &signed); err != nil {
		return nil, err
	}
	var out []mapping.Verified
	for _, id := range ids {
		v, own, err := f.Load(id)
		if err != nil {
			return out, fmt.Errorf("mapping %s: %w; withdraw it, and go on", id, err)
		}
		if v, err = f.handOver(ctx, c, v, old, next, signed, say); err != nil {
			return out, fmt.Errorf("mapping %s: %w", id, err)
		}
		if err := f.Save(v, own.Artefact); err != nil {
			return out, err
		}
		out = append(out, v)
	}
	// The old key signs for nothing any more.
	if err := os.Rename(f.Path("keys", "next.pem"), f.Path("keys", "holder.pem")); err != nil {
		return out, err
	}
	if err := os.Remove(f.rotation()); len(out) > 0 {
		return out, err
	}
	return out, nil
}

func (f *Folder) rotation() string { return f.Path("keys", "next.json") }

// handOver puts one mapping under the new key.
func (f *Folder) handOver(
	ctx context.Context, c *client.Client, v mapping.Verified, old, next key.Private, signed rotation, say client.Progress,
) (mapping.Verified, error) {
	claims := v.Claims()
	// It may have been done, and this folder not have heard of it.
	if s, err := c.Standing(ctx, claims.DP, claims.ID, next); err == nil && !s.Mapping.IsZero() {
		return s.Mapping, nil
	}
	statement, err := f.handOverOf(claims.CSI, claims.Lineage, old, next, signed)
	if err != nil {
		return v, err
	}
	w := client.Wish{
		CSI: claims.CSI, Key: next, DP: claims.DP, Residency: claims.Residency, Tokens: make(map[registry.PartyID]string),
		Replaces: &v, Statement: statement,
	}
	for _, e := range claims.Entries {
		w.MSPs, w.Tags = append(w.MSPs, e.Provider), e.Tags
		if _, w.Tokens[e.Provider], err = f.Account(e.Provider.String()); err != nil {
			return v, err
		}
	}
	done, err := c.Enrol(ctx, w, nil, &client.Enrolment{}, say)
	return done.Mapping, err
}

// handOverOf returns the statement for a lineage, which is made once: it is on
// disk before a DP sees it.
func (f *Folder) handOverOf(id csi.ID, l mapping.Lineage, old, next key.Private, signed rotation) ([]byte, error) {
	name := hex.EncodeToString(l[:])
	if s, err := mapping.ParseStatement(signed[name]); err == nil && s.Newer == next.Public() { // else of an earlier rotation
		return signed[name], nil
	}
	b, err := mapping.Propose(mapping.HandOver, id, l, old, next.Public(), f.now())
	if err != nil {
		return nil, err
	}
	s, err := mapping.ParseProposal(b)
	if err != nil {
		return nil, err
	}
	if signed[name], err = s.Accept(next, f.now()); err != nil {
		return nil, err
	}
	return signed[name], writeState(f.rotation(), signed)
}
