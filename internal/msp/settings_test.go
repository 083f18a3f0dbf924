package msp_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/keyfile"
	"whither/internal/msp"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/world/worldtest"
	"whither/problem"
	"whither/wire"
)

// TestExampleSettings loads the file that is shipped.
func TestExampleSettings(t *testing.T) {
	s, err := msp.ReadSettings("../../cmd/whither-msp/" + msp.SettingsFile)
	if err != nil {
		t.Fatal(err)
	}
	if s.Party == "" || s.DP == "" || s.LookupsPerHour == 0 {
		t.Errorf("%+v", s)
	}
	empty := filepath.Join(t.TempDir(), msp.SettingsFile)
	if err := os.WriteFile(empty, []byte("party = \""+s.Party+"\"\ndp = \""+s.DP+"\"\nlookups_per_hour = 2000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if least, err := msp.ReadSettings(empty); err != nil || least != s {
		t.Errorf("the example shows other values than the defaults: %+v, %v", least, err)
	}
}

func TestSettingsAreStrict(t *testing.T) {
	path := filepath.Join(t.TempDir(), msp.SettingsFile)
	for name, content := range map[string]string{
		"unknown key":    "party = \"msp.example\"\nlisten_on = \":8443\"\n",
		"unknown table":  "[lookups]\nper_hour = 1\n",
		"wrong type":     "party = 1\n",
		"negative limit": "lookups_per_hour = -1\n",
		"not TOML":       "party: msp.example\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := msp.ReadSettings(path); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// folder is an MSP's folder in a federation that knows its keys.
func folder(t *testing.T) (f *worldtest.Federation, dir string, id csi.ID, aliceToken string, s msp.Settings) {
	t.Helper()
	f, dir = worldtest.New(t), t.TempDir()
	provider := worldtest.Party(t, worldtest.MSPA)
	if err := msp.MakeKeys(dir, provider, f.Now); err != nil {
		t.Fatal(err)
	}
	keys, err := party.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	pin := keys.TLS.Pin()
	self := f.Selfs[worldtest.MSPA]
	self.Pins, self.Endpoint, self.Keys[0].Public = [][]byte{pin[:]}, "https://"+l.Addr().String(), keys.Sign.Public()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	for name, b := range map[string][]byte{
		msp.SettingsFile: []byte("party = \"" + worldtest.MSPA + "\"\ndp = \"" + worldtest.DP + "\"\nlisten = \"" + l.Addr().String() + "\"\noperations = \"127.0.0.1:0\"\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accounts, err := msp.OpenAccountsIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	id = worldtest.CSI(t, "mailto:alice@example.org")
	if aliceToken, err = accounts.Add("alice", id); err != nil {
		t.Fatal(err)
	}
	if s, err = msp.ReadSettings(filepath.Join(dir, msp.SettingsFile)); err != nil {
		t.Fatal(err)
	}
	return f, dir, id, aliceToken, s
}

// TestRunFromAFolder: an MSP runs from its folder, and remembers used offers
// over a restart.
func TestRunFromAFolder(t *testing.T) {
	f, dir, id, aliceToken, _ := folder(t)
	now := func() time.Time { return f.Now }
	snapshot := f.Snapshot()
	client := pinned.NewClient(snapshotFunc(snapshot), nil, now)
	defer client.Close()
	provider, holder := worldtest.Party(t, worldtest.MSPA), worldtest.Key(t, "holder")

	var o wire.MSPOffer
	claimsOf := func(name string) wire.SignatureRequest {
		c := f.Claims(id, holder.Public(), name, worldtest.MSPA)
		copy(c.Entries[0].Nonce[:], o.Nonce)
		u, err := c.Sign(holder, f.MailReceipts(id, holder.Public(), f.Now), f.Now)
		if err != nil {
			t.Fatal(err)
		}
		return wire.SignatureRequest{Offer: o.Offer, Bundle: wire.BundleOf(u.Bundle())}
	}
	var first wire.SignatureAnswer
	running(t, dir, now, func(ctx context.Context) {
		call(ctx, t, client, func(ctx context.Context) error {
			return client.Call(ctx, provider, wire.PathOffers, aliceToken, wire.OfferRequest{CSI: csi.Clear{ID: id}, Key: holder.Public().Bytes()}, &o)
		})
		if err := client.Call(ctx, provider, wire.PathSignatures, aliceToken, claimsOf("one"), &first); err != nil {
			t.Fatal(err)
		}
		client.Close() // an idle connection would hold the stop up
	})
	running(t, dir, now, func(ctx context.Context) {
		var again wire.SignatureAnswer
		call(ctx, t, client, func(ctx context.Context) error {
			return client.Call(ctx, provider, wire.PathSignatures, aliceToken, claimsOf("one"), &again)
		})
		if string(again.Mapping) != string(first.Mapping) {
			t.Error("the same mapping got another signature after a restart")
		}
		if err := client.Call(ctx, provider, wire.PathSignatures, aliceToken, claimsOf("two"), &again); problem.KindOf(err) != problem.OfferUsed {
			t.Errorf("another mapping after a restart: %v", err)
		}
		client.Close()
	})
}

// running runs an MSP from its folder for the length of a call.
func running(t *testing.T, dir string, now func() time.Time, during func(context.Context)) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	done := make(chan error, 1)
	go func() {
		done <- msp.Run(ctx, filepath.Join(dir, msp.SettingsFile), msp.Options{Now: now, Log: discard})
	}()
	during(ctx)
	stop()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// call repeats a call until the server listens.
func call(ctx context.Context, t *testing.T, c *pinned.Client, f func(context.Context) error) {
	t.Helper()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		if !errors.Is(err, pinned.ErrUnreachable) || ctx.Err() != nil {
			t.Fatal(err)
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		bend func(t *testing.T, dir string, s *msp.Settings)
		want error
	}{
		"good":               {func(*testing.T, string, *msp.Settings) {}, nil},
		"no party":           {func(_ *testing.T, _ string, s *msp.Settings) { s.Party = "" }, errAny},
		"no DP":              {func(_ *testing.T, _ string, s *msp.Settings) { s.DP = "" }, errAny},
		"unknown DP":         {func(_ *testing.T, _ string, s *msp.Settings) { s.DP = "dp.elsewhere.example" }, msp.ErrNoDP},
		"prover as DP":       {func(_ *testing.T, _ string, s *msp.Settings) { s.DP = worldtest.ProverA }, msp.ErrNoDP},
		"another MSP's name": {func(_ *testing.T, _ string, s *msp.Settings) { s.Party = worldtest.MSPB }, errAny},
		"no signing key":     {func(t *testing.T, dir string, _ *msp.Settings) { remove(t, dir, "keys/sign.pem") }, keyfile.ErrMissing},
		"no offer key":       {func(t *testing.T, dir string, _ *msp.Settings) { remove(t, dir, "keys/offer.key") }, keyfile.ErrMissing},
		"key that others can read": {func(t *testing.T, dir string, _ *msp.Settings) {
			if err := os.Chmod(filepath.Join(dir, "keys/sign.pem"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, keyfile.ErrMode},
		"accounts that others can read": {func(t *testing.T, dir string, _ *msp.Settings) {
			if err := os.Chmod(filepath.Join(dir, "accounts.json"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, msp.ErrAccounts},
		"no registry": {func(t *testing.T, dir string, _ *msp.Settings) { remove(t, dir, "registry/registry.set") }, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			f, dir, _, _, s := folder(t)
			test.bend(t, dir, &s)
			m, closeStore, err := msp.Open(t.Context(), dir, s, msp.Options{Now: func() time.Time { return f.Now }, Log: discard})
			if err == nil {
				if err := errors.Join(m.Ready(), closeStore()); err != nil {
					t.Error(err)
				}
			}
			if (err == nil) != (test.want == nil) || !errors.Is(test.want, errAny) && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// errAny stands for whatever error.
var errAny = errors.New("any error")

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// TestStepTakesOver: a newer registry and changed accounts, in one step.
func TestStepTakesOver(t *testing.T) {
	s := newScene(t)
	c := s.config()
	m, err := msp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.Record.Version++
	s.publish()
	writer, err := msp.OpenAccounts(filepath.Join(s.dir, "accounts.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Add("bob"); err != nil {
		t.Fatal(err)
	}
	if err := m.Step(t.Context(), s.clock.now()); err != nil {
		t.Fatal(err)
	}
	if s.source.Snapshot().Version() != 2 || !strings.Contains(s.log.String(), "accounts taken over") {
		t.Errorf("version %d, log %s", s.source.Snapshot().Version(), s.log)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "registry.set"), []byte("bad"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Step(t.Context(), s.clock.now()); err != nil || !strings.Contains(s.log.String(), "registry not taken over") {
		t.Errorf("%v, log %s", err, s.log)
	}
	if s.source.Snapshot().Version() != 2 {
		t.Error("a bad registry was taken over")
	}
}

// TestEveryErrorHasAProblem walks the source for exported sentinels of the
// back-end.
func TestEveryErrorHasAProblem(t *testing.T) {
	rows := make(map[error]bool)
	for _, err := range msp.TableErrors() {
		rows[err] = true
		if msp.Kind(err).Row().Kind != msp.Kind(err) {
			t.Errorf("%v: the catalogue has no %s", err, msp.Kind(err))
		}
	}
	known := map[string]error{
		"ErrBothEnds": msp.ErrBothEnds, "ErrQuery": msp.ErrQuery, "ErrBudget": msp.ErrBudget, "ErrNoDP": msp.ErrNoDP, "ErrDP": msp.ErrDP,
	}
	notOfRequests := map[string]bool{"ErrAccounts": true, "ErrNoName": true, "ErrTaken": true} // of files and commands
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source")
	}
	seen := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for _, id := range spec.Names {
				if !strings.HasPrefix(id.Name, "Err") || notOfRequests[id.Name] {
					continue
				}
				seen++
				if !rows[known[id.Name]] {
					t.Errorf("%s has no row in the table", id.Name)
				}
			}
			return true
		})
	}
	if seen != len(known) {
		t.Errorf("found %d sentinels, know %d", seen, len(known))
	}
}
