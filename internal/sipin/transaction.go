package sipin

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"

	"whither/internal/sipin/syntax"
)

// meter bounds messages in a second, in fixed memory: sources that share a cell
// share its bound, and with a seed of its own nobody can choose whom he shares
// one with.
type meter struct {
	seed  maphash.Seed
	per   int32
	max   int32
	total atomic.Int32
	cells [4096]atomic.Int32
}

func newMeter(b Bounds) *meter {
	return &meter{seed: maphash.MakeSeed(), per: int32(min(b.PerSource, 1<<20)), max: int32(min(b.Total, 1<<20))}
}

// take counts a message and reports whether it is within the bounds. What is
// over the bound of its source does not count towards the total.
func (m *meter) take(source netip.Addr) bool {
	cell := &m.cells[maphash.Comparable(m.seed, block(source))%uint64(len(m.cells))]
	if cell.Load() >= m.per || cell.Add(1) > m.per {
		return false
	}
	return m.total.Load() < m.max && m.total.Add(1) <= m.max
}

// block is what counts as one source: an address, or a /64 of IPv6.
func block(source netip.Addr) netip.Addr {
	source = source.Unmap()
	if p, err := source.WithZone("").Prefix(64); err == nil && source.Is6() {
		return p.Addr()
	}
	return source
}

// reset begins a new second.
func (m *meter) reset() {
	for i := range m.cells {
		m.cells[i].Store(0)
	}
	m.total.Store(0)
}

// flow is a way back to where a request came from.
type flow struct {
	source    string // names it in keys of transactions; never logged
	transport string // for Via and Contact: UDP, TCP or TLS
	send      func(b []byte)
}

// How long a transaction is remembered, in ticks: 64·T1 of RFC 3261 section
// 17.2; and how many at once.
const (
	memory          = 32
	maxTransactions = 1 << 13
)

// transactions remembers requests and their final answers (RFC 3261 section
// 17.2).
type transactions struct {
	mu   sync.Mutex
	open map[string]*transaction
	ages [memory + 1][]string // keys by the tick in which they began
	now  int
}

// transaction is one request.
type transaction struct {
	flow   flow
	answer []byte // the final one, nil until there is one
	cancel func() // of an INVITE that is being judged
}

func newTransactions() *transactions {
	return &transactions{open: make(map[string]*transaction)}
}

// keyOf names a transaction (section 17.2.3), and its source with it: one source
// gets no answers of another's.
func keyOf(m *syntax.Message, f flow, method string) string {
	return f.source + " " + method + " " + m.SentBy() + " " + m.Branch
}

// begin enters a request. It returns false if it is known: then its answer, if
// there is one, has been sent again. It returns errTooMany if there is no room.
func (t *transactions) begin(key string, f flow) (fresh bool, err error) {
	t.mu.Lock()
	known, ok := t.open[key]
	var answer []byte
	if ok {
		answer = known.answer
	}
	full := !ok && len(t.open) >= maxTransactions
	if !ok && !full {
		t.open[key] = &transaction{flow: f}
		t.ages[t.now] = append(t.ages[t.now], key)
	}
	t.mu.Unlock()
	switch {
	case full:
		return false, errTooMany
	case ok && answer != nil:
		f.send(answer)
	}
	return !ok, nil
}

// end records the final answer of a transaction and sends it. A transaction has
// one; a second is dropped, and false returned.
func (t *transactions) end(key string, answer []byte) bool {
	t.mu.Lock()
	one, ok := t.open[key]
	if !ok || one.answer != nil {
		t.mu.Unlock()
		return false
	}
	one.answer, one.cancel = answer, nil
	t.mu.Unlock()
	one.flow.send(answer)
	return true
}

// onCancel sets what a CANCEL of the transaction does.
func (t *transactions) onCancel(key string, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one, ok := t.open[key]; ok && one.answer == nil {
		one.cancel = f
	}
}

// cancel cancels a transaction and reports whether it is known.
func (t *transactions) cancel(key string) bool {
	t.mu.Lock()
	one, ok := t.open[key]
	var f func()
	if ok {
		f, one.cancel = one.cancel, nil
	}
	t.mu.Unlock()
	if f != nil {
		f()
	}
	return ok
}

// age forgets the transactions that began memory ticks ago.
func (t *transactions) age() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = (t.now + 1) % len(t.ages)
	for _, key := range t.ages[t.now] {
		delete(t.open, key)
	}
	t.ages[t.now] = nil
}
