package oprf_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	circl "github.com/cloudflare/circl/oprf"

	"whither/internal/privacy/oprf"
)

type vectorFile struct {
	SecretKey string `json:"skSm"`
	PublicKey string `json:"pkSm"`
	Seed      string `json:"seed"`
	KeyInfo   string `json:"keyInfo"`
	Vectors   []struct {
		Blind, BlindedElement, EvaluationElement, Input, Output string
		Proof                                                   struct{ Proof, R string }
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(t *testing.T, s string) [][]byte {
	t.Helper()
	var out [][]byte
	for _, part := range strings.Split(s, ",") {
		out = append(out, unhex(t, part))
	}
	return out
}

func scalar(t *testing.T, b []byte) group.Scalar {
	t.Helper()
	s := group.Ristretto255.NewScalar()
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return s
}

func element(t *testing.T, b []byte) group.Element {
	t.Helper()
	e := group.Ristretto255.NewElement()
	if err := e.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRFC9497Vectors runs appendix A.1.2 of RFC 9497 through this package's
// messages: request, response with the vector's proof, and outputs.
func TestRFC9497Vectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc9497-voprf-ristretto255-sha512.json")
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	derived, err := circl.DeriveKey(circl.SuiteRistretto255, circl.VerifiableMode, unhex(t, file.Seed), unhex(t, file.KeyInfo))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := derived.MarshalBinary(); !bytes.Equal(b, unhex(t, file.SecretKey)) {
		t.Error("derived another key")
	}
	secret, err := oprf.ParseSecret(unhex(t, file.SecretKey))
	if err != nil {
		t.Fatal(err)
	}
	public := secret.Public()
	if !bytes.Equal(public.Bytes(), unhex(t, file.PublicKey)) {
		t.Fatal("another public key")
	}
	for i, v := range file.Vectors {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			inputs, outputs := list(t, v.Input), list(t, v.Output)
			var blinds []circl.Blind
			for _, b := range list(t, v.Blind) {
				blinds = append(blinds, scalar(t, b))
			}
			q, request, err := oprf.BlindWith(public, 9, inputs, blinds)
			if err != nil {
				t.Fatal(err)
			}
			head := []byte{1, 0, 0, 0, 9, 0, byte(len(inputs))}
			if want := append(bytes.Clone(head), bytes.Join(list(t, v.BlindedElement), nil)...); !bytes.Equal(request, want) {
				t.Errorf("request %x, want %x", request, want)
			}
			server := oprf.NewServer()
			if err := server.Advance(9, secret); err != nil {
				t.Fatal(err)
			}
			response, err := server.Evaluate(request)
			if err != nil {
				t.Fatal(err)
			}
			want := append(bytes.Clone(head), bytes.Join(list(t, v.EvaluationElement), nil)...)
			if !bytes.Equal(response[:len(want)], want) {
				t.Errorf("response %x, want %x", response[:len(want)], want)
			}
			// The proof has randomness of its own; the vector's must verify too.
			got, err := q.Finalize(append(want, unhex(t, v.Proof.Proof)...))
			if err != nil {
				t.Fatal(err)
			}
			for j, in := range inputs {
				if !bytes.Equal(got[j][:], outputs[j]) {
					t.Errorf("output %d differs", j)
				}
				if direct, err := secret.Eval(in); err != nil || direct != got[j] {
					t.Errorf("direct evaluation of %d differs: %v", j, err)
				}
			}
			var blinded []group.Element
			for _, b := range list(t, v.BlindedElement) {
				blinded = append(blinded, element(t, b))
			}
			proof, err := oprf.Prove(scalar(t, unhex(t, v.Proof.R)), scalar(t, unhex(t, file.SecretKey)),
				public.Bytes(), blinded, request[7:], want[7:len(head)+32*len(inputs)])
			if err != nil || !bytes.Equal(proof, unhex(t, v.Proof.Proof)) {
				t.Errorf("proof differs: %v", err)
			}
		})
	}
}

func newServer(t testing.TB, epochs ...uint32) (*oprf.Server, []*oprf.Secret) {
	t.Helper()
	server := oprf.NewServer()
	var secrets []*oprf.Secret
	for _, e := range epochs {
		s, err := oprf.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Advance(e, s); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, s)
	}
	return server, secrets
}

func TestEpochsOverlap(t *testing.T) {
	server, secrets := newServer(t, 1, 2, 5)
	in := [][]byte{[]byte("x")}
	for i, want := range []error{oprf.ErrEpoch, nil, nil} {
		q, request, err := oprf.Blind(secrets[i].Public(), []uint32{1, 2, 5}[i], in)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Evaluate(request)
		if !errors.Is(err, want) {
			t.Fatalf("key %d: %v, want %v", i, err, want)
		}
		if err != nil {
			continue
		}
		out, err := q.Finalize(response)
		if err != nil {
			t.Fatal(err)
		}
		if direct, _ := secrets[i].Eval(in[0]); direct != out[0] {
			t.Errorf("key %d: another output", i)
		}
	}
	if epoch, _, ok := server.Current(); !ok || epoch != 5 {
		t.Errorf("current epoch %d", epoch)
	}
	if err := server.Advance(5, secrets[0]); !errors.Is(err, oprf.ErrEpoch) {
		t.Errorf("an epoch twice: %v", err)
	}
	server.Retire()
	public := secrets[1].Public()
	_, request, _ := oprf.Blind(public, 2, in)
	if _, err := server.Evaluate(request); !errors.Is(err, oprf.ErrEpoch) {
		t.Errorf("retired epoch: %v", err)
	}
}

