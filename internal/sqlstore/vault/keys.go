package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"whither/internal/keyfile"
)

// The files of a role's folder.
const (
	keyFolder = "keys"
	rowKey    = "row.key"
	kekFolder = "kek"
	kekSuffix = ".key"
)

// MakeKeys makes the keys of a new database in a role's folder: keys/row.key
// and kek/1.key. It refuses to overwrite either.
func MakeKeys(folder string) (Keys, error) {
	row, err := keyfile.MakeSecret(filepath.Join(folder, keyFolder, rowKey))
	if err != nil {
		return Keys{}, err
	}
	kek, err := keyfile.MakeSecret(kekPath(folder, 1))
	if err != nil {
		return Keys{}, err
	}
	return Keys{Row: row, Generations: map[uint32]keyfile.Secret{1: kek}, Current: 1}, nil
}

// MakeGeneration makes the key of the next generation in a role's folder. It
// becomes the current one when the keys are loaded next.
func MakeGeneration(folder string) (uint32, error) {
	numbers, err := generations(folder)
	if err != nil {
		return 0, err
	}
	next := slices.Max(numbers) + 1
	_, err = keyfile.MakeSecret(kekPath(folder, next))
	return next, err
}

// LoadKeys reads the keys of a role's folder. The highest generation is the
// current one.
func LoadKeys(folder string) (Keys, error) {
	row, err := keyfile.ReadSecret(filepath.Join(folder, keyFolder, rowKey))
	if err != nil {
		return Keys{}, err
	}
	numbers, err := generations(folder)
	if err != nil {
		return Keys{}, err
	}
	k := Keys{Row: row, Generations: make(map[uint32]keyfile.Secret), Current: slices.Max(numbers)}
	for _, n := range numbers {
		if k.Generations[n], err = keyfile.ReadSecret(kekPath(folder, n)); err != nil {
			return Keys{}, err
		}
	}
	return k, nil
}

func kekPath(folder string, n uint32) string {
	return filepath.Join(folder, kekFolder, strconv.FormatUint(uint64(n), 10)+kekSuffix)
}

// generations lists the numbers in a role's kek folder; there is at least one.
func generations(folder string) ([]uint32, error) {
	entries, err := os.ReadDir(filepath.Join(folder, kekFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no folder %s", keyfile.ErrMissing, kekFolder)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	numbers := make(map[uint32]bool)
	for _, e := range entries {
		text, isKey := strings.CutSuffix(e.Name(), kekSuffix)
		n, err := strconv.ParseUint(text, 10, 32)
		// The comparison refuses second spellings, as 01.key.
		if !isKey || err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
			return nil, fmt.Errorf("%w: %s/%s is no GENERATION.key", ErrKeys, kekFolder, e.Name())
		}
		numbers[uint32(n)] = true
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%w: the folder %s is empty", keyfile.ErrMissing, kekFolder)
	}
	return slices.Collect(maps.Keys(numbers)), nil
}
