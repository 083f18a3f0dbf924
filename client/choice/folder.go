package choice

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"whither/csi"
	"whither/key"
	"whither/mapping"
	"whither/registry"
)

// Files of a folder.
const (
	choicesFile = "choices.json"
	secretFile  = "choices.key"
)

// MaxFile bounds choices.json, in octets: some 100,000 contacts.
const MaxFile = 64 << 20

const fileVersion = 1

// Errors of a folder.
var (
	ErrFolder  = errors.New("choice: the memory of choices cannot be read: mend it or move both of its files away")
	ErrVersion = errors.New("choice: the memory of choices was written by a newer release: use that")
	ErrFull    = errors.New("choice: the memory of choices has reached 64 MiB: forget some contacts")
)

// Folder is a memory in a folder of the asker's device, in two files that only
// she can read: choices.json, and choices.key with the secret that makes its
// names.
//
// A contact's name in it is HMAC-SHA-256(secret, CSI), a purpose's likewise, so
// that choices.json alone names nobody and does not say what the asker calls her
// groups. Who has both files can try all telephone numbers; they are to be kept
// like an address book. Providers stand there in clear.
//
// A write replaces choices.json as a whole, and reads it again first. Of two
// processes that write at the same moment one may lose its note; what was picked
// is then picked again, the same, and what the asker said must be said again.
type Folder struct {
	dir    string
	secret []byte
	mu     sync.Mutex
	book   book // as last read or written
}

var _ Memory = (*Folder)(nil)

// book is choices.json.
type book struct {
	Version  int                        `json:"version"`
	Contacts map[string]map[string]memo `json:"contacts"` // by contact and purpose, each in hexadecimal
}

// memo is a [Memo] in the file.
type memo struct {
	Lineage  string `json:"lineage"`
	Holder   string `json:"holder"`
	Provider string `json:"provider"`
	DP       string `json:"dp"`
	By       By     `json:"by"`
}

// OpenFolder opens the memory in dir, and begins an empty one there if there is
// none. A memory that cannot be read is an error, not an empty one: forgotten
// choices would scatter conversations.
func OpenFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f := &Folder{dir: dir}
	var err error
	if f.secret, err = f.readSecret(); err != nil {
		return nil, err
	}
	if f.book, err = f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// readSecret reads the secret, or makes one where there are no choices yet.
func (f *Folder) readSecret() ([]byte, error) {
	path := filepath.Join(f.dir, secretFile)
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(f.dir, choicesFile)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s is missing", ErrFolder, secretFile)
		}
		secret = make([]byte, sha256.Size)
		if _, err := rand.Read(secret); err != nil {
			return nil, err
		}
		if err = write(path, secret, os.Link); errors.Is(err, fs.ErrExist) {
			secret, err = os.ReadFile(path) // another process was first
		}
	}
	if err == nil && len(secret) != sha256.Size {
		err = fmt.Errorf("%w: %s", ErrFolder, secretFile)
	}
	return secret, err
}

