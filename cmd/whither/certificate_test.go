package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/world"
	"whither/internal/world/mailca"
)

// command carries out a command line in this process.
func command(t *testing.T, dir, in string, args ...string) (text string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	code = run(ctx, append([]string{"--dir", dir}, args...), strings.NewReader(in), &out, &out)
	return out.String(), code
}

// sign signs a file with openssl, or where that is not part of the machine with
// the authority's own writer of CMS.
func sign(t *testing.T, p *mailca.Person, text, signature, form string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing")
		}
		t.Log("openssl is missing: not the program's own CMS")
		content, err := os.ReadFile(text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Sign(content)
		if err != nil {
			t.Fatal(err)
		}
		if form == "PEM" {
			b = pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: b})
		}
		writeFile(t, signature, b)
		return
	}
	certificate, key, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "you.pem"), certificate)
	writeFile(t, filepath.Join(dir, "key.pem"), key)
	cmd := exec.CommandContext(t.Context(), "openssl", "cms", "-sign", "-binary", "-in", text, "-signer", "you.pem", "-inkey", "key.pem",
		"-outform", form, "-out", signature)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestR01AddressByCertificate enrols an address with the command line and
// openssl, in a federation that takes certificates: the text is written, signed
// elsewhere, and the same command goes on.
func TestR01AddressByCertificate(t *testing.T) {
	bob := world.Person{Name: "bob"}
	w, err := world.Start(t.Context(), world.Config{
		Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler), Tick: time.Second,
		People: []world.Person{bob, {Name: "alice"}}, Levels: map[string]uint8{"mailto": 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	dir, err := w.Settle(t.Context(), bob, world.MSPA)
	if err != nil {
		t.Fatal(err)
	}
	if text, code := command(t, dir, "", "keygen"); code != 0 {
		t.Fatal(text)
	}
	enrol := []string{"enrol", bob.Address(), "--msp", world.MSPA, "--evidence", "smime"}
	if text, code := command(t, dir, "", "enrol", bob.Address(), "--msp", world.MSPA, "--evidence", "seal"); code != 2 {
		t.Errorf("a kind that is none: %s", text)
	}
	text, code := command(t, dir, "", enrol...)
	if code != 1 || !strings.Contains(text, "there is no signature") || !strings.Contains(text, "run the same command again") {
		t.Fatalf("before the signature: exits with %d: %s", code, text)
	}
	content, signature := filepath.Join(dir, "smime", "answer.txt"), filepath.Join(dir, "smime", "answer.p7s")
	if b, err := os.ReadFile(content); err != nil || !strings.HasPrefix(string(b), "I let key ") {
		t.Fatalf("what is to be signed: %q, %v", b, err)
	}
	sign(t, w.Certificates["alice@"+world.MailDomain], content, signature, "DER")
	if text, code = command(t, dir, "", enrol...); code != 1 || !strings.Contains(text, "not for this address") {
		t.Fatalf("with another's certificate: exits with %d: %s", code, text)
	}
	// That challenge is over; a new one has another text, and an old signature is
	// none of it.
	if text, code = command(t, dir, "", enrol...); code != 1 || !strings.Contains(text, "there is no signature") {
		t.Fatalf("a new challenge: exits with %d: %s", code, text)
	}
	elsewhere := filepath.Join(t.TempDir(), "mine.pem")
	sign(t, w.Certificates[bob.Address()], content, elsewhere, "PEM")
	if text, code = command(t, dir, elsewhere+"\n", enrol...); code != 0 || !strings.Contains(text, "evidence level 3") {
		t.Fatalf("with a good signature: exits with %d: %s", code, text)
	}
}
