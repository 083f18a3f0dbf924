package canon

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf8"
)

// Major types of RFC 8949 section 3.1.
const (
	majorUint   = 0
	majorNegInt = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorTag    = 6
	majorSimple = 7
)

// Check reports whether b is exactly one item of at most max bytes in
// deterministic encoding, without allocating.
func Check(b []byte, max int) error {
	if len(b) > max {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(b), max)
	}
	end, err := scan(b, 0, 0)
	if err != nil {
		return err
	}
	if end != len(b) {
		return fmt.Errorf("%w: item ends at %d of %d", ErrTrailing, end, len(b))
	}
	return nil
}

// scan checks the item that starts at b[at:] and returns where it ends.
func scan(b []byte, at, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, ErrDepth
	}
	major, arg, at, err := head(b, at)
	if err != nil {
		return 0, err
	}
	switch major {
	case majorUint:
		return at, nil
	case majorNegInt:
		// -1-arg must fit an int64, the only negative integer we decode into.
		if arg > math.MaxInt64 {
			return 0, fmt.Errorf("%w: negative integer out of range", ErrType)
		}
		return at, nil
	case majorBytes, majorText:
		return scanString(b, at, major, arg)
	case majorArray:
		if arg > MaxElements {
			return 0, ErrDepth
		}
		for range arg {
			if at, err = scan(b, at, depth+1); err != nil {
				return 0, err
			}
		}
		return at, nil
	case majorMap:
		return scanMap(b, at, depth, arg)
	case majorTag:
		return 0, fmt.Errorf("%w: tag inside an item", ErrType)
	default: // majorSimple; head has admitted false, true and null only
		return at, nil
	}
}

func scanString(b []byte, at int, major byte, n uint64) (int, error) {
	if n > uint64(len(b)-at) {
		return 0, ErrTruncated
	}
	end := at + int(n)
	if major == majorText && !utf8.Valid(b[at:end]) {
		return 0, fmt.Errorf("%w: text is not UTF-8", ErrType)
	}
	return end, nil
}

// scanMap checks n pairs: keys in strictly ascending bytewise order of their
// encodings, which also makes them unique.
func scanMap(b []byte, at, depth int, n uint64) (int, error) {
	if n > MaxElements {
		return 0, ErrDepth
	}
	var previous []byte
	for range n {
		start := at
		end, err := scan(b, at, depth+1)
		if err != nil {
			return 0, err
		}
		key := b[start:end]
		if previous != nil {
			switch c := bytes.Compare(previous, key); {
			case c == 0:
				return 0, ErrDuplicateKey
			case c > 0:
				return 0, fmt.Errorf("%w: map keys out of order", ErrNotCanonical)
			}
		}
		previous = key
		if at, err = scan(b, end, depth+1); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// head reads the initial byte and argument at b[at:] and refuses every
// encoding of the argument but the shortest.
func head(b []byte, at int) (major byte, arg uint64, next int, err error) {
	if at >= len(b) {
		return 0, 0, 0, ErrTruncated
	}
	major, info := b[at]>>5, b[at]&0x1f
	at++
	if major == majorSimple {
		if info < 20 || info > 22 {
			return 0, 0, 0, fmt.Errorf("%w: floating point, undefined or unassigned simple value", ErrType)
		}
		return major, uint64(info), at, nil
	}
	if info < 24 {
		return major, uint64(info), at, nil
	}
	if info > 27 {
		return 0, 0, 0, fmt.Errorf("%w: indefinite or reserved length", ErrNotCanonical)
	}
	size := 1 << (info - 24)
	if len(b)-at < size {
		return 0, 0, 0, ErrTruncated
	}
	for _, c := range b[at : at+size] {
		arg = arg<<8 | uint64(c)
	}
	// Smallest value that needs this many bytes; a smaller one is overlong.
	least := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]
	if arg < least {
		return 0, 0, 0, fmt.Errorf("%w: integer or length not in its shortest form", ErrNotCanonical)
	}
	return major, arg, at + size, nil
}
