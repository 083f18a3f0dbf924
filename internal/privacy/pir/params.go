package pir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/ring"
)

// Limits on what a description of a table may ask of a client or a server.
const (
	MaxColumns = 1 << 19 // 1.8 MB of query
	MaxGroups  = 1 << 9  // 1.7 MB of answer, 1,048,576 rows
	MaxBands   = 1 << 12 // eight bucket tables of 500 contacts
	MaxInfo    = 1 << 10 // what the layer above adds
	maxDP      = 253     // a DNS name
	maxParams  = 1 + 1 + maxDP + 4 + 1 + 8 + 1 + 2 + 10*MaxBands + 2 + MaxInfo + sha256.Size
)

// MinQueryBits is the least precision of a query: below, no column is wide
// enough to be worth asking for.
const MinQueryBits = 22

// maxRows is the number of rows of the longest answer.
const maxRows = MaxGroups * ring.N

// Identity names the content that a matrix is one version of. All public
// randomness is derived from it, by the client itself.
type Identity struct {
	DP    string // party id, a DNS name
	Shard uint32
	Table byte
	Epoch uint64
}

// Band is a part of the matrix with columns of its own: a query selects one
// column in each band, and sees nothing of the band's other columns.
type Band struct {
	Rows, Cols int
}

// Params describes one version of a table. Both sides work from the same
// bytes, which [Params.ID] hashes.
type Params struct {
	Identity
	// QueryBits is the number of bits that are sent of each word of a query.
	QueryBits int
	// Bands lie below each other and side by side: the matrix is
	// block-diagonal. Rows are multiples of 4; columns are multiples of 64,
	// and of 1,024 from there on.
	Bands []Band
	// Info belongs to the layer above.
	Info []byte
	// MaskDigest is the SHA-256 of the packed masks. It binds the content.
	MaskDigest [sha256.Size]byte
}

// ID identifies a version of a table in queries and answers.
type ID [sha256.Size]byte

const labelParams = "whither/v1/private/params"

// ID returns the hash of the label and the encoding.
func (p *Params) ID() ID {
	return sha256.Sum256(append([]byte(labelParams), p.encode()...))
}

// Cols returns the number of columns of all bands: the words of a query.
func (p *Params) Cols() int {
	n := 0
	for _, b := range p.Bands {
		n += b.Cols
	}
	return n
}

// Rows returns the number of rows of all bands.
func (p *Params) Rows() int {
	n := 0
	for _, b := range p.Bands {
		n += b.Rows
	}
	return n
}

// Groups returns the number of packed ciphertexts of an answer.
func (p *Params) Groups() int { return (p.Rows() + ring.N - 1) / ring.N }

// MatrixBytes returns the size of the matrix.
func (p *Params) MatrixBytes() int {
	n := 0
	for _, b := range p.Bands {
		n += b.Rows * b.Cols
	}
	return n
}

// Check returns an error that wraps [ErrParams] if p breaks a bound, or if its
// answers could be wrong too often.
func (p *Params) Check() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrParams, fmt.Sprintf(format, args...))
	}
	if p.DP == "" || len(p.DP) > maxDP {
		return fail("DP name of %d bytes", len(p.DP))
	}
	if len(p.Info) > MaxInfo {
		return fail("%d bytes of info", len(p.Info))
	}
	if p.QueryBits < MinQueryBits || p.QueryBits > 32 {
		return fail("%d bits a word", p.QueryBits)
	}
	if len(p.Bands) == 0 || len(p.Bands) > MaxBands {
		return fail("%d bands", len(p.Bands))
	}
	widest, rows, cols := 0, 0, 0
	for i, b := range p.Bands {
		switch {
		case b.Rows < kernel.Group || b.Rows > maxRows || b.Rows%kernel.Group != 0:
			return fail("band %d has %d rows", i, b.Rows)
		case b.Cols < kernel.Step || b.Cols > MaxColumns || b.Cols%kernel.Step != 0,
			b.Cols > kernel.Tile && b.Cols%kernel.Tile != 0:
			return fail("band %d has %d columns", i, b.Cols)
		}
		widest = max(widest, b.Cols)
		rows += b.Rows
		cols += b.Cols
	}
	if rows > maxRows || cols > MaxColumns {
		return fail("%d rows and %d columns", rows, cols)
	}
	if f := FailureBits(widest, p.QueryBits, rows, WorstCell); f < MinFailureBits {
		return fail("an answer fails once in 2^%d", int(math.Floor(f)))
	}
	return nil
}

// Format of parameters: version, length and bytes of the DP's name, shard,
// table, epoch, bits, number of runs, runs of {rows, cols, repeats}, length
// and bytes of the info, digest.

const version = 1

func (p *Params) encode() []byte {
	b := []byte{version, byte(len(p.DP))}
	b = append(b, p.DP...)
	b = binary.BigEndian.AppendUint32(b, p.Shard)
	b = append(b, p.Table)
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	b = append(b, byte(p.QueryBits))
	runs := 0
	at := len(b)
	b = append(b, 0, 0)
	for i := 0; i < len(p.Bands); runs++ {
		n := 1
		for i+n < len(p.Bands) && p.Bands[i+n] == p.Bands[i] {
			n++
		}
		b = binary.BigEndian.AppendUint32(b, uint32(p.Bands[i].Rows))
		b = binary.BigEndian.AppendUint32(b, uint32(p.Bands[i].Cols))
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		i += n
	}
	binary.BigEndian.PutUint16(b[at:], uint16(runs))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Info)))
	b = append(b, p.Info...)
	return append(b, p.MaskDigest[:]...)
}

// Marshal returns the encoding of p.
func (p *Params) Marshal() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return p.encode(), nil
}

// ParseParams decodes what [Params.Marshal] wrote, and only that.
func ParseParams(b []byte) (*Params, error) {
	if len(b) > maxParams {
		return nil, fmt.Errorf("%w: %d bytes", ErrParams, len(b))
	}
	r := reader{rest: b}
	if v := r.uint8(); v != version {
		return nil, fmt.Errorf("%w: version %d", ErrParams, v)
	}
	p := new(Params)
	p.DP = string(r.next(int(r.uint8())))
	p.Shard = r.uint32()
	p.Table = r.uint8()
	p.Epoch = uint64(r.uint32())<<32 | uint64(r.uint32())
	p.QueryBits = int(r.uint8())
	for range r.uint16() {
		band := Band{Rows: int(r.uint32()), Cols: int(r.uint32())}
		n := int(r.uint16())
		if len(p.Bands)+n > MaxBands {
			return nil, fmt.Errorf("%w: too many bands", ErrParams)
		}
		for range n {
			p.Bands = append(p.Bands, band)
		}
	}
	p.Info = bytes.Clone(r.next(int(r.uint16())))
	copy(p.MaskDigest[:], r.next(sha256.Size))
	if r.short || len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: wrong length", ErrParams)
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	// One encoding per value: runs are maximal and not empty.
	if !bytes.Equal(p.encode(), b) {
		return nil, fmt.Errorf("%w: not canonical", ErrParams)
	}
	return p, nil
}

// reader takes fixed fields off a byte string. Past the end it yields zeros
// and remembers.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) next(n int) []byte {
	if n > len(r.rest) {
		r.short = true
		r.rest = nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint8() byte {
	if b := r.next(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.next(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.next(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}
