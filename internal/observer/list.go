package observer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"whither/internal/canon"
	"whither/internal/endpoint"
	"whither/possession/observe"
	"whither/problem"
	"whither/wire"
)

const (
	// ListsKept is for how many days lists are kept: 13 months.
	ListsKept = 396
	// grace is how long after a day's end its list is signed, so that looks which
	// were under way are in it.
	grace = 5 * time.Minute
	// cacheIndex and cacheList are for how long others may keep what they read.
	cacheIndex = "public, max-age=600"
	cacheList  = "public, max-age=31536000, immutable"
)

// index says of which days there are lists (GET /v1/lists).
func (o *Observer) index(ctx context.Context, r endpoint.Read) (endpoint.Document, error) {
	lists, err := o.config.Store.Index(ctx)
	if err != nil {
		return endpoint.Document{}, err
	}
	answer := wire.ListIndex{Lists: []wire.ListEntry{}}
	for _, l := range lists {
		answer.Lists = append(answer.Lists, wire.ListEntry{Day: uint64(l.Day), Digest: l.Digest[:], Size: uint64(l.Size)})
	}
	b, err := wire.Encode(r.Encoding, answer)
	return endpoint.Document{Type: r.Encoding, Body: b, Cache: cacheIndex}, err
}

// list is the list of one day (GET /v1/lists/DAY).
func (o *Observer) list(ctx context.Context, r endpoint.Read) (endpoint.Document, error) {
	day, err := strconv.ParseUint(r.Name, 10, 32)
	if err != nil || strconv.FormatUint(day, 10) != r.Name {
		return endpoint.Document{}, problem.New(problem.NotFound, "")
	}
	b, err := o.config.Store.List(ctx, observe.Day(day))
	return endpoint.Document{Type: wire.TypeCBOR, Body: b, Cache: cacheList}, err
}

// publish signs the lists of days that have ended. The commit point is in the
// store: a list that is not stored has been read by nobody, and may be signed
// again, with other bytes.
func (o *Observer) publish(ctx context.Context, now time.Time) error {
	today := observe.DayOf(now.Add(-grace))
	for {
		day, entries, err := o.config.Store.Unlisted(ctx, today)
		if err != nil || len(entries) == 0 {
			return errors.Join(err, o.config.Store.Expire(ctx, max(today, ListsKept)-ListsKept))
		}
		lists, err := o.config.Store.Index(ctx)
		if err != nil {
			return err
		}
		var last Published
		if len(lists) > 0 {
			last = lists[len(lists)-1]
		}
		if len(lists) > 0 && last.Day >= day || now.After((day + 1).Begin().Add(observe.MaxDelay)) {
			// The straggler of a day that has its list, or a day that ended too long
			// ago: we were not there to sign.
			o.config.Log.WarnContext(ctx, "keys of a day dropped unlisted", slog.Uint64("day", uint64(day)), slog.Int("keys", len(entries)))
			if err := o.config.Store.Drop(ctx, day); err != nil {
				return err
			}
			continue
		}
		if err := o.sign(ctx, day, entries, last, now); err != nil {
			return fmt.Errorf("list of day %d: %w", day, err)
		}
	}
}

// sign makes a day's list and stores it.
func (o *Observer) sign(ctx context.Context, day observe.Day, entries []observe.Entry, last Published, now time.Time) error {
	l := observe.List{Day: day, Previous: last.Digest, Entries: o.choose(entries), Signed: now}
	l.Sort()
	b, err := l.Sign(o.config.Key)
	if err != nil {
		return err
	}
	u, err := observe.ParseList(b)
	if err != nil {
		return err
	}
	// What nobody could verify is not let out: it could not be taken back.
	v, err := u.Verify(o.config.Registry.Snapshot(), observe.Question{Now: now})
	if err != nil {
		return err
	}
	p := Published{Day: day, Digest: v.Digest(), Previous: last.Digest, Size: len(b), Bytes: b}
	if err := o.config.Store.Publish(ctx, p); err != nil {
		return err
	}
	o.metrics.listed.Set(float64(len(l.Entries)))
	o.config.Log.InfoContext(ctx, "list published", slog.Uint64("day", uint64(day)), slog.Int("keys", len(l.Entries)), slog.Int("bytes", len(b)))
	return nil
}

// Bounds of a list, within those of package observe. What a key and a name take
// beside their texts is less than 64 bytes each.
const (
	listRoom   = observe.MaxList - 4096
	entryRoom  = 64
	maxInPlace = observe.MaxKeys
)

// choose leaves out what has no room in a list. Keys at the places of the
// configuration come first, so that nobody can crowd them out by asking for
// others.
func (o *Observer) choose(entries []observe.Entry) []observe.Entry {
	first := func(e observe.Entry) int {
		p := Place{Kind: e.Kind, Name: e.Name}
		if e.Kind == observe.DKIM {
			p.Selector = e.Label
		}
		if o.pinned[p] {
			return 0
		}
		return 1
	}
	ordered := slices.Clone(entries)
	slices.SortStableFunc(ordered, func(a, b observe.Entry) int { return cmp.Compare(first(a), first(b)) })
	var out []observe.Entry
	size, inPlace := 0, make(map[name]int)
	for _, e := range ordered {
		n := name{e.Kind, e.Name}
		more := entryRoom + len(e.Label)
		if inPlace[n] == 0 {
			more += entryRoom + len(e.Name)
		}
		full := inPlace[n] == 0 && len(inPlace) == canon.MaxElements
		if full || inPlace[n] == maxInPlace || size+more > listRoom {
			continue
		}
		inPlace[n]++
		size += more
		out = append(out, e)
	}
	return out
}
