package terminal_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/client"
	"whither/internal/person"
	"whither/internal/person/terminal"
	"whither/internal/world/worldtest"
	"whither/possession"
)

// at is a person who types in.
func at(t *testing.T, dir, in string) (*terminal.Terminal, *bytes.Buffer) {
	t.Helper()
	out := new(bytes.Buffer)
	return terminal.New(strings.NewReader(in), out, person.At(dir, time.Now)), out
}

// TestWhatIsShownAndTyped: a person reads what she is to do, and what that says
// in her name, before she does it.
func TestWhatIsShownAndTyped(t *testing.T) {
	prover := worldtest.Party(t, worldtest.ProverA)
	for name, test := range map[string]struct {
		in    string
		do    func(ctx context.Context, p *terminal.Terminal) (string, error)
		typed string // what comes of it; empty with an input: an error
		shown []string
	}{
		"token": {" Whither: abc \n", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return p.SubjectToken(ctx, "box@prover-a.example")
		}, "abc", []string{"box@prover-a.example"}},
		"no token": {"\n", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return p.SubjectToken(ctx, "box@prover-a.example")
		}, "", nil},
		"code": {"1234 5678\n", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return p.Code(ctx, prover, possession.CodeCall)
		}, "12345678", []string{"A call", worldtest.ProverA}},
		"no code": {"", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return p.Code(ctx, prover, possession.CodeMessage)
		}, "", []string{"A message"}},
		"reply": {"", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return "done", p.SendReply(ctx, "box@prover-a.example", "abc", "I let key 1 answer")
		}, "done", []string{"I let key 1 answer"}},
		"sign-in": {"", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return "done", p.SignIn(ctx, prover, "I let key 1 answer", "https://id.example.org/x")
		}, "done", []string{worldtest.ProverA, "I let key 1 answer", "https://id.example.org/x"}},
		"text": {"", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return "done", p.SendText(ctx, "sip:x@prover-a.example", "I let key 1 answer")
		}, "done", []string{"sip:x@prover-a.example", "I let key 1 answer"}},
		"call": {"", func(ctx context.Context, p *terminal.Terminal) (string, error) {
			return "done", p.Call(ctx, "sip:x@prover-a.example", "I let key 1 answer", "1234")
		}, "done", []string{"I let key 1 answer", "sip:x@prover-a.example", "1234"}},
	} {
		p, out := at(t, t.TempDir(), test.in)
		got, err := test.do(t.Context(), p)
		if got != test.typed || (err == nil) != (test.typed != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		from := 0
		for _, want := range test.shown { // in this order
			i := strings.Index(out.String()[from:], want)
			if i < 0 {
				t.Errorf("%s: it does not show %q, or too late: %s", name, want, out)
				break
			}
			from += i
		}
	}
}

func TestSignature(t *testing.T) {
	dir := t.TempDir()
	text, usual := filepath.Join(dir, "smime", "answer.txt"), filepath.Join(dir, "smime", "answer.p7s")
	sign := func(in, content string) ([]byte, error) {
		p, out := at(t, dir, in)
		b, err := p.Sign(t.Context(), worldtest.Party(t, worldtest.ProverA), []byte(content))
		if got, readErr := os.ReadFile(text); readErr != nil || string(got) != content || !strings.Contains(out.String(), text) {
			t.Errorf("to sign: %q, %v", got, readErr)
		}
		return b, err
	}
	put := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sign("", "one"); err == nil || !strings.Contains(err.Error(), usual) {
		t.Errorf("nothing there: %v", err)
	}
	put(usual, []byte{0x30, 1})
	if b, err := sign("", "one"); err != nil || !bytes.Equal(b, []byte{0x30, 1}) {
		t.Errorf("where it is meant to be: %x, %v", b, err)
	}
	if b, err := sign("\n", "one"); err != nil || len(b) != 2 {
		t.Errorf("by the return key: %x, %v", b, err)
	}
	if _, err := sign("", "two"); err == nil {
		t.Error("a signature of another text is taken")
	}
	for form, b := range map[string][]byte{
		"CMS": pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: []byte{0x30, 2}}), "PKCS7": pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: []byte{0x30, 2}}),
		"DER": {0x30, 2},
	} {
		path := filepath.Join(dir, form)
		put(path, b)
		if got, err := sign(" "+path+" \n", "two"); err != nil || !bytes.Equal(got, []byte{0x30, 2}) {
			t.Errorf("%s: %x, %v", form, got, err)
		}
	}
	put(filepath.Join(dir, "endless"), make([]byte, 1<<20))
	if _, err := sign(filepath.Join(dir, "endless")+"\n", "two"); err == nil {
		t.Error("an endless signature is taken")
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAttest: the person is told exactly what is to be signed, and the file is
// the one that she named, the one that she types, or the one in her folder.
func TestAttest(t *testing.T) {
	prover := worldtest.Party(t, worldtest.ProverA)
	passport := client.Attestation{Kind: possession.PassportKey, Number: "41791234567", To: "sip:a@prover-a.example", Key: "0123456789ABCDEF0123"}
	token := client.Attestation{Kind: possession.TNToken, Number: "41791234567", Key: "SHA256 01:23"}
	elsewhere := write(t, filepath.Join(t.TempDir(), "signed"), "elsewhere")
	for name, c := range map[string]struct {
		a             client.Attestation
		typed, signed string
		inFolder      string
		want          string
	}{
		"named":                 {a: passport, signed: elsewhere, want: "elsewhere"},
		"typed":                 {a: passport, typed: " " + elsewhere + "\n", want: "elsewhere"},
		"in the folder":         {a: passport, typed: "\n", inFolder: "telephone/0123456789ABCDEF.txt", want: "here"},
		"at the end of input":   {a: passport, inFolder: "telephone/0123456789ABCDEF.txt", want: "here"},
		"a token in the folder": {a: token, inFolder: "telephone/token.txt", want: "here"},
		"nowhere":               {a: passport},
		"of another challenge":  {a: passport, inFolder: "telephone/FFFF456789ABCDEF.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p, out := at(t, dir, c.typed)
			p.Signed = c.signed
			if c.inFolder != "" {
				write(t, filepath.Join(dir, c.inFolder), "here")
			}
			got, err := p.Attest(t.Context(), prover, c.a)
			if string(got) != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
			for _, said := range []string{c.a.Number, c.a.Key, c.a.To} {
				if !strings.Contains(out.String(), said) {
					t.Errorf("she is not told %q:\n%s", said, out)
				}
			}
			if c.signed == "" {
				return
			}
			if _, err := p.Attest(t.Context(), prover, c.a); err == nil {
				t.Error("a file that was refused is handed over again")
			}
		})
	}
}
