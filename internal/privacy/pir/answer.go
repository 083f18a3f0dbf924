package pir

import (
	"whither/internal/privacy/pir/kernel"
	"whither/internal/privacy/pir/packing"
	"whither/internal/privacy/pir/ring"
)

// Snapshot is one version of a table, ready to be asked. It is not changed by
// asking, and safe for concurrent use.
type Snapshot struct {
	params *Params
	id     ID
	places []place
	matrix []byte
	tables []packing.Table
	digits []byte // of all tables
	masks  []byte
}

func newSnapshot(p *Params, matrix, digits, masks []byte) *Snapshot {
	s := &Snapshot{params: p, id: p.ID(), places: layout(p.Bands), matrix: matrix, digits: digits, masks: masks}
	s.tables = make([]packing.Table, p.Groups())
	for g := range s.tables {
		s.tables[g].Digits = digits[g*packing.DigitBytes:][:packing.DigitBytes]
	}
	return s
}

// Params returns the description of the snapshot. It must not be changed.
func (s *Snapshot) Params() *Params { return s.params }

// Masks returns the packed masks, which any client may fetch ahead.
func (s *Snapshot) Masks() []byte { return s.masks }

// Decode parses a query. Queries for other versions fail with [ErrTable].
func (s *Snapshot) Decode(b []byte) (*Query, error) {
	return parseQuery(s.params, ring.Best(), b)
}

// batch is the number of bytes of the matrix that all queries of a batch read
// before the next: half of a small first-level cache.
const batch = 16 << 10

// Answer answers queries that were decoded for s. All of them share one pass
// over the memory.
func (s *Snapshot) Answer(e Engine, queries []*Query) [][]byte {
	return s.Pack(e, queries, s.Scan(e, queries))
}

// Scan is the first half of [Snapshot.Answer]. It returns, per query, the sum
// of each row: cells, less 128, times words.
func (s *Snapshot) Scan(e Engine, queries []*Query) [][]uint32 {
	planes := make([]kernel.Planes, len(queries))
	sums := make([][]uint32, len(queries))
	for i, q := range queries {
		planes[i] = e.Kernel.Prepare(q.words)
		sums[i] = make([]uint32, len(s.tables)*ring.N)
	}
	// A share is a band, or a part of its rows where bands are few.
	parts := 1
	if len(s.places) < 4*e.Workers {
		parts = e.Workers
	}
	e.each(len(s.places)*parts, func(_, i int) {
		p := &s.places[i/parts]
		groups := p.Rows / kernel.Group
		first, last := i%parts*groups/parts*kernel.Group, (i%parts+1)*groups/parts*kernel.Group
		s.scanRows(p, first, last, planes, sums)
	})
	for i, q := range queries {
		for _, p := range s.places {
			var all uint32
			for _, w := range q.words[p.col:][:p.Cols] {
				all += w
			}
			for r := range sums[i][p.row:][:p.Rows] {
				sums[i][p.row+r] -= center * all
			}
		}
	}
	return sums
}

func (s *Snapshot) scanRows(p *place, first, last int, planes []kernel.Planes, sums [][]uint32) {
	t := p.tile()
	rows := last - first
	if len(planes) > 1 {
		rows = max(kernel.Group, batch/t/kernel.Group*kernel.Group)
	}
	part, acc := make([]kernel.Planes, len(planes)), make([][]uint32, len(planes))
	for col := 0; col < p.Cols; col += t {
		for i := range planes {
			part[i] = planes[i].Slice(p.col+col, t)
		}
		for r := first; r < last; r += rows {
			n := min(rows, last-r)
			for i := range planes {
				acc[i] = sums[i][p.row+r:][:n]
			}
			cells := s.matrix[p.cell(r, col):]
			kernel.ScanAll(part, acc, cells[:n*t], cells[n*t:min(2*n*t, len(cells))])
		}
	}
}

// Pack is the second half of [Snapshot.Answer]: it turns the sums that Scan
// returned into answers.
func (s *Snapshot) Pack(e Engine, queries []*Query, sums [][]uint32) [][]byte {
	keys := make([]*packing.Key, len(queries))
	out := make([][]byte, len(queries))
	for i, q := range queries {
		keys[i] = q.key
		out[i] = make([]byte, s.params.answerSize(q.masks))
		head := appendHeader(out[i][:0], s.id, q.masks)
		if q.masks {
			copy(out[i][len(head):], s.masks)
		}
	}
	e.each(len(s.tables), func(_, g int) {
		lifted, bodies := make([]*ring.Poly, len(queries)), make([]*ring.Poly, len(queries))
		for i := range queries {
			lifted[i], bodies[i] = new(ring.Poly), new(ring.Poly)
			for k, v := range sums[i][g*ring.N:][:ring.N] {
				lifted[i][k] = ring.Lift(v)
			}
		}
		s.tables[g].PackAll(e.Unit, keys, lifted, bodies)
		n := packed(ring.N, bodyBits)
		var kept [ring.N]uint32
		for i, body := range bodies {
			for k, v := range body {
				kept[k] = ring.Switch(v, bodyBits)
			}
			end := len(out[i]) - (len(s.tables)-g-1)*n
			appendPacked(out[i][end-n:end-n:end], kept[:], bodyBits)
		}
	})
	return out
}
