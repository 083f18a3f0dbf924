package person

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"whither/client"
	"whither/internal/pinned"
	"whither/possession"
	"whither/problem"
)

// Journal opens the state of an interrupted enrolment for the same wish, or an
// empty one. The function that it returns is given the enrolment's error: the
// state is kept when going on with it can help, else dropped.
//
// The file's name is a hash of CSI, key and MSPs: the folder's owner alone
// knows the key's share of it, and no address can be read off it.
func (f *Folder) Journal(w client.Wish) (*client.Enrolment, func(error) error, error) {
	h := sha256.New()
	subject := possession.SubjectOf(w.CSI, w.Key.Public())
	h.Write(subject[:])
	for _, id := range w.MSPs {
		h.Write([]byte(id.String() + "\x00"))
	}
	path := f.Path("enrolments", hex.EncodeToString(h.Sum(nil)[:16])+".json")
	e := new(client.Enrolment)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	if err == nil {
		if err := json.Unmarshal(b, e); err != nil {
			return nil, nil, fmt.Errorf("%s is damaged; remove it and start again: %w", path, err)
		}
	}
	return e, func(result error) error {
		if result != nil && resumable(result) && len(e.DPOffer.Offer) > 0 { // else nothing has begun
			b, err := json.Marshal(e)
			if err != nil {
				return errors.Join(result, err)
			}
			if err := WriteFile(path, b); err != nil {
				return errors.Join(result, err)
			}
			return fmt.Errorf("%w; run the same command again to go on", result)
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(result, err)
		}
		return result
	}, nil
}

// resumable reports whether the same enrolment can go on later.
func resumable(err error) bool {
	if k := problem.KindOf(err); k != "" {
		return k.Row().Retry == problem.RetryLater
	}
	return !errors.Is(err, client.ErrAnswer) && !errors.Is(err, client.ErrHeld) && !errors.Is(err, pinned.ErrSplitView)
}
