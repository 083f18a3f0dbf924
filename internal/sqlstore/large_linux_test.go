package sqlstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"whither/csi"
	"whither/internal/dp"
	"whither/internal/offer"
	"whither/internal/pinned"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/registry"
	"whither/registry/update"
	"whither/wire"
)

// TestLargeStore measures look-ups over HTTPS, of one person each, with a small
// store and a large one behind the same DP code: 1,000 and 10,000 mappings, and
// with WHITHER_LONG=1 a hundred thousand and ten million, where the 99th
// percentile may grow to twice as much. WHITHER_TEST_ROWS sets the large number.
func TestLargeStore(t *testing.T) {
	few, many, asks := 1000, 10_000, 300
	if os.Getenv("WHITHER_LONG") == "1" {
		few, many, asks = 100_000, 10_000_000, 5000
	}
	if text := os.Getenv("WHITHER_TEST_ROWS"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	small, large := newLarge(t, few), newLarge(t, many)
	for _, l := range []*bigDP{small, large} { // both are in memory, as far as they fit
		l.ask(l.some(4*asks), asks)
	}
	const rounds = 9
	var ratios, smallP50, largeP50, smallP99, largeP99 []float64
	warmSmall, warmLarge := small.some(asks), large.some(asks)
	small.ask(warmSmall, asks)
	large.ask(warmLarge, asks)
	for range rounds {
		s, l := small.ask(warmSmall, asks), large.ask(warmLarge, asks)
		smallP50, largeP50 = append(smallP50, percentile(s, 50)), append(largeP50, percentile(l, 50))
		smallP99, largeP99 = append(smallP99, percentile(s, 99)), append(largeP99, percentile(l, 99))
		ratios = append(ratios, percentile(l, 99)/percentile(s, 99))
	}
	t.Logf("%d rows (%.1f MB): p50 %.0f µs, p99 %.0f µs warm", few, small.megabytes(), percentile(smallP50, 50), percentile(smallP99, 50))
	t.Logf("%d rows (%.1f MB): p50 %.0f µs, p99 %.0f µs warm", many, large.megabytes(), percentile(largeP50, 50), percentile(largeP99, 50))
	ratio := percentile(ratios, 50)
	t.Logf("p99 of %d rows over that of %d: %.2f, from %.2f to %.2f in %d rounds", many, few, ratio, slices.Min(ratios), slices.Max(ratios), rounds)
	if os.Getenv("WHITHER_LONG") == "1" && ratio > 2 {
		t.Errorf("with %d rows the 99th percentile is %.2f times as long as with %d", many, ratio, few)
	}
	for _, l := range []*bigDP{small, large} {
		l.forget()
		cold := l.ask(l.some(min(asks, 1000)), 0)
		t.Logf("%d rows: p50 %.0f µs, p99 %.0f µs cold, each of somebody else", l.rows, percentile(cold, 50), percentile(cold, 99))
	}
}

func percentile(v []float64, p int) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[(len(v)-1)*p/100]
}

// bigDP is a DP with so many rows, and the back-end of an MSP that asks it.
type bigDP struct {
	t      *testing.T
	rows   int
	path   string
	dp     registry.PartyID
	client *pinned.Client
	open   func()
	close  func()
}

func newLarge(t *testing.T, rows int) *bigDP {
	t.Helper()
	dir, f := t.TempDir(), worldtest.New(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l := &bigDP{t: t, rows: rows, path: filepath.Join(dir, "dp.db"), dp: worldtest.Party(t, worldtest.DP)}
	now := func() time.Time { return f.Now }
	own, err := pinned.Generate(l.dp, f.Now)
	must(err)
	asker, err := pinned.Generate(worldtest.Party(t, worldtest.MSPA), f.Now)
	must(err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	pin, askerPin := own.Pin(), asker.Pin()
	f.Selfs[worldtest.DP].Endpoint, f.Selfs[worldtest.DP].Pins = "https://"+listener.Addr().String(), [][]byte{pin[:]}
	f.Selfs[worldtest.MSPA].Pins = [][]byte{askerPin[:]}
	f.WriteRegistry(dir)
	source, err := update.OpenFiles(filepath.Join(dir, "registry.set"), filepath.Join(dir, "root.json"), f.Now)
	must(err)
	keys, options := newKeys(t), sqlstore.Options{Path: l.path}
	options.Keys = keys
	store := openDirectory(t, options)
	began := time.Now()
	must(store.FillInOrder(t.Context(), f.Mapping("alice@example.org", "alice", worldtest.MSPA), rows, func(done int) {
		if done%1_000_000 == 0 {
			t.Logf("%d mappings after %.0f s", done, time.Since(began).Seconds())
		}
	}))
	closeDirectory(t, store)

	l.client = pinned.NewClient(source.Snapshot, asker, now)
	t.Cleanup(l.client.Close)
	l.open = func() {
		if listener == nil {
			listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", source.Snapshot().Parties(registry.RoleDP)[0].Self.Endpoint[len("https://"):])
			must(err)
		}
		store = openDirectory(t, options)
		d, err := dp.New(dp.Config{
			Party: l.dp, Key: worldtest.Key(t, worldtest.DP), TLS: own, Offers: [offer.SecretSize]byte{1}, Store: store, Registry: source,
			Tick: 365 * 24 * time.Hour, Now: now, Log: slog.New(slog.DiscardHandler),
		})
		must(err)
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		served := make(chan error, 1)
		go func(on net.Listener) { served <- d.Serve(ctx, on, nil) }(listener)
		l.close = func() {
			l.client.Close()
			stop()
			must(errors.Join(<-served, store.Close()))
			listener = nil
		}
	}
	l.open()
	t.Cleanup(func() { l.close() })
	return l
}

// some draws people.
func (l *bigDP) some(n int) []csi.ID {
	l.t.Helper()
	var random [8]byte
	people := make([]csi.ID, n)
	for i := range people {
		_, _ = rand.Read(random[:])
		k := 0
		for _, b := range random {
			k = (k<<8 | int(b)) % l.rows
		}
		people[i] = worldtest.CSI(l.t, sqlstore.Person(k))
	}
	return people
}

// ask looks people up one after the other, and returns how many microseconds
// each took. The first skip are asked and not counted, if there are more.
func (l *bigDP) ask(people []csi.ID, skip int) []float64 {
	l.t.Helper()
	if skip >= len(people) {
		skip = 0
	}
	var took []float64
	for i, id := range people {
		message, err := wire.Encode(wire.TypeCBOR, wire.LookupRequest{CSIs: []csi.Clear{{ID: id}}, Federation: wire.FederationNone, Format: wire.FormatVerbose})
		if err != nil {
			l.t.Fatal(err)
		}
		began := time.Now()
		answer, err := l.client.Post(l.t.Context(), l.dp, wire.PathLookups, "", message)
		if i >= skip {
			took = append(took, float64(time.Since(began).Nanoseconds())/1000)
		}
		if err != nil || len(answer) < 500 {
			l.t.Fatalf("an answer of %d bytes, %v", len(answer), err)
		}
	}
	return took
}

// forget closes the store, drops what the system has of its file in memory, and
// opens it again.
func (l *bigDP) forget() {
	l.t.Helper()
	l.close()
	f, err := os.Open(l.path)
	if err == nil {
		err = errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close())
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.open()
	l.ask(l.some(1), 0) // the connection
}

func (l *bigDP) megabytes() float64 {
	info, err := os.Stat(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}
