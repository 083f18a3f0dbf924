package contacts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"whither/client/contacts"
	"whither/csi"
	"whither/csi/national"
)

const vectorDir = "../../vectors/contacts"

type vector struct {
	Name     string    `json:"name"`
	File     string    `json:"file"`
	Region   string    `json:"region"`
	Contacts []contact `json:"contacts"`
	Error    string    `json:"error"`
}

type contact struct {
	Line     int       `json:"line"`
	Name     string    `json:"name"`
	IDs      []string  `json:"ids"`
	Repeated []string  `json:"repeated"`
	Problems []problem `json:"problems"`
}

type problem struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

func loadVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, "cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec    string   `json:"spec"`
		Version int      `json:"version"`
		Vectors []vector `json:"vectors"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Version != 1 || len(file.Vectors) == 0 {
		t.Fatalf("version %d with %d vectors; want version 1 with some", file.Version, len(file.Vectors))
	}
	return file.Vectors
}

func readVector(t testing.TB, v vector) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, v.File))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll reads a whole file and checks that nothing got lost on the way.
func readAll(t testing.TB, in io.Reader, region national.Region) ([]contacts.Contact, contacts.Counts, error) {
	t.Helper()
	r, err := contacts.NewReader(in, region)
	if err != nil {
		t.Fatal(err)
	}
	var (
		out     []contacts.Contact
		seen    = map[csi.ID]bool{}
		problem int
	)
	for {
		c, err := r.Next()
		if err != nil {
			counts := r.Counts()
			if counts.Values != counts.Identifiers+counts.Repeated+counts.Refused || counts.Problems < counts.Refused {
				t.Fatalf("counts do not add up: %+v", counts)
			}
			if counts.Contacts != len(out) || counts.Identifiers != len(seen) || counts.Problems != problem {
				t.Fatalf("%d contacts, %d identifiers and %d problems are counted as %+v", len(out), len(seen), problem, counts)
			}
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Fatalf("after %v: %v", err, again)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return out, counts, err
		}
		for _, id := range c.IDs {
			if again, err := csi.ParseCanonical(id.Canonical()); err != nil || again != id || seen[id] {
				t.Fatalf("line %d: an identifier that is not canonical (%v) or not new", c.Line, err)
			}
			seen[id] = true
		}
		for _, id := range c.Repeated {
			if !seen[id] || slices.Contains(c.IDs, id) {
				t.Fatalf("line %d: a repetition of nothing earlier", c.Line)
			}
		}
		for _, p := range c.Problems {
			if p.Line < c.Line || p.Kind() == "refused" {
				t.Fatalf("contact at line %d: %v", c.Line, p)
			}
		}
		problem += len(c.Problems)
		out = append(out, c)
	}
}

func plain(cs []contacts.Contact) []contact {
	clear := func(ids []csi.ID) []string {
		var out []string
		for _, id := range ids {
			out = append(out, id.Canonical())
		}
		return out
	}
	out := []contact{}
	for _, c := range cs {
		p := contact{Line: c.Line, Name: c.Name.Clear(), IDs: clear(c.IDs), Repeated: clear(c.Repeated)}
		for _, fault := range c.Problems {
			p.Problems = append(p.Problems, problem{fault.Line, fault.Kind()})
		}
		out = append(out, p)
	}
	return out
}

func TestVectors(t *testing.T) {
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			file := readVector(t, v)
			for name, in := range map[string]io.Reader{
				"whole": bytes.NewReader(file), "octet by octet": iotest.OneByteReader(bytes.NewReader(file)),
				"EOF with the last octets": iotest.DataErrReader(bytes.NewReader(file)),
			} {
				got, _, err := readAll(t, in, national.Region(v.Region))
				if (v.Error == "file-charset") != errors.Is(err, contacts.ErrFileCharset) || (v.Error == "" && err != nil) {
					t.Errorf("%s: %v", name, err)
				}
				if d := cmp.Diff(v.Contacts, plain(got)); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
		})
	}
}

// TestEveryFileIsAVector: a file that no case reads is a mistake.
func TestEveryFileIsAVector(t *testing.T) {
	entries, err := os.ReadDir(vectorDir)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{"cases.json": true, "README.md": true}
	for _, v := range loadVectors(t) {
		named[v.File] = true
	}
	for _, e := range entries {
		if !named[e.Name()] {
			t.Errorf("%s is in no case", e.Name())
		}
	}
}

// endless is a file without an end: a head, and then one piece again and again.
type endless struct{ head, piece string }

func (e *endless) Read(p []byte) (int, error) {
	if e.head == "" {
		e.head = e.piece
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	return n, nil
}

func TestLimits(t *testing.T) {
	const begin, end = "BEGIN:VCARD\r\nVERSION:3.0\r\n", "END:VCARD\r\n"
	long := strings.Repeat("1", contacts.MaxLine)
	numbers := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "+4179%07d\n", i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name   string
		in     io.Reader
		counts contacts.Counts
		err    error
	}{
		{
			"a photograph of 3 MiB in one line",
			strings.NewReader(begin + "PHOTO;ENCODING=b:" + strings.Repeat("A", 3<<20) + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 1, Identifiers: 1},
			nil,
		},
		{
			"a photograph of 3 MiB, folded",
			strings.NewReader(begin + "PHOTO;ENCODING=b:" + strings.Repeat(strings.Repeat("A", 74)+"\r\n ", 3<<20/77) + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 1, Identifiers: 1},
			nil,
		},
		{
			"a number of 8 KiB", strings.NewReader(begin + "TEL:+41" + long + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 2, Identifiers: 1, Refused: 1, Problems: 1},
			nil,
		},
		{
			"a number of 8 KiB, folded", strings.NewReader(begin + "TEL:+41" + strings.Repeat("\r\n 1", contacts.MaxLine) + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 2, Identifiers: 1, Refused: 1, Problems: 1},
			nil,
		},
		{
			"a name of 8 KiB", strings.NewReader(begin + "FN:" + long + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 1, Identifiers: 1, Problems: 1},
			nil,
		},
		{
			"a line of 8 KiB that is no property", strings.NewReader(begin + long + "\r\nTEL:+41791234567\r\n" + end),
			contacts.Counts{Contacts: 1, Values: 1, Identifiers: 1, Problems: 1},
			nil,
		},
		{
			"a line of 8 KiB in a list", strings.NewReader("+41791234567,Bob," + long + "\n+41791234568\n"),
			contacts.Counts{Contacts: 2, Values: 2, Identifiers: 1, Refused: 1, Problems: 1},
			nil,
		},
		{
			"a card of more than 1 MiB", strings.NewReader(begin + "TEL:+41791234567\r\n" + strings.Repeat("FN:"+strings.Repeat("A", 1021)+"\r\n", 1100) +
				"TEL:+41791234568\r\n" + end + begin + "TEL:+41791234569\r\n" + end),
			contacts.Counts{Contacts: 2, Values: 2, Identifiers: 2, Problems: 1},
			nil,
		},
		{
			"a file of 64 MiB in one card", &endless{begin, "NOTE:" + strings.Repeat("A", 4000) + "\r\n"},
			contacts.Counts{Contacts: 1, Problems: 1},
			contacts.ErrFile,
		},
		{"a file of 64 MiB in one line", &endless{"", strings.Repeat("A", 4096)}, contacts.Counts{}, contacts.ErrFile},
		{
			"faults without an end in one card", &endless{begin, "A\n"},
			contacts.Counts{Contacts: 1, Problems: contacts.MaxProblems + 1},
			contacts.ErrProblems,
		},
		{
			"faults without an end in a list", &endless{"", "A\n"},
			contacts.Counts{Contacts: contacts.MaxProblems + 1, Values: contacts.MaxProblems + 1, Refused: contacts.MaxProblems + 1, Problems: contacts.MaxProblems + 1},
			contacts.ErrProblems,
		},
		{
			"100,000 numbers, one twice", strings.NewReader(numbers(contacts.MaxIDs) + "+41790000000\n"),
			contacts.Counts{Contacts: contacts.MaxIDs + 1, Values: contacts.MaxIDs + 1, Identifiers: contacts.MaxIDs, Repeated: 1},
			nil,
		},
		{
			"100,001 numbers", strings.NewReader(numbers(contacts.MaxIDs + 1)),
			contacts.Counts{Contacts: contacts.MaxIDs, Values: contacts.MaxIDs, Identifiers: contacts.MaxIDs},
			contacts.ErrIDs,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, counts, err := readAll(t, c.in, "")
			if !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			if d := cmp.Diff(c.counts, counts); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestFileOfExactlyTheLimit: 64 MiB are read, with one octet more nothing but
// what stood before.
func TestFileOfExactlyTheLimit(t *testing.T) {
	piece := "#" + strings.Repeat("a", 4094) + "\n" // 4 KiB
	for extra, want := range map[int64]error{0: nil, 1: contacts.ErrFile} {
		_, _, err := readAll(t, io.LimitReader(&endless{"", piece}, contacts.MaxFile+extra), "")
		if !errors.Is(err, want) {
			t.Errorf("%d more: %v", extra, err)
		}
	}
}

// TestReaderThatFails: what was read stands, and the error is the reader's.
func TestReaderThatFails(t *testing.T) {
	broken := errors.New("broken")
	in := io.MultiReader(strings.NewReader("BEGIN:VCARD\nTEL:+41791234567\nTEL:+493012345\n"), iotest.ErrReader(broken))
	got, counts, err := readAll(t, in, "")
	if !errors.Is(err, broken) || len(got) != 1 || counts.Identifiers != 1 || counts.Refused != 1 {
		t.Errorf("%v, %+v", err, counts) // the last number may go on in the next line
	}
	if _, _, err := readAll(t, iotest.ErrReader(broken), ""); !errors.Is(err, broken) {
		t.Errorf("from the beginning: %v", err)
	}
}

func TestUnknownRegion(t *testing.T) {
	if _, err := contacts.NewReader(strings.NewReader(""), "XX"); !errors.Is(err, national.ErrRegion) {
		t.Errorf("%v", err)
	}
}

// TestNothingShows prints, logs and encodes contacts and problems in every way.
func TestNothingShows(t *testing.T) {
	const file = "BEGIN:VCARD\nFN:Secret\nTEL:+41791234567\nTEL:0791234568\nEMAIL:secret\nEMAIL:secret@example.org\nSECRET\nEND:VCARD\n"
	got, _, err := readAll(t, strings.NewReader(file), "")
	if err != nil || len(got) != 1 || got[0].Name.Clear() != "Secret" || len(got[0].Problems) != 3 {
		t.Fatalf("%v, %+v", err, got)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+"\n", got[0])
	}
	for _, p := range got[0].Problems {
		fmt.Fprintln(&out, p, p.Kind())
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", slog.Any("contact", got[0]), slog.Any("name", got[0].Name))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", slog.Any("contact", got[0]), slog.Any("name", got[0].Name))
	for _, s := range []string{"ecret", "ECRET", "791234", "example", fmt.Sprintf("%x", "Secret")} {
		if strings.Contains(out.String(), s) {
			t.Errorf("shows %q:\n%s", s, out.String())
		}
	}
	if _, err := json.Marshal(got[0].Name); !errors.Is(err, contacts.ErrName) {
		t.Errorf("a name encodes: %v", err)
	}
}

func TestReasonsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range []contacts.Reason{
		contacts.ErrNoValue, contacts.ErrQuotes, contacts.ErrLine, contacts.ErrCard, contacts.ErrMalformed, contacts.ErrOutside,
		contacts.ErrNoEnd, contacts.ErrCharset, contacts.ErrEncoding, contacts.ErrNotPerson,
	} {
		if text := r.Error(); strings.Count(text, ": ") != 2 || seen[text] {
			t.Errorf("%q: %q", string(r), text)
		}
		seen[r.Error()] = true
		if got := (contacts.Problem{Line: 1, Reason: r}).Kind(); got != string(r) {
			t.Errorf("%q is called %q", string(r), got)
		}
	}
}

func TestIdentifier(t *testing.T) {
	for _, c := range []struct{ text, region, want string }{
		{"079 123 45 67", "CH", "tel:+41791234567"},
		{" +41 79 123 45 67 ", "", "tel:+41791234567"},
		{"tel:+41-79-123-45-67", "", "tel:+41791234567"},
		{"TEL:+41 79 123 45 67", "", "tel:+41791234567"},
		{"tel:079 123 45 67", "CH", "tel:+41791234567"},
		{"tel:+44(0)2079460148", "", "tel:+442079460148"},
		{"tel:+410791234567", "", "tel:+410791234567"}, // a URI means its digits
		{"tel:+22951234567", "", "tel:+22951234567"},   // also where the plan has other lengths by now
		{"bob@example.org", "", "mailto:bob@example.org"},
		{"Bob <Bob@Example.org>", "", "mailto:bob@example.org"},
		{"mailto:bob@example.org", "", "mailto:bob@example.org"},
		{"acct:bob@example.org", "", "acct:bob@example.org"},
		{"tel:7042;phone-context=example.com", "", "extension"},
		{"tel:+1-408-555-0123;ext=102", "", "extension"},
		{"mailto:bob@example.org?subject=x", "", "parameter"},
		{"sip:bob@example.org", "", "local"},
		{"https://example.org/bob", "", "letters"},
		{"079 123 45 67", "", "no-region"},
		{"", "CH", "empty"},
	} {
		id, err := contacts.Identifier(c.text, national.Region(c.region))
		got := id.Canonical()
		if err != nil {
			got = contacts.Problem{Reason: err}.Kind()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

// FuzzRead: whatever the file, nothing crashes, nothing gets lost, and how the
// octets arrive makes no difference.
func FuzzRead(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(readVector(f, v), v.Region)
	}
	f.Fuzz(func(t *testing.T, file []byte, region string) {
		if r, err := national.ParseRegion(region); err != nil {
			region = ""
		} else {
			region = string(r)
		}
		got, counts, err := readAll(t, bytes.NewReader(file), national.Region(region))
		again, countsAgain, errAgain := readAll(t, iotest.HalfReader(bytes.NewReader(file)), national.Region(region))
		if d := cmp.Diff(plain(got), plain(again)); d != "" || counts != countsAgain || !errors.Is(errAgain, err) {
			t.Fatalf("in halves it is another file (%+v, %v and %+v, %v):\n%s", counts, err, countsAgain, errAgain, d)
		}
	})
}

func ExampleReader() {
	const file = "BEGIN:VCARD\nVERSION:4.0\nFN:Bob\nTEL:079 123 45 67\nTEL:112\nEND:VCARD\n"
	r, err := contacts.NewReader(strings.NewReader(file), "CH")
	if err != nil {
		fmt.Println(err)
		return
	}
	for {
		c, err := r.Next()
		if err != nil {
			break
		}
		fmt.Println(c.Name, c.IDs) // safe in any log
		for _, p := range c.Problems {
			fmt.Println(p)
		}
	}
	fmt.Printf("%+v\n", r.Counts())
	// Output:
	// name:… [tel:…]
	// line 5: telephone number: is an emergency number: give a person's number
	// {Contacts:1 Values:2 Identifiers:1 Repeated:0 Refused:1 Problems:1}
}

// BenchmarkRead reads an address book of 1,000 cards, half of them with a
// photograph of 20 kB.
func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&file, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Number %d\r\nTEL:079 %07d\r\nEMAIL:bob%d@example.org\r\n", i, i, i)
		if i%2 == 0 {
			file.WriteString("PHOTO;ENCODING=b:" + strings.Repeat(strings.Repeat("A", 74)+"\r\n ", 270) + "\r\n")
		}
		file.WriteString("END:VCARD\r\n")
	}
	b.SetBytes(int64(file.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, counts, err := readAll(b, bytes.NewReader(file.Bytes()), "CH"); err != nil || counts.Identifiers != 2000 {
			b.Fatalf("%v, %+v", err, counts)
		}
	}
}
