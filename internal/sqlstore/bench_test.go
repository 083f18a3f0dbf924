package sqlstore_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/mapping"
)

// BenchmarkFind looks up people among many, who are there and who are not.
func BenchmarkFind(b *testing.B) {
	f := worldtest.New(b)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	for _, rows := range []int{10_000, 100_000} {
		d := openDirectory(b, sqlstore.Options{Path: filepath.Join(b.TempDir(), "dp.db"), Keys: newKeys(b)})
		defer closeDirectory(b, d)
		if err := d.Fill(b.Context(), v, rows); err != nil {
			b.Fatal(err)
		}
		for _, n := range []int{1, 100, 1000} {
			for _, from := range []struct {
				name  string
				first int
			}{{"hits", 0}, {"misses", rows}} {
				b.Run(fmt.Sprintf("rows=%d/csis=%d/%s", rows, n, from.name), func(b *testing.B) {
					people := make([]csi.ID, rows)
					for i := range people {
						people[i] = worldtest.CSI(b, sqlstore.Person(from.first+(i*7919)%rows))
					}
					i := 0
					for b.Loop() {
						if i+n > len(people) {
							i = 0
						}
						found, err := d.Find(b.Context(), people[i:i+n], f.Now)
						if err != nil || (len(found[0]) == 1) != (from.first == 0) {
							b.Fatal(len(found[0]), err)
						}
						i += n
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/csi")
				})
			}
		}
	}
}

// pace makes mappings of different people faster than they can be stored:
// their signatures are made before.
func pace(b *testing.B, n int) (*worldtest.Federation, []mapping.Verified) {
	f := worldtest.New(b)
	policy := mapping.PolicyAt(f.Snapshot(), f.Now)
	all := make([]mapping.Verified, n)
	for i := range all {
		name := fmt.Sprintf("user-%d@example.org", i)
		id, k := worldtest.CSI(b, "mailto:"+name), worldtest.Key(b, name)
		p, err := policy.VerifyProposal(f.Propose(f.Claims(id, k.Public(), name, worldtest.MSPA), k, f.MailReceipts(id, k.Public(), f.Now)))
		if err != nil {
			b.Fatal(err)
		}
		if all[i], err = p.Finish(worldtest.Key(b, worldtest.DP), f.Now, f.Now.Add(mapping.MaxDPLife), mapping.FoundFirst); err != nil {
			b.Fatal(err)
		}
	}
	return f, all
}

// BenchmarkAdmit admits 2,000 mappings an operation, from one or several
// callers; BenchmarkBareCommit is what a disk allows one caller.
func BenchmarkAdmit(b *testing.B) {
	const n = 2000
	f, all := pace(b, n)
	for _, writers := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				d := openDirectory(b, sqlstore.Options{Path: filepath.Join(b.TempDir(), "dp.db"), Keys: newKeys(b)})
				b.StartTimer()
				var next atomic.Int64
				var wg sync.WaitGroup
				for range writers {
					wg.Go(func() {
						for i := next.Add(1) - 1; i < n; i = next.Add(1) - 1 {
							if err := d.Admit(b.Context(), all[i], nil, f.Now.Add(time.Hour), f.Now); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				closeDirectory(b, d)
				b.StartTimer()
			}
			b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "admits/s")
		})
	}
}

func BenchmarkBareCommit(b *testing.B) {
	db, err := sql.Open("sqlite", filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(b.Context(), "CREATE TABLE t (k BLOB PRIMARY KEY, v BLOB)"); err != nil {
		b.Fatal(err)
	}
	insert, err := db.PrepareContext(b.Context(), "INSERT INTO t (k, v) VALUES (randomblob(32), randomblob(1400))")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = insert.Close() }()
	for b.Loop() {
		if _, err := insert.ExecContext(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkRow seals and opens a row, without the database.
func BenchmarkRow(b *testing.B) {
	v := worldtest.New(b).Mapping("alice@example.org", "alice", worldtest.MSPA)
	d := openDirectory(b, sqlstore.Options{Path: filepath.Join(b.TempDir(), "dp.db"), Keys: newKeys(b)})
	defer closeDirectory(b, d)
	open, err := d.Reseal(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("open/bytes=%d", v.Bundle().Size()), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := open(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run(fmt.Sprintf("seal/bytes=%d", v.Bundle().Size()), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Reseal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
