// Package mail is the strongest evidence that a person holds a mail address: a
// reply to a challenge, signed by the domain of the address itself.
//
// The manner is that of RFC 8823 (ACME for S/MIME), with whither's own subject
// and block, and with a response that binds the holder's key; design section 4
// has the level and the rules. Anybody who has the raw reply and the key record
// that was observed checks it again, offline and for ever:
//
//	prover                              holder
//	  │  Challenge: Subject part 1        │
//	  │ ────────────── mail ────────────> │   (part 2 goes to the app by HTTPS)
//	  │                                   │
//	  │  Response: "I let key … answer"   │
//	  │ <──── mail, DKIM of the domain ── │
//
// [Verify] promises that the domain of the address signed, with the key in the
// given record, a mail from this one address to the prover whose whole content
// is the sentence and the response wanted. It is a pure function of its
// arguments: no DNS, no sockets, no clock.
//
// It does not check that the record was published, or when: receipts and
// observations do. It does not compute the response: that is the hash of
// {label, CSI, holder key, nonce} made in package possession. It takes a fact
// as a domain says it; what a domain's signature is worth is policy.
//
// What the evidence rests on is read strictly. Mail that people's programs
// really send is let through where it cannot change the meaning: white space at
// the ends of lines, empty lines at the end, a wrapped sentence, any transfer
// encoding. Times are seconds, sizes are bytes.
package mail

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"whither/internal/dkim"
)

// Bounds.
const (
	// MaxSize bounds a message. A reply is two to eight kilobytes.
	MaxSize = 64 << 10
	// MaxSignatures bounds the DKIM signatures of a message. Direct mail has
	// one or two; forwarders add theirs.
	MaxSignatures = 5
	// TokenSize is the length of part 1 of the token. A multiple of three
	// leaves base64url no spare bits, so that there is one reading of it.
	TokenSize = 24
	// MaxSkew is how far in the future a signature's time may lie.
	MaxSkew = 120 * time.Second
)

// Errors of [Verify], one a reason. Their texts, and those of what wraps them,
// never contain an address or anything else that a message says.
var (
	ErrWant              = errors.New("mail: what to verify against is incomplete")
	ErrTooLarge          = errors.New("mail: message too large")
	ErrMalformed         = errors.New("mail: malformed message")
	ErrSecondFrom        = errors.New("mail: not exactly one author")
	ErrWrongSender       = errors.New("mail: from another address")
	ErrWrongRecipient    = errors.New("mail: not to the reply address alone")
	ErrRepeatedHeader    = errors.New("mail: a signed header field occurs twice or not at all")
	ErrAutomatic         = errors.New("mail: automatic reply, bounce or list mail")
	ErrWrongToken        = errors.New("mail: subject does not carry the token")
	ErrContentType       = errors.New("mail: not plain text")
	ErrQuoted            = errors.New("mail: response is quoted")
	ErrExtraContent      = errors.New("mail: text beside the sentence and the response")
	ErrNoResponse        = errors.New("mail: no response block")
	ErrWrongResponse     = errors.New("mail: response or key is another")
	ErrNoSignature       = errors.New("mail: no DKIM signature")
	ErrTooManySignatures = errors.New("mail: too many DKIM signatures")
	ErrBadSignature      = errors.New("mail: DKIM signature does not verify")
	ErrMisaligned        = errors.New("mail: DKIM signature of another domain")
	ErrUnsignedHeader    = errors.New("mail: a header field that must be signed is not")
	ErrWeakKey           = errors.New("mail: weak DKIM key or algorithm")
	ErrBodyLength        = errors.New("mail: DKIM signature covers only a part of the body")
	ErrKeyRecord         = errors.New("mail: unusable DKIM key record")
	ErrKeyLookup         = errors.New("mail: no DKIM key record to be had")
	ErrExpired           = errors.New("mail: DKIM signature has expired")
	ErrFuture            = errors.New("mail: DKIM signature is from the future")
)

// Want is what a reply is verified against.
type Want struct {
	// Address is the canonical address in question: addr-spec, lower case.
	Address string
	// ReplyTo is the prover's address that the answer must go to, lower case.
	ReplyTo string
	// Part1 is the token of the challenge's subject, see [Token].
	Part1 string
	// Response is the digest of {label, CSI, holder key, nonce}.
	Response [sha256.Size]byte
	// Fingerprint is the holder key as it is displayed.
	Fingerprint string
	// Now is the time of the judgement: signatures expired then, or made more
	// than [MaxSkew] later, do not count. Who verifies an old reply gives the
	// time of its receipt.
	Now time.Time
}

// Report is what a verified reply says.
type Report struct {
	// Domain and Selector name the key record that was used, lower case.
	Domain, Selector string
	// KeyDigest names the key in it, see [KeyDigest].
	KeyDigest [sha256.Size]byte
	// SignedAt is the signature's own time, zero if it has none.
	SignedAt time.Time
	// ArtefactDigest is SHA-256 of the raw message.
	ArtefactDigest [sha256.Size]byte
}

// Token returns part 1 of a token as it stands in the subject: 32 characters.
func Token(part1 [TokenSize]byte) string { return base64.RawURLEncoding.EncodeToString(part1[:]) }

// validToken accepts what Token makes.
func validToken(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == TokenSize && len(s) == base64.RawURLEncoding.EncodedLen(TokenSize)
}

// KeyDigest reads the TXT records found at selector._domainkey.domain and names
// the key in them:
//
//	SHA-256(type || 0x00 || p)
//
// where type is "rsa" or "ed25519" in ASCII and p the decoded bytes of the p=
// tag; so white space and the other tags do not count. A record that [Verify]
// would not use has no digest.
func KeyDigest(txt []string) ([sha256.Size]byte, error) {
	k, err := dkim.ParseKey(txt)
	if err != nil {
		return [sha256.Size]byte{}, translate(err)
	}
	return k.Digest(), nil
}
