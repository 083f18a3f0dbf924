package person

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"whither/client"
	"whither/mapping"
)

// Claim is a mapping of the person's that others were asked about: it is held, as
// kept in claims/ID.json.
type Claim struct {
	ID     string    `json:"id"`
	CSI    string    `json:"csi"`
	DP     string    `json:"dp"`
	Review bool      `json:"review,omitempty"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	// Artefact is the raw evidence, which is the holder's to keep.
	Artefact []byte `json:"artefact,omitempty"`
}

// SaveClaim keeps a mapping that is held.
func (f *Folder) SaveClaim(h *client.Held, w client.Wish, artefact []byte) error {
	b, err := json.Marshal(Claim{
		ID: h.ID.String(), CSI: w.CSI.Canonical(), DP: h.DP.String(), Review: h.Review, Reason: h.Reason,
		Since: f.now().UTC(), Until: h.Until.UTC(), Artefact: artefact,
	})
	if err != nil {
		return err
	}
	return WriteFile(f.claim(h.ID.String()), b)
}

func (f *Folder) claim(id string) string { return f.Path("claims", id+".json") }

// Claims are the person's mappings that are held, in the order of their ids.
func (f *Folder) Claims() ([]Claim, error) {
	files, err := filepath.Glob(f.Path("claims", "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []Claim
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var c Claim
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("claims/%s is damaged: %w", filepath.Base(name), err)
		}
		if strings.TrimSuffix(filepath.Base(name), ".json") != c.ID {
			return nil, fmt.Errorf("claims/%s is about another claim", filepath.Base(name))
		}
		out = append(out, c)
	}
	return out, nil
}

// Settled takes a claim that was decided out of the claims; one that has won is
// one of the person's mappings from then on.
func (f *Folder) Settled(c Claim, v mapping.Verified) error {
	if !v.IsZero() {
		if err := f.Save(v, c.Artefact); err != nil {
			return err
		}
	}
	return os.Remove(f.claim(c.ID))
}

// End puts a mapping that has ended away: its evidence and what was signed stay
// with the person, in ended/ID.json.
func (f *Folder) End(id string) error {
	if err := os.MkdirAll(f.Path("ended"), 0o700); err != nil {
		return err
	}
	return os.Rename(f.Path("mappings", id+".json"), f.Path("ended", id+".json"))
}

// SaveReproof keeps what the person showed when she proved again.
func (f *Folder) SaveReproof(v mapping.Verified, r client.Reproof) error {
	b, err := json.Marshal(map[string]any{
		"mapping": v.Claims().ID.String(), "at": f.now().UTC(), "level": r.Level, "answered": r.Answered,
		"statement": r.Statement, "receipts": r.Receipts,
	})
	if err != nil {
		return err
	}
	return WriteFile(f.Path("answers", fmt.Sprintf("%s-%d.json", v.Claims().ID, f.now().Unix())), b)
}

// readState reads a file of the folder that may be absent.
func readState(path string, v any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

func writeState(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return WriteFile(path, b)
}
