package oprf

import (
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/cloudflare/circl/group"
)

// Server evaluates requests under the keys of two epochs: the current one and
// the one before, so that whoever fetched the older public key is still served
// while tables change over. It is safe for concurrent use.
type Server struct {
	mu   sync.RWMutex
	keys []epochKey // oldest first, at most two
}

type epochKey struct {
	epoch  uint32
	secret *Secret
}

// NewServer returns a server without keys.
func NewServer() *Server { return new(Server) }

// Advance makes secret the key of a new epoch, which must be later than all
// before, and forgets all but the one before.
func (s *Server) Advance(epoch uint32, secret *Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.keys); n > 0 && epoch <= s.keys[n-1].epoch {
		return fmt.Errorf("%w: %d is not after %d", ErrEpoch, epoch, s.keys[n-1].epoch)
	}
	// A new slice, so that the forgotten key is not kept in the old array.
	kept := s.keys[max(0, len(s.keys)-1):]
	s.keys = append(append([]epochKey(nil), kept...), epochKey{epoch, secret})
	return nil
}

// Retire forgets all epochs but the current one.
func (s *Server) Retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]epochKey(nil), s.keys[max(0, len(s.keys)-1):]...)
}

// Current returns the newest epoch and its public key; ok is false without any.
func (s *Server) Current() (epoch uint32, public Public, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.keys) == 0 {
		return 0, Public{}, false
	}
	k := s.keys[len(s.keys)-1]
	return k.epoch, k.secret.public, true
}

func (s *Server) secret(epoch uint32) (*Secret, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, k := range s.keys {
		if k.epoch == epoch {
			return k.secret, true
		}
	}
	return nil, false
}

// Evaluate answers a request under the key of its epoch, with one proof for
// all of it.
func (s *Server) Evaluate(request []byte) ([]byte, error) {
	epoch, elements, _, err := parse(request, 0)
	if err != nil {
		return nil, err
	}
	secret, ok := s.secret(epoch)
	if !ok {
		return nil, fmt.Errorf("%w: %d", ErrEpoch, epoch)
	}
	b := appendHeader(epoch, len(elements))
	evaluated := make([]group.Element, len(elements))
	for i, e := range elements {
		evaluated[i] = group.Ristretto255.NewElement().Mul(e, secret.scalar)
	}
	if b, err = appendElements(b, evaluated); err != nil {
		return nil, err
	}
	proof, err := prove(group.Ristretto255.RandomNonZeroScalar(rand.Reader), secret.scalar, secret.public.bytes[:], elements, request[headerSize:], b[headerSize:])
	if err != nil {
		return nil, err
	}
	return append(b, proof...), nil
}
