package pir

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// Engine says how a server computes. The results do not depend on it.
type Engine struct {
	Kernel kernel.Kernel // of scans
	Unit   ring.Unit     // of packing
	// Workers is the number of goroutines of a call; none outlives it.
	Workers int
	// Alloc returns zeroed memory for the matrix and the tables; nil is make.
	// Scans want large pages.
	Alloc func(n int) ([]byte, error)
}

// BestEngine returns the fastest engine of this machine.
func BestEngine(workers int) Engine {
	return Engine{Kernel: kernel.Best(), Unit: ring.Best(), Workers: workers}
}

func (e *Engine) alloc(n int) ([]byte, error) {
	if e.Alloc == nil {
		return make([]byte, n), nil
	}
	return e.Alloc(n)
}

// each calls f(worker, i) for all i below n, on the engine's workers.
func (e *Engine) each(n int, f func(worker, i int)) {
	workers := min(e.Workers, n)
	if workers <= 1 {
		for i := range n {
			f(0, i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(w, int(i))
			}
		})
	}
	wg.Wait()
}

// Builder makes snapshots of a table. It owns the matrix, the hints and the
// tables; what it returns shares them. It is for one goroutine at a time.
type Builder struct {
	params Params
	engine Engine
	places []place
	matrix []byte
	hints  *hints
	hint   [][ring.N]uint32 // per row; nil before the first Build
	digits []byte
	masks  []byte // packed
	dirty  []bool // per group: the tables are not those of the matrix
	row    []int  // row -> band
}

// NewBuilder returns a builder with an empty matrix: every cell holds 128,
// which adds no noise. The digest in p is ignored.
func NewBuilder(p *Params, e Engine) (*Builder, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b := &Builder{params: *p, engine: e, places: layout(p.Bands)}
	var err error
	if b.matrix, err = e.alloc(p.MatrixBytes()); err != nil {
		return nil, err
	}
	if b.digits, err = e.alloc(p.Groups() * packing.DigitBytes); err != nil {
		return nil, err
	}
	for i := range b.matrix {
		b.matrix[i] = center
	}
	b.masks = make([]byte, p.maskSize())
	b.dirty = make([]bool, p.Groups())
	b.row = make([]int, 0, p.Rows())
	for i, band := range p.Bands {
		for range band.Rows {
			b.row = append(b.row, i)
		}
	}
	return b, nil
}

// Put writes value into a column of a band, from row offset on. After the
// first [Builder.Build] it also brings the hints of these rows up to date, at
// about a microsecond a byte that changes; snapshots that were built before
// must not be used any more.
func (b *Builder) Put(band, col, offset int, value []byte) error {
	p, err := locate(b.places, band, col, offset, len(value))
	if err != nil {
		return err
	}
	for i, v := range value {
		at := p.cell(offset+i, col)
		delta := uint32(v) - uint32(b.matrix[at])
		b.matrix[at] = v
		if b.hint != nil && delta != 0 {
			row := p.row + offset + i
			b.hints.change(&b.hint[row], p.col+col, delta)
			b.dirty[row/ring.N] = true
		}
	}
	return nil
}

// Fill writes every column anew, before the first [Builder.Build]. It calls
// column once for each, on the engine's workers, with the column preset to 128.
// It is the fast way in: bytes reach memory in whole cache lines.
func (b *Builder) Fill(column func(band, col int, dst []byte)) {
	type share struct {
		band, col int
	}
	var shares []share
	for i, band := range b.params.Bands {
		for c := 0; c < band.Cols; c += kernel.Step {
			shares = append(shares, share{i, c})
		}
	}
	buffers := make([][]byte, max(1, b.engine.Workers))
	b.engine.each(len(shares), func(worker, i int) {
		band, first := shares[i].band, shares[i].col
		p := &b.places[band]
		if cap(buffers[worker]) < kernel.Step*p.Rows {
			buffers[worker] = make([]byte, kernel.Step*p.Rows)
		}
		buf := buffers[worker][:kernel.Step*p.Rows]
		for j := range buf {
			buf[j] = center
		}
		for c := range kernel.Step {
			column(band, first+c, buf[c*p.Rows:(c+1)*p.Rows:(c+1)*p.Rows])
		}
		for r := range p.Rows {
			run := b.matrix[p.cell(r, first):][:kernel.Step]
			for c, at := 0, r; c < len(run); c, at = c+1, at+p.Rows {
				run[c] = buf[at]
			}
		}
	})
}

// Get copies what a column holds, from row offset on, to dst.
func (b *Builder) Get(dst []byte, band, col, offset int) error {
	p, err := locate(b.places, band, col, offset, len(dst))
	if err != nil {
		return err
	}
	for i := range dst {
		dst[i] = b.matrix[p.cell(offset+i, col)]
	}
	return nil
}

// Build computes hints and tables for what has changed, all of it the first
// time, and returns a snapshot. The snapshot shares the builder's memory: it
// is good until the next Put.
func (b *Builder) Build() *Snapshot {
	if b.hint == nil {
		b.buildHints()
	}
	var todo []int
	for g, dirty := range b.dirty {
		if dirty {
			todo = append(todo, g)
		}
	}
	public := b.params.public(b.engine.Unit)
	builders := make([]*packing.Builder, max(1, min(b.engine.Workers, len(todo))))
	b.engine.each(len(todo), func(worker, i int) {
		if builders[worker] == nil {
			builders[worker] = packing.NewBuilder(b.engine.Unit, public)
		}
		b.pack(builders[worker], todo[i])
	})
	clear(b.dirty)
	p := b.params
	p.MaskDigest = sha256.Sum256(b.masks)
	return newSnapshot(&p, b.matrix, b.digits, b.masks)
}

func (b *Builder) buildHints() {
	b.hints = newHints(b.engine.Unit, &b.params.Identity, b.params.Cols())
	b.hint = make([][ring.N]uint32, b.params.Rows())
	const rows = 32 // a share of work
	b.engine.each((len(b.hint)+rows-1)/rows, func(_, i int) {
		for r := i * rows; r < min((i+1)*rows, len(b.hint)); r++ {
			p := &b.places[b.row[r]]
			b.hints.row(&b.hint[r], b.matrix, p, r-p.row)
		}
	})
	for g := range b.dirty {
		b.dirty[g] = true
	}
}

// pack computes the tables of one group. Rows past the last band are empty.
func (b *Builder) pack(to *packing.Builder, group int) {
	t := packing.Table{Digits: b.digits[group*packing.DigitBytes:][:packing.DigitBytes]}
	to.Build(&t, func(k int, dst *[ring.N]uint32) {
		if r := group*ring.N + k; r < len(b.hint) {
			*dst = b.hint[r]
		} else {
			*dst = [ring.N]uint32{}
		}
	})
	mask := make([]uint32, ring.N)
	for i, v := range t.Mask {
		mask[i] = ring.Switch(v, maskBits)
	}
	n := packed(ring.N, maskBits)
	appendPacked(b.masks[group*n:group*n:(group+1)*n], mask, maskBits)
}
