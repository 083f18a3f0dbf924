package cosigner

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"whither/internal/offer"
)

// Secret marks an MSP's offers as its own: 32 random bytes. Who knows it can
// make offers, but no signature. Losing it costs the offers of one day.
type Secret [offer.SecretSize]byte

const redacted = "cosigner.Secret(redacted)"

// Format prints a redaction for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs a redaction.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses, so that no encoder writes a secret by accident.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("cosigner: a secret is not written")
}