// read reads choices.json strictly.
func (f *Folder) read() (book, error) {
	file, err := os.Open(filepath.Join(f.dir, choicesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return book{Version: fileVersion, Contacts: map[string]map[string]memo{}}, nil
	}
	if err != nil {
		return book{}, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return book{}, err
	}
	return parseBook(text)
}

func parseBook(text []byte) (book, error) {
	var version struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(text, &version) == nil && version.Version > fileVersion {
		return book{}, ErrVersion
	}
	var b book
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	switch err := d.Decode(&b); {
	case len(text) > MaxFile, err != nil, b.Version != fileVersion, b.Contacts == nil:
		return book{}, ErrFolder // the decoder's words would hold parts of the file
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return book{}, ErrFolder
	}
	for name, memos := range b.Contacts {
		for purpose, m := range memos {
			if _, err := m.memo(); err != nil || !isName(name) || !isName(purpose) {
				return book{}, ErrFolder
			}
		}
	}
	return b, nil
}

func (b book) text() ([]byte, error) {
	text, err := json.MarshalIndent(b, "", " ")
	return append(text, '\n'), err
}

func isName(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && hex.EncodeToString(b) == s
}

// Recall implements [Memory].
func (f *Folder) Recall(id csi.ID, purpose string) (Past, error) {
	contact, slot := f.names(id, purpose)
	_, general := f.names(id, "")
	f.mu.Lock()
	defer f.mu.Unlock()
	var past Past
	for name, m := range f.book.Contacts[contact] {
		there, err := m.memo()
		if err != nil {
			return Past{}, err
		}
		past.add(there, name == general, name == slot)
	}
	return past, nil
}

// Remember implements [Memory].
func (f *Folder) Remember(notes ...Note) error {
	return f.change(func(b book) {
		for _, n := range notes {
			contact, slot := f.names(n.CSI, n.Purpose)
			if b.Contacts[contact] == nil {
				b.Contacts[contact] = make(map[string]memo)
			}
			b.Contacts[contact][slot] = memo{
				n.Memo.Lineage.String(), hex.EncodeToString(n.Memo.Holder[:]), n.Memo.Provider.String(), n.Memo.DP.String(), n.Memo.By,
			}
		}
	})
}

// Forget implements [Memory].
func (f *Folder) Forget(ids ...csi.ID) error {
	return f.change(func(b book) {
		for _, id := range ids {
			contact, _ := f.names(id, "")
			delete(b.Contacts, contact)
		}
	})
}

// change reads the file, changes what it says and writes it. If that fails, the
// file is as before, and so is what Recall returns.
func (f *Folder) change(edit func(book)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := f.read()
	if err != nil {
		return err
	}
	edit(b)
	text, err := b.text()
	if err != nil {
		return err
	}
	if len(text) > MaxFile {
		return ErrFull
	}
	if err := write(filepath.Join(f.dir, choicesFile), text, os.Rename); err != nil {
		return err
	}
	f.book = b
	return nil
}

// names are the contact's and the purpose's names in the file:
//
//	HMAC-SHA-256(secret, "whither/v1/choice/contact" ‖ 0x00 ‖ CSI)
//	HMAC-SHA-256(secret, "whither/v1/choice/purpose" ‖ 0x00 ‖ CSI ‖ 0x00 ‖ purpose)
func (f *Folder) names(id csi.ID, purpose string) (contact, slot string) {
	name := func(text string) string {
		h := hmac.New(sha256.New, f.secret)
		h.Write([]byte(text))
		return hex.EncodeToString(h.Sum(nil))
	}
	return name("whither/v1/choice/contact\x00" + id.Canonical()),
		name("whither/v1/choice/purpose\x00" + id.Canonical() + "\x00" + purpose)
}

// memo reads what the file says.
func (m memo) memo() (Memo, error) {
	var out Memo
	lineage, err := hex.DecodeString(m.Lineage)
	if err != nil || len(lineage) != len(mapping.Lineage{}) {
		return Memo{}, ErrFolder
	}
	holder, err := hex.DecodeString(m.Holder)
	if err != nil || len(holder) != len(key.ID{}) {
		return Memo{}, ErrFolder
	}
	out.Lineage, out.Holder, out.By = mapping.Lineage(lineage), key.ID(holder), m.By
	var errProvider, errDP error
	out.Provider, errProvider = registry.ParsePartyID(m.Provider)
	out.DP, errDP = registry.ParsePartyID(m.DP)
	if errProvider != nil || errDP != nil || (m.By != ByTag && m.By != ByPick && m.By != ByUser) {
		return Memo{}, ErrFolder
	}
	return out, nil
}

// write writes a file that only its owner can read, whole or not at all: after a
// crash there is the old one or the new one. With os.Rename it replaces what is
// there, with os.Link it fails if there is something.
func write(path string, text []byte, place func(from, to string) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".choices-") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = place(file.Name(), path)
	}
	if gone := os.Remove(file.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}
