package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"whither/csi"
	"whither/internal/dp/directory"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// model is a store in a few lines, without a promise of its own: what the
// histories hold a real one against.
type model struct {
	live    map[mapping.ID]mapping.Verified // until swept
	dead    map[mapping.ID]bool
	nonces  map[mapping.Nonce]time.Time
	changes []directory.Change
}

func newModel() *model {
	return &model{live: make(map[mapping.ID]mapping.Verified), dead: make(map[mapping.ID]bool), nonces: make(map[mapping.Nonce]time.Time)}
}

func (m *model) lives(id mapping.ID, now time.Time) (mapping.Verified, bool) {
	v, ok := m.live[id]
	return v, ok && v.Claims().Expires.After(now)
}

func (m *model) of(id csi.ID, now time.Time) []mapping.Verified {
	var out []mapping.Verified
	for _, v := range m.live {
		if v.Claims().CSI == id && v.Claims().Expires.After(now) {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, func(a, b mapping.Verified) int { return compareID(a.Claims().ID, b.Claims().ID) })
	return out
}

func (m *model) note(kind directory.ChangeKind, now time.Time, ids ...mapping.ID) {
	for _, id := range ids {
		m.changes = append(m.changes, directory.Change{Kind: kind, ID: id, At: now})
	}
}

func (m *model) nonceUsed(n mapping.Nonce, now time.Time) bool { return m.nonces[n].After(now) }

func (m *model) admit(v mapping.Verified, saw []mapping.ID, until, now time.Time) error {
	c := v.Claims()
	_, taken := m.live[c.ID]
	switch {
	case !slices.Equal(saw, ids(m.of(c.CSI, now))):
		return directory.ErrRaced
	case m.nonceUsed(c.DPNonce, now):
		return directory.ErrOfferUsed
	case taken || m.dead[c.ID]:
		return directory.ErrIDTaken
	}
	m.live[c.ID], m.nonces[c.DPNonce] = v, until
	m.note(directory.Admitted, now, c.ID)
	return nil
}

func (m *model) replace(v mapping.Verified, until, now time.Time) error {
	c := v.Claims()
	old, ok := m.lives(c.ID, now)
	switch {
	case !ok || old.Digest() != c.Predecessor || old.Claims().CSI != c.CSI:
		return directory.ErrRaced
	case m.nonceUsed(c.DPNonce, now):
		return directory.ErrOfferUsed
	}
	m.live[c.ID], m.nonces[c.DPNonce] = v, until
	m.note(directory.Replaced, now, c.ID)
	return nil
}

func (m *model) renew(renewed []mapping.Verified, now time.Time) error {
	for _, v := range renewed {
		id := v.Claims().ID
		if old, ok := m.lives(id, now); ok && old.Digest() == v.Digest() {
			m.live[id] = v
			m.note(directory.Renewed, now, id)
		}
	}
	return nil
}

func (m *model) withdraw(id mapping.ID, digest mapping.Digest, now time.Time) error {
	v, ok := m.lives(id, now)
	if !ok || v.Digest() != digest {
		return directory.ErrUnknown
	}
	m.bury(directory.Withdrawn, now, id)
	return nil
}

func (m *model) sweep(now time.Time, max int) int {
	var expired []mapping.Verified
	for _, v := range m.live {
		if !v.Claims().Expires.After(now) {
			expired = append(expired, v)
		}
	}
	slices.SortFunc(expired, func(a, b mapping.Verified) int {
		return cmp.Or(a.Claims().Expires.Compare(b.Claims().Expires), compareID(a.Claims().ID, b.Claims().ID))
	})
	gone := ids(expired[:min(max, len(expired))])
	m.bury(directory.Expired, now, gone...)
	return len(gone)
}

func (m *model) bury(kind directory.ChangeKind, now time.Time, gone ...mapping.ID) {
	for _, id := range gone {
		delete(m.live, id)
		m.dead[id] = true
	}
	m.note(kind, now, gone...)
}

func (m *model) due(t time.Time) []directory.Due {
	var out []directory.Due
	for id, v := range m.live {
		if v.Until().Before(t) && v.Until().Before(v.Claims().Expires) {
			out = append(out, directory.Due{Until: v.Until(), ID: id})
		}
	}
	slices.SortFunc(out, compareDue)
	return out
}

func ids(set []mapping.Verified) []mapping.ID {
	var out []mapping.ID
	for _, v := range set {
		out = append(out, v.Claims().ID)
	}
	slices.SortFunc(out, compareID)
	return out
}

func compareID(a, b mapping.ID) int { return slices.Compare(a[:], b[:]) }

// pool is what histories are made of: few people, few offers, many versions.
type pool struct {
	csis     []csi.ID
	mappings []mapping.Verified
	renewals []mapping.Verified
}

func newPool(t *testing.T, c *cast) pool {
	var p pool
	offers := 0
	for _, address := range []string{alice, bob} {
		p.csis = append(p.csis, worldtest.CSI(t, "mailto:"+address))
		for i, life := range []time.Duration{10 * time.Hour, 30 * time.Hour, 100 * 24 * time.Hour} {
			bend := func(claims *mapping.Claims) {
				claims.Expires = c.now.Add(life)
				if offers++; offers%4 == 0 { // some offers are taken up twice
					claims.DPNonce = mapping.Nonce{9}
				}
			}
			v := c.first(t, address, fmt.Sprint(i), bend)
			for _, version := range []mapping.Verified{v, c.next(t, v, address, fmt.Sprint(i, "a"), bend), c.next(t, v, address, fmt.Sprint(i, "b"), bend)} {
				p.mappings = append(p.mappings, version)
				for _, later := range []time.Duration{time.Hour, 9 * time.Hour} {
					p.renewals = append(p.renewals, c.renewed(t, version, later))
				}
			}
			p.mappings = append(p.mappings, c.next(t, p.mappings[len(p.mappings)-2], address, fmt.Sprint(i, "c"), bend))
		}
	}
	return p
}

// history drives a store and the model through the same random calls.
type history struct {
	*rapid.T
	pool
	model *model
	store directory.Store
	now   time.Time
	fault sqldb.Fault
	seen  uint64 // the last change
	read  int    // changes read
}

// testHistories compares the store with the model in random histories: parallel
// runs of rapid's own number of checks, which is a hundred.
func testHistories(t *testing.T, runs int, c *cast, open OpenDirectory) {
	p := newPool(t, c)
	for i := range runs {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) {
				h := &history{T: r, pool: p, model: newModel(), now: c.now}
				store, end := open(t, func(string) sqldb.Fault { return h.fault })
				defer end()
				h.store = store
				r.Repeat(map[string]func(*rapid.T){
					"":         h.check,
					"admit":    h.admit,
					"admit2":   h.admit, // more is there to change then
					"replace":  h.replace,
					"renew":    h.renew,
					"withdraw": h.withdraw,
					"sweep":    h.sweep,
					"wait":     h.wait,
					"due":      h.due,
					"byID":     h.byID,
				})
			})
		})
	}
}

