package smime_test

import (
	"context"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"whither/possession/smime"
)

// openssl runs the other implementation in a directory. Where it is missing the
// test is skipped, loudly; continuous integration has to have it.
func openssl(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no openssl: the oracle of this package has to be there in CI")
		}
		t.Skip("NOT RUN: no openssl on this machine, so S/MIME is not compared with another implementation")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

func write(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificatePEM(der ...[]byte) []byte {
	var out []byte
	for _, b := range der {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b})...)
	}
	return out
}

// TestOpenSSLVerifiesOurs: what we accept, openssl accepts, for the purpose of
// signing mail and at the same time.
func TestOpenSSLVerifiesOurs(t *testing.T) {
	for _, c := range accepted() {
		t.Run(c.name, func(t *testing.T) {
			m, dir := c.build(t), t.TempDir()
			write(t, dir, "signature.der", m.signature)
			write(t, dir, "text", m.text)
			write(t, dir, "root.pem", certificatePEM(m.roots...))
			out, err := openssl(t, dir, "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature.der", "-content", "text",
				"-CAfile", "root.pem", "-no-CApath", "-purpose", "smimesign", "-attime", strconv.FormatInt(m.want.Now.Unix(), 10), "-out", "verified")
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			verified, err := os.ReadFile(filepath.Join(dir, "verified"))
			if err != nil || string(verified) != string(m.text) {
				t.Errorf("verified %q, %v", verified, err)
			}
		})
	}
}

// TestR01OpenSSLSigns: what openssl signs with the command of the documents, we
// accept, under each algorithm.
func TestR01OpenSSLSigns(t *testing.T) {
	for name, c := range map[string]struct {
		key    string
		more   []string
		expect error
	}{
		"ecdsa":             {"alice", nil, nil},
		"rsa":               {"rsa2048", nil, nil},
		"rsa-pss":           {"rsa2048", []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"}, nil},
		"signing-cert-v2":   {"alice", []string{"-cades"}, nil},
		"no-capabilities":   {"alice", []string{"-nosmimecap"}, nil},
		"sha-512":           {"alice", []string{"-md", "sha512"}, smime.ErrAlgorithm},
		"sha-1":             {"alice", []string{"-md", "sha1"}, smime.ErrAlgorithm},
		"attached":          {"alice", []string{"-nodetach"}, smime.ErrAttached},
		"no-attributes":     {"alice", []string{"-noattr"}, smime.ErrAttributes},
		"key-identifier":    {"alice", []string{"-keyid"}, smime.ErrSigners},
		"no-certificates":   {"alice", []string{"-nocerts"}, smime.ErrNoCertificate},
		"pss-of-other-salt": {"rsa2048", []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:20"}, smime.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			// openssl signs by the clock of the machine, so the certificates have
			// to be good now.
			at := time.Now().UTC().Truncate(time.Second)
			d := newDraft(t)
			d.leafKey = c.key
			d.want.Now = at
			d.leaf.SubjectKeyId = []byte("key identifier of 20")
			for _, template := range []*struct{ from, until *time.Time }{
				{&d.root.NotBefore, &d.root.NotAfter}, {&d.authority.NotBefore, &d.authority.NotAfter}, {&d.leaf.NotBefore, &d.leaf.NotAfter},
			} {
				*template.from, *template.until = at.Add(-time.Hour), at.Add(time.Hour)
			}
			var leaf, authority []byte
			d.bag = func(l, a, _ []byte) [][]byte { leaf, authority = l, a; return [][]byte{l, a} }
			d.lists = func(_, _ []byte) [][]byte { return nil }
			d.message.signature = []byte("not this one")
			m, dir := d.build(), t.TempDir()

			write(t, dir, "answer.txt", m.text)
			write(t, dir, "alice.pem", certificatePEM(leaf))
			write(t, dir, "authority.pem", certificatePEM(authority))
			key, err := os.ReadFile(filepath.Join(vectorDir, "keys", c.key+".pem"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "key.pem", key)
			args := append(strings.Fields("cms -sign -binary -in answer.txt -signer alice.pem -inkey key.pem -certfile authority.pem -outform DER -out signature.der"), c.more...)
			if out, err := openssl(t, dir, args...); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			signature, err := os.ReadFile(filepath.Join(dir, "signature.der"))
			if err != nil {
				t.Fatal(err)
			}
			want := m.wanted(t)
			want.Status = nothingRevoked
			if _, err := smime.Verify(signature, want); !errors.Is(err, c.expect) {
				t.Errorf("got %v, want %v", err, c.expect)
			}
		})
	}
}
