// Package oprf is the oblivious pseudo-random function of the private road: a
// client learns F(key, input) for a CSI that the server does not see
// (docs/spec/private.md, section 2; RFC 9497, VOPRF, ristretto255-SHA512).
//
//	client                                        server
//	Blind(public, inputs) = question, request
//	                      -------- request -------->
//	                                       Evaluate(request) = response
//	                      <------- response --------
//	question.Finalize(response) = outputs
//
// The group arithmetic, the hashing and the proofs are those of circl; this
// package adds what RFC 9497 leaves open: framed inputs, key epochs, byte
// formats with bounds, and a pending state that serves once.
//
// Promises: the server learns the number of inputs and nothing else; outputs
// are those under the public key, or an error, since every batch carries one
// proof; equal inputs give unrelated requests.
//
// Not checked here: that the public key is the DP's and of the right epoch
// (the registry and the DP's disclosure say so), and how often somebody asks.
//
// Sizes: a request is 7 + 32*n bytes, a response 71 + 32*n, n at most
// [MaxBatch]. Integers are big-endian.
package oprf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"
)

const (
	// OutputSize is the length of an output.
	OutputSize = 64
	// MaxBatch is the greatest number of inputs of a request.
	MaxBatch = 1024
	// PublicSize and SecretSize are the lengths of keys.
	PublicSize = 32
	SecretSize = 32

	elementSize = 32
	proofSize   = 64
	headerSize  = 1 + 4 + 2
	version     = 1

	maxField = 1<<16 - 1
)

// Errors.
var (
	// ErrInput means that there are no inputs, or too many, or one too long.
	ErrInput = errors.New("oprf: unusable inputs")
	// ErrMessage means a malformed request or response.
	ErrMessage = errors.New("oprf: malformed message")
	// ErrKey means a malformed key.
	ErrKey = errors.New("oprf: malformed key")
	// ErrEpoch means that the server does not hold the key of that epoch.
	ErrEpoch = errors.New("oprf: no key of that epoch")
	// ErrProof means that the server did not use the key that it published.
	ErrProof = errors.New("oprf: proof does not verify")
	// ErrSpent means that a question was finalized before.
	ErrSpent = errors.New("oprf: question already finalized")
)

var suite = oprf.SuiteRistretto255

// Output is the value of the function at one input. It opens what is sealed
// for that input, so it is as secret as the input.
type Output [OutputSize]byte

// String hides the value.
func (Output) String() string { return "oprf.Output(redacted)" }

// GoString hides the value.
func (o Output) GoString() string { return o.String() }

// LogValue hides the value.
func (o Output) LogValue() slog.Value { return slog.StringValue(o.String()) }

const labelInput = "whither/v1/private/input"

// Input frames what the function is evaluated at: label, DP, canonical CSI
// and, for mappings made for an audience, the capability. Each field has its
// length before it, so no two inputs meet.
func Input(dp string, csi, capability []byte) ([]byte, error) {
	if len(dp) > maxField || len(csi) > maxField || len(capability) > maxField ||
		len(labelInput)+len(dp)+len(csi)+len(capability)+6 > maxField {
		return nil, fmt.Errorf("%w: too long", ErrInput)
	}
	b := []byte(labelInput)
	for _, field := range [][]byte{[]byte(dp), csi, capability} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b, nil
}

// Secret is the key of one epoch.
type Secret struct {
	_      [0]func() // incomparable
	key    *oprf.PrivateKey
	scalar group.Scalar
	public Public
}

func newSecret(k *oprf.PrivateKey) (*Secret, error) {
	raw, err := k.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("oprf: encode a key: %w", err)
	}
	defer clear(raw)
	s := &Secret{key: k, scalar: group.Ristretto255.NewScalar()}
	if err := s.scalar.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("%w: not a scalar", ErrKey)
	}
	public, err := k.Public().MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("oprf: encode a key: %w", err)
	}
	s.public, err = ParsePublic(public)
	return s, err
}

// Generate draws a secret. rand must be crypto/rand.Reader outside of tests.
func Generate(rand io.Reader) (*Secret, error) {
	k, err := oprf.GenerateKey(suite, rand)
	if err != nil {
		return nil, fmt.Errorf("oprf: generate a key: %w", err)
	}
	return newSecret(k)
}

// ParseSecret decodes what [Secret.Bytes] returned.
func ParseSecret(b []byte) (*Secret, error) {
	if len(b) != SecretSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrKey, len(b))
	}
	k := new(oprf.PrivateKey)
	if err := k.UnmarshalBinary(suite, b); err != nil {
		return nil, fmt.Errorf("%w: not a scalar", ErrKey)
	}
	return newSecret(k)
}

// Bytes returns the scalar, for sealed storage.
func (s *Secret) Bytes() ([]byte, error) { return s.key.MarshalBinary() }

// String hides the key.
func (*Secret) String() string { return "oprf.Secret(redacted)" }

// GoString hides the key.
func (s *Secret) GoString() string { return s.String() }