// compare runs one write on both sides, with a random fault.
func (h *history) compare(what string, real, modelled func() error) {
	h.fault = rapid.SampledFrom([]sqldb.Fault{sqldb.NoFault, sqldb.NoFault, sqldb.RunTwice, sqldb.FailBefore, sqldb.FailAfter}).Draw(h.T, "fault")
	var want error
	if h.fault == sqldb.FailBefore {
		want = sqldb.ErrInjected
	} else if want = modelled(); want == nil && h.fault == sqldb.FailAfter {
		want = sqldb.ErrInjected
	}
	if err := real(); !errors.Is(err, want) {
		h.Fatalf("%s: %v, want %v", what, err, want)
	}
	h.fault = sqldb.NoFault
}

func (h *history) admit(r *rapid.T) {
	h.T = r
	v := rapid.SampledFrom(h.mappings).Draw(r, "mapping")
	saw := ids(h.model.of(v.Claims().CSI, h.now))
	if rapid.IntRange(0, 5).Draw(r, "saw") == 0 {
		saw = ids(rapid.SliceOfN(rapid.SampledFrom(h.mappings), 0, 2).Draw(r, "saw instead"))
		saw = slices.Compact(saw)
	}
	until := h.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(r, "hours")) * time.Hour)
	h.compare("admit",
		func() error { return h.store.Admit(r.Context(), v, saw, until, h.now) },
		func() error { return h.model.admit(v, saw, until, h.now) })
}

