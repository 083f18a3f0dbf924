package doctor

import (
	"errors"
	"io/fs"

	"whither/internal/keyfile"
	"whither/registry"
	"whither/registry/tuf"
)

// mendRegistry says what to do about a registry that does not open.
func mendRegistry(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "put the federation's registry.set and root.json where the settings say"
	case errors.Is(err, registry.ErrExpired), errors.Is(err, tuf.ErrExpired):
		return "fetch the federation's newer registry; if this is the newest, check this machine's clock"
	case errors.Is(err, registry.ErrNotYet):
		return "the registry is of the future: set this machine's clock by NTP"
	case errors.Is(err, tuf.ErrUnsigned):
		return "registry and root belong to different federations, or the file was changed: fetch both anew, the root by a way that you trust"
	default:
		return "the file is damaged: fetch it anew"
	}
}

// mendKey says what to do about a key file that does not open.
func mendKey(err error) string {
	switch {
	case errors.Is(err, keyfile.ErrMissing):
		return "restore it from the backup; a new party makes all of them with whither party, a person with whither keygen"
	case errors.Is(err, keyfile.ErrMode):
		return "others may have read it: make a new one; if you know that nobody did, chmod 600"
	default:
		return "restore it from the backup"
	}
}
