package pir

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"whither/internal/privacy/pir/packing"
)

// A stored snapshot: magic, length and bytes of the parameters, matrix, digits
// and masks, each from a multiple of 4,096 on, SHA-256 of all of it. It can be
// mapped and served as it lies. Whoever can write the file can make answers
// wrong, which clients notice as missing values, and nothing more.

const (
	fileMagic = "whither/pir/1\n\x00\x00"
	fileAlign = 4096
)

// WriteTo stores s. It writes front to back, so a torn file lacks its end.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	out := &summing{w: w, sum: sha256.New()}
	params := s.params.encode()
	head := append([]byte(fileMagic), binary.BigEndian.AppendUint32(nil, uint32(len(params)))...)
	for _, part := range [][]byte{append(head, params...), s.matrix, s.digits, s.masks} {
		out.write(part)
		out.write(make([]byte, -out.n&(fileAlign-1)))
	}
	out.write(out.sum.Sum(nil))
	if out.err != nil {
		return out.n, fmt.Errorf("pir: store a snapshot: %w", out.err)
	}
	return out.n, nil
}

// summing counts and hashes what it passes on, up to the first error.
type summing struct {
	w   io.Writer
	sum hash.Hash
	n   int64
	err error
}

func (s *summing) write(b []byte) {
	if s.err != nil {
		return
	}
	s.sum.Write(b)
	n, err := s.w.Write(b)
	s.n += int64(n)
	s.err = err
}

// Open returns the snapshot that is stored in b, and works on b from then on.
// It reads all of b: a file that is torn or altered fails with [ErrFile].
func Open(b []byte) (*Snapshot, error) {
	if len(b) < len(fileMagic)+4+sha256.Size || string(b[:len(fileMagic)]) != fileMagic {
		return nil, fmt.Errorf("%w: not a snapshot", ErrFile)
	}
	size := int64(binary.BigEndian.Uint32(b[len(fileMagic):]))
	at := int64(len(fileMagic) + 4)
	if size > maxParams || at+size > int64(len(b)) {
		return nil, fmt.Errorf("%w: parameters", ErrFile)
	}
	p, err := ParseParams(b[at : at+size])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	at += size
	sizes := []int64{int64(p.MatrixBytes()), int64(p.Groups()) * packing.DigitBytes, int64(p.maskSize())}
	var starts []int64
	for _, n := range sizes {
		at += -at & (fileAlign - 1)
		starts = append(starts, at)
		at += n
	}
	at += -at & (fileAlign - 1)
	if at+sha256.Size != int64(len(b)) {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrFile, len(b), at+sha256.Size)
	}
	if sha256.Sum256(b[:at]) != [sha256.Size]byte(b[at:]) {
		return nil, fmt.Errorf("%w: checksum", ErrFile)
	}
	part := func(i int) []byte { return b[starts[i]:][:sizes[i]:sizes[i]] }
	if sha256.Sum256(part(2)) != p.MaskDigest {
		return nil, fmt.Errorf("%w: masks of another table", ErrFile)
	}
	return newSnapshot(p, part(0), part(1), part(2)), nil
}