func (h *history) replace(r *rapid.T) {
	h.T = r
	v := rapid.SampledFrom(h.mappings).Draw(r, "mapping")
	until := h.now.Add(time.Hour)
	h.compare("replace",
		func() error { return h.store.Replace(r.Context(), v, until, h.now) },
		func() error { return h.model.replace(v, until, h.now) })
}

func (h *history) renew(r *rapid.T) {
	h.T = r
	set := rapid.SliceOfN(rapid.SampledFrom(h.renewals), 0, 6).Draw(r, "renewed")
	h.compare("renew",
		func() error { return h.store.Renew(r.Context(), set, h.now) },
		func() error { return h.model.renew(set, h.now) })
}

func (h *history) withdraw(r *rapid.T) {
	h.T = r
	v := rapid.SampledFrom(h.mappings).Draw(r, "mapping")
	id, digest := v.Claims().ID, v.Digest()
	h.compare("withdraw",
		func() error { return h.store.Withdraw(r.Context(), id, digest, h.now) },
		func() error { return h.model.withdraw(id, digest, h.now) })
}

func (h *history) sweep(r *rapid.T) {
	h.T = r
	max := rapid.IntRange(0, 3).Draw(r, "max")
	got, want := 0, 0
	if max == 0 { // nothing to write, so nothing that fails
		if n, err := h.store.Sweep(r.Context(), h.now, 0); n != 0 || err != nil {
			r.Fatalf("swept %d, %v", n, err)
		}
		return
	}
	h.compare("sweep",
		func() (err error) { got, err = h.store.Sweep(r.Context(), h.now, max); return err },
		func() error { want = h.model.sweep(h.now, max); return nil })
	if got != want && got != 0 { // 0 with an injected fault
		r.Fatalf("swept %d, want %d", got, want)
	}
}

func (h *history) wait(r *rapid.T) {
	h.now = h.now.Add(time.Duration(rapid.IntRange(1, 12).Draw(r, "hours")) * time.Hour)
}

func (h *history) due(r *rapid.T) {
	t := h.now.Add(time.Duration(rapid.IntRange(0, 200).Draw(r, "hours")) * time.Hour)
	max := rapid.IntRange(1, 4).Draw(r, "max")
	want := h.model.due(t)
	var after directory.Due
	for {
		page, err := h.store.RenewalsDue(r.Context(), after, t, max)
		if err != nil {
			r.Fatal(err)
		}
		n := min(max, len(want))
		if d := diff(want[:n], page); d != "" {
			r.Fatalf("due (-want +got):\n%s", d)
		}
		if want = want[n:]; len(page) == 0 {
			return
		}
		after = page[len(page)-1]
	}
}

func (h *history) byID(r *rapid.T) {
	id := rapid.SampledFrom(h.mappings).Draw(r, "mapping").Claims().ID
	got, err := h.store.ByID(r.Context(), id, h.now)
	want, ok := h.model.lives(id, h.now)
	switch {
	case !ok && !errors.Is(err, directory.ErrUnknown):
		r.Fatalf("by id: %v", err)
	case ok && err != nil:
		r.Fatal(err)
	case ok:
		if d := diff(directory.StoredOf(want), got); d != "" {
			r.Fatalf("by id (-want +got):\n%s", d)
		}
	}
}

// check compares what lives and what is new in the change feed.
func (h *history) check(r *rapid.T) {
	found, err := h.store.Find(r.Context(), h.csis, h.now)
	if err != nil {
		r.Fatal(err)
	}
	for i, id := range h.csis {
		var want []directory.Stored
		for _, v := range h.model.of(id, h.now) {
			want = append(want, directory.StoredOf(v))
		}
		if d := diff(want, found[i]); d != "" {
			r.Fatalf("person %d (-want +got):\n%s", i, d)
		}
	}
	fresh, err := h.store.Changes(r.Context(), h.seen, 1<<20)
	if err != nil {
		r.Fatal(err)
	}
	want := slices.Clone(h.model.changes[h.read:])
	h.read = len(h.model.changes)
	for i := range fresh {
		if fresh[i].Seq <= h.seen {
			r.Fatalf("change %d after %d", fresh[i].Seq, h.seen)
		}
		h.seen, fresh[i].Seq = fresh[i].Seq, 0
	}
	if d := diff(want, fresh); d != "" {
		r.Fatalf("changes (-want +got):\n%s", d)
	}
}