// TestServerCannotCheat alters an honest response in every way that counts.
func TestServerCannotCheat(t *testing.T) {
	server, secrets := newServer(t, 1, 2)
	public := secrets[1].Public()
	inputs := [][]byte{[]byte("x"), []byte("y")}
	for _, c := range []struct {
		name  string
		alter func(response, request []byte) []byte
		want  error
	}{
		{"honest", func(r, _ []byte) []byte { return r }, nil},
		{"elements swapped", func(r, _ []byte) []byte {
			swapped := append(bytes.Clone(r[:7]), r[39:71]...)
			return append(append(swapped, r[7:39]...), r[71:]...)
		}, oprf.ErrProof},
		{"proof altered", func(r, _ []byte) []byte { r[71] ^= 1; return r }, oprf.ErrProof},
		{"request sent back", func(r, q []byte) []byte { copy(r[7:71], q[7:71]); return r }, oprf.ErrProof},
		{"other key", func(_, q []byte) []byte {
			q[4] = 1
			r, err := server.Evaluate(q)
			if err != nil {
				t.Fatal(err)
			}
			r[4] = 2
			return r
		}, oprf.ErrProof},
		{"other epoch", func(_, q []byte) []byte { q[4] = 1; r, _ := server.Evaluate(q); return r }, oprf.ErrEpoch},
		{"identity", func(r, _ []byte) []byte { clear(r[7:39]); return r }, oprf.ErrMessage},
		{"too short", func(r, _ []byte) []byte { return r[:len(r)-1] }, oprf.ErrMessage},
		{"too long", func(r, _ []byte) []byte { return append(r, 0) }, oprf.ErrMessage},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, request, err := oprf.Blind(public, 2, inputs)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Evaluate(request)
			if err != nil {
				t.Fatal(err)
			}
			out, err := q.Finalize(c.alter(response, request))
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err != nil && out != nil {
				t.Error("outputs beside an error")
			}
			if _, err := q.Finalize(response); !errors.Is(err, oprf.ErrSpent) {
				t.Errorf("second time: %v", err)
			}
		})
	}
}

func TestInputsDoNotMeet(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"a", "b\x00\x01c", ""}} {
		in, err := oprf.Input(f[0], []byte(f[1]), []byte(f[2]))
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(in)] {
			t.Errorf("%q meets another", f)
		}
		seen[string(in)] = true
	}
	if _, err := oprf.Input("a", make([]byte, 1<<16), nil); !errors.Is(err, oprf.ErrInput) {
		t.Errorf("too long: %v", err)
	}
}

func TestBounds(t *testing.T) {
	_, secrets := newServer(t, 1)
	public := secrets[0].Public()
	for _, n := range []int{0, oprf.MaxBatch + 1} {
		if _, _, err := oprf.Blind(public, 1, make([][]byte, n)); !errors.Is(err, oprf.ErrInput) {
			t.Errorf("%d inputs: %v", n, err)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 32), bytes.Repeat([]byte{255}, 32)} {
		if _, err := oprf.ParsePublic(b); !errors.Is(err, oprf.ErrKey) {
			t.Errorf("public %x: %v", b, err)
		}
		if _, err := oprf.ParseSecret(b); !errors.Is(err, oprf.ErrKey) {
			t.Errorf("secret %x: %v", b, err)
		}
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	_, secrets := newServer(t, 1)
	b, _ := secrets[0].Bytes()
	out, _ := secrets[0].Eval(nil)
	text := fmt.Sprintf("%v %+v %#v %s %v %#v %s %v", secrets[0], secrets[0], secrets[0], secrets[0], out, out, out, secrets[0].LogValue())
	for _, hidden := range []string{hex.EncodeToString(b), hex.EncodeToString(out[:]), fmt.Sprintf("%d", out[:4])} {
		if strings.Contains(text, strings.Trim(hidden, "[]")) {
			t.Errorf("shows %s", hidden)
		}
	}
}

func FuzzEvaluate(f *testing.F) {
	server, secrets := newServer(f, 1)
	public := secrets[0].Public()
	_, request, _ := oprf.Blind(public, 1, [][]byte{{1}, {2}})
	f.Add(request)
	f.Add(request[:39])
	f.Fuzz(func(t *testing.T, b []byte) {
		response, err := server.Evaluate(b)
		if err != nil {
			return
		}
		if len(response) != len(b)+64 || !bytes.Equal(response[:7], b[:7]) {
			t.Error("response does not fit its request")
		}
	})
}

func FuzzFinalize(f *testing.F) {
	server, secrets := newServer(f, 1)
	public := secrets[0].Public()
	_, request, _ := oprf.Blind(public, 1, [][]byte{{1}})
	response, _ := server.Evaluate(request)
	f.Add(response)
	f.Fuzz(func(t *testing.T, b []byte) {
		// A fresh blind: no response that was made before can be right.
		q, _, err := oprf.Blind(public, 1, [][]byte{{1}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Finalize(b); err == nil {
			t.Error("accepted")
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	server, secrets := newServer(b, 1)
	public := secrets[0].Public()
	inputs := make([][]byte, 64)
	_, request, err := oprf.Blind(public, 1, inputs)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("64inputs", func(b *testing.B) {
		for b.Loop() {
			if _, err := server.Evaluate(request); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("128multiplications", func(b *testing.B) {
		e, s := group.Ristretto255.RandomElement(rand.Reader), group.Ristretto255.RandomScalar(rand.Reader)
		out := group.Ristretto255.NewElement()
		for b.Loop() {
			for range 128 {
				out.Mul(e, s)
			}
		}
	})
}