// LogValue hides the key.
func (s *Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Public returns the public key.
func (s *Secret) Public() Public { return s.public }

// Eval returns the output for an input: what a DP computes while it builds a
// table.
func (s *Secret) Eval(input []byte) (out Output, err error) {
	b, err := oprf.NewVerifiableServer(suite, s.key).FullEvaluate(input)
	if err != nil {
		return out, fmt.Errorf("oprf: evaluate: %w", err)
	}
	copy(out[:], b)
	return out, nil
}

// Public is a public key, checked to be one.
type Public struct{ bytes [PublicSize]byte }

// ParsePublic decodes a public key.
func ParsePublic(b []byte) (Public, error) {
	if len(b) != PublicSize {
		return Public{}, fmt.Errorf("%w: %d bytes", ErrKey, len(b))
	}
	if _, err := parseElement(b, ErrKey); err != nil {
		return Public{}, err
	}
	return Public{bytes: [PublicSize]byte(b)}, nil
}

// Bytes returns the encoding.
func (p Public) Bytes() []byte { return p.bytes[:] }

// parseElement decodes a group element other than the identity, from its only
// encoding.
func parseElement(b []byte, malformed error) (group.Element, error) {
	e := group.Ristretto255.NewElement()
	if err := e.UnmarshalBinary(b); err != nil || e.IsIdentity() {
		return nil, fmt.Errorf("%w: not a group element", malformed)
	}
	return e, nil
}

func appendHeader(epoch uint32, n int) []byte {
	b := binary.BigEndian.AppendUint32([]byte{version}, epoch)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

func appendElements(b []byte, elements []group.Element) ([]byte, error) {
	for _, e := range elements {
		enc, err := e.MarshalBinaryCompress()
		if err != nil {
			return nil, fmt.Errorf("oprf: encode an element: %w", err)
		}
		b = append(b, enc...)
	}
	return b, nil
}

// parse checks header and length before it looks at any element.
func parse(b []byte, trailer int) (epoch uint32, elements []group.Element, rest []byte, err error) {
	if len(b) < headerSize || b[0] != version {
		return 0, nil, nil, fmt.Errorf("%w: header", ErrMessage)
	}
	epoch = binary.BigEndian.Uint32(b[1:])
	n := int(binary.BigEndian.Uint16(b[5:]))
	if n == 0 || n > MaxBatch || len(b) != headerSize+n*elementSize+trailer {
		return 0, nil, nil, fmt.Errorf("%w: %d elements in %d bytes", ErrMessage, n, len(b))
	}
	elements = make([]group.Element, n)
	for i := range elements {
		if elements[i], err = parseElement(b[headerSize+i*elementSize:][:elementSize], ErrMessage); err != nil {
			return 0, nil, nil, err
		}
	}
	return epoch, elements, b[headerSize+n*elementSize:], nil
}

// Question is what a client keeps between request and response.
type Question struct {
	epoch  uint32
	client oprf.VerifiableClient
	state  *oprf.FinalizeData // nil: spent
}

// Blind hides inputs in a request under the public key of an epoch.
func Blind(public Public, epoch uint32, inputs [][]byte) (*Question, []byte, error) {
	return blind(public, epoch, inputs, nil)
}

// blind takes fixed blinds for vectors, and draws them if there are none.
func blind(public Public, epoch uint32, inputs [][]byte, blinds []oprf.Blind) (*Question, []byte, error) {
	if len(inputs) == 0 || len(inputs) > MaxBatch {
		return nil, nil, fmt.Errorf("%w: %d of them", ErrInput, len(inputs))
	}
	for _, in := range inputs {
		if len(in) > maxField {
			return nil, nil, fmt.Errorf("%w: too long", ErrInput)
		}
	}
	var k oprf.PublicKey
	if err := k.UnmarshalBinary(suite, public.bytes[:]); err != nil || public == (Public{}) {
		return nil, nil, fmt.Errorf("%w: public key", ErrKey)
	}
	q := &Question{epoch: epoch, client: oprf.NewVerifiableClient(suite, &k)}
	var (
		request *oprf.EvaluationRequest
		err     error
	)
	if blinds == nil {
		q.state, request, err = q.client.Blind(inputs)
	} else {
		q.state, request, err = q.client.DeterministicBlind(inputs, blinds)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	b, err := appendElements(appendHeader(epoch, len(inputs)), request.Elements)
	if err != nil {
		return nil, nil, err
	}
	return q, b, nil
}

// Finalize checks the proof and returns the outputs, in the order of the
// inputs. It works once, also when it fails.
func (q *Question) Finalize(response []byte) ([]Output, error) {
	if q.state == nil {
		return nil, ErrSpent
	}
	state := q.state
	q.state = nil
	epoch, elements, rest, err := parse(response, proofSize)
	if err != nil {
		return nil, err
	}
	if epoch != q.epoch {
		return nil, fmt.Errorf("%w: answered for %d, asked for %d", ErrEpoch, epoch, q.epoch)
	}
	proof := new(dleq.Proof)
	if err := proof.UnmarshalBinary(group.Ristretto255, rest); err != nil {
		return nil, fmt.Errorf("%w: proof", ErrMessage)
	}
	raw, err := q.client.Finalize(state, &oprf.Evaluation{Elements: elements, Proof: proof})
	if errors.Is(err, oprf.ErrInvalidProof) {
		return nil, ErrProof
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	out := make([]Output, len(raw))
	for i := range raw {
		copy(out[i][:], raw[i])
	}
	return out, nil
}
