package sqlstore_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	keys, err := sqlstore.MakeKeys(folder)
	if err != nil {
		t.Fatal(err)
	}
	o := sqlstore.Options{Path: filepath.Join(folder, "dp.db"), Keys: keys}
	d, err := sqlstore.OpenDirectory(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	f := worldtest.New(t)
	v := f.Mapping("alice@example.org", "alice", worldtest.MSPA)
	if err := d.Admit(ctx, v, nil, f.Now.Add(time.Hour), f.Now); err != nil {
		t.Fatal(err)
	}
	got, err := d.Find(ctx, []csi.ID{v.Claims().CSI}, f.Now)
	if err != nil || len(got[0]) != 1 {
		t.Fatal(got, err)
	}
	t.Log(got)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = sqlstore.OpenDirectory(ctx, o); err != nil {
		t.Fatal(err)
	}
	if err := d.Withdraw(ctx, v.Claims().ID, v.Digest(), f.Now); err != nil {
		t.Fatal(err)
	}
	c, err := d.Changes(ctx, 0, 10)
	t.Log(c, err)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}
