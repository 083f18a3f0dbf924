package pir

import (
	"fmt"

	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/ring"
)

// place says where a band lies.
type place struct {
	Band
	row, col int // of its first cell
	offset   int // of its bytes
}

func layout(bands []Band) []place {
	out := make([]place, len(bands))
	var at place
	for i, b := range bands {
		at.Band = b
		out[i] = at
		at.row += b.Rows
		at.col += b.Cols
		at.offset += b.Rows * b.Cols
	}
	return out
}

// tile returns the width of the band's tiles.
func (p *place) tile() int { return min(p.Cols, kernel.Tile) }

// cell returns the offset of a cell, by its place in the band: tile, group of
// rows, step of columns, row of the group, column of the step.
func (p *place) cell(row, col int) int {
	t := p.tile()
	return p.offset + col/t*t*p.Rows +
		row/kernel.Group*kernel.Group*t +
		col%t/kernel.Step*kernel.Group*kernel.Step +
		row%kernel.Group*kernel.Step +
		col%kernel.Step
}

// locate checks that n bytes fit into a column from row offset on.
func locate(places []place, band, col, offset, n int) (*place, error) {
	if band < 0 || band >= len(places) {
		return nil, fmt.Errorf("%w: no band %d", ErrRange, band)
	}
	p := &places[band]
	if col < 0 || col >= p.Cols || offset < 0 || n < 0 || n > p.Rows-offset {
		return nil, fmt.Errorf("%w: %d bytes at row %d of column %d in band %d", ErrRange, n, offset, col, band)
	}
	return p, nil
}

// hints computes, for rows of a matrix, what a query's uniform halves turn into
// in the scan: for row r the polynomial sum_j (cell_j - 128) * a * X^-j mod
// 2^32, over the blocks a of the columns that its band touches.
type hints struct {
	unit   ring.Unit
	blocks []*[ring.N]uint32
	// The blocks in 16-bit parts, which keep all sums below Q/2, at X -> 1/X:
	// so the cells need not be reversed.
	low, high []ring.Poly
	cells     [256]uint64 // centred, mod Q
}

func newHints(u ring.Unit, id *Identity, cols int) *hints {
	n := (cols + ring.N - 1) / ring.N
	h := &hints{unit: u, blocks: make([]*[ring.N]uint32, n), low: make([]ring.Poly, n), high: make([]ring.Poly, n)}
	for i := range h.blocks {
		h.blocks[i] = id.block(i)
		for j, v := range h.blocks[i] {
			h.low[i][j] = uint64(v & 0xffff)
			h.high[i][j] = ring.FromInt(int64(int32(v) >> 16))
		}
		u.Forward(&h.low[i])
		u.Forward(&h.high[i])
		swap(&h.low[i])
		swap(&h.high[i])
	}
	for v := range h.cells {
		h.cells[v] = ring.FromInt(int64(v) - center)
	}
	return h
}

// swap applies X -> 1/X to values in orbit order.
func swap(p *ring.Poly) {
	for i := range ring.Half {
		p[i], p[ring.Half+i] = p[ring.Half+i], p[i]
	}
}

// row writes the hint of one row of a band.
func (h *hints) row(dst *[ring.N]uint32, matrix []byte, p *place, row int) {
	var low, high ring.Sum
	for col := 0; col < p.Cols; {
		block, at := (p.col+col)/ring.N, (p.col+col)%ring.N
		n := min(p.Cols-col, ring.N-at)
		var cells ring.Poly
		for c := 0; c < n; c += kernel.Step {
			run := matrix[p.cell(row, col+c):][:kernel.Step]
			to := cells[at+c:][:kernel.Step]
			for i, v := range run {
				to[i] = h.cells[v]
			}
		}
		h.unit.Forward(&cells)
		h.unit.AddMul(&low, &cells, &h.low[block])
		h.unit.AddMul(&high, &cells, &h.high[block])
		col += n
	}
	var l, m ring.Poly
	for _, part := range []struct {
		to   *ring.Poly
		from *ring.Sum
	}{{&l, &low}, {&m, &high}} {
		h.unit.Settle(part.to, part.from)
		swap(part.to)
		h.unit.Inverse(part.to)
	}
	for i := range dst {
		dst[i] = uint32(ring.ToInt(l[i])) + uint32(ring.ToInt(m[i]))<<16
	}
}

// change adds delta * a * X^-col to a hint.
func (h *hints) change(dst *[ring.N]uint32, col int, delta uint32) {
	a, at := h.blocks[col/ring.N], col%ring.N
	for i, v := range a[at:] {
		dst[i] += delta * v
	}
	for i, v := range a[:at] {
		dst[ring.N-at+i] -= delta * v
	}
}
