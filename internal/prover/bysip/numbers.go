package bysip

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"whither/internal/prover"
)

// ErrNumbers refuses a block of numbers.
var ErrNumbers = errors.New("bysip: no block of numbers: want +, digits, and 6 to 10 times x, at most 15 in all")

// minFree is how many digits of a number are drawn for each challenge, at least:
// a thousand calls in a second, to numbers at random, then do not find one
// challenge often enough in its five minutes to end it.
const minFree = 6

// block is a block of telephone numbers that all lead to this prover. Each call
// that is asked for gets one of its own, which is what the PASSporT must have as
// its destination.
type block struct {
	prefix string // with +
	free   int
}

// parseBlock reads a block, as +4144555xxxxxx; "" is none.
func parseBlock(s string) (block, error) {
	if s == "" {
		return block{}, nil
	}
	prefix := strings.TrimRight(s, "x")
	b := block{prefix, len(s) - len(prefix)}
	digits, plus := strings.CutPrefix(prefix, "+")
	if !plus || len(digits) < 2 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" ||
		b.free < minFree || b.free > 10 || len(digits)+b.free > 15 {
		return block{}, ErrNumbers
	}
	return b, nil
}

// draw returns a number of the block, with +.
func (b block) draw() (string, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(b.free)), nil))
	if err != nil {
		return "", fmt.Errorf("bysip: %w", err)
	}
	return fmt.Sprintf("%s%0*d", b.prefix, b.free, n), nil
}

// boxOf returns the mailbox of the challenge that has a number: nobody is told a
// number without its challenge, and two challenges do not have one at a time.
func boxOf(number string) prover.Mailbox {
	sum := sha256.Sum256([]byte("whither/v1/number " + number))
	return prover.Mailbox(sum[:16])
}

// box returns the mailbox that the user part of a Request-URI names: one that is
// written there, or a number's. Parameters of the user part are passed over.
func (b block) box(user string) (prover.Mailbox, bool) {
	user, _, _ = strings.Cut(user, ";")
	if rest, ours := strings.CutPrefix(user, b.prefix); ours && b.free > 0 && len(rest) == b.free && strings.Trim(rest, "0123456789") == "" {
		return boxOf(user), true
	}
	return prover.ParseMailbox(user)
}
