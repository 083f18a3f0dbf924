package doctor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"whither/internal/doctor"
	"whither/internal/dp"
	"whither/internal/keyfile"
	"whither/internal/msp"
	watch "whither/internal/observer/daemon"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/prover/daemon"
	"whither/internal/publish"
	"whither/internal/world/mailca"
	"whither/internal/world/mailnet"
	"whither/internal/world/worldtest"
	"whither/possession/stir/stirtest"
	"whither/registry"
)

// town is a federation of four folders, made by hand.
type town struct {
	t        *testing.T
	dir      string
	endpoint string
	listener net.Listener // of the DP
	dns      *mailnet.DNS // of the observer
	now      time.Time
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir(), now: time.Now()}
	var err error
	w.listener = listen(t)
	w.endpoint = "https://" + w.listener.Addr().String()
	w.must(publish.Init(w.path("federation"), "federation.example", one, one, w.now))
	// No port is named: free ones are taken when the doctor asks.
	settings := "party = %q\nlisten = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\n"
	w.join("dp", registry.RoleDP, dp.SettingsFile, fmt.Sprintf(settings, "dp.example"), func(dir string) error {
		return dp.MakeKeys(dir, worldtest.Party(t, "dp.example"), w.now)
	})
	w.join("msp", registry.RoleMSP, msp.SettingsFile, fmt.Sprintf(settings, "msp.example")+"dp = \"dp.example\"\n", func(dir string) error {
		return msp.MakeKeys(dir, worldtest.Party(t, "msp.example"), w.now)
	})
	w.join("prover", registry.RoleProver, daemon.SettingsFile, fmt.Sprintf(settings, "prover.example")+"[mail]\nlisten = \"127.0.0.1:0\"\n", func(dir string) error {
		return daemon.MakeKeys(dir, daemon.Settings{Settings: party.Settings{Party: "prover.example"}}.Filled(), w.now)
	})
	if w.dns, err = mailnet.StartDNS(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.dns.Close() })
	w.dns.SetSigned(".")
	w.join("observer", registry.RoleObserver, watch.SettingsFile, fmt.Sprintf(settings, "observer.example")+
		fmt.Sprintf("resolver = %q\n[[popular]]\ndomain = \"example.org\"\nselectors = [\"s1\"]\n", w.dns.Addr()), func(dir string) error {
		return watch.MakeKeys(dir, worldtest.Party(t, "observer.example"), w.now)
	})
	w.sign()
	return w
}

// one is a single key that signs alone.
var one = publish.Count{Keys: 1, Threshold: 1}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) path(parts ...string) string {
	return filepath.Join(append([]string{w.dir}, parts...)...)
}

func (w *town) join(name string, role registry.Role, file, settings string, makeKeys func(dir string) error) {
	w.t.Helper()
	w.must(makeKeys(w.path(name)))
	w.write(settings, name, file)
	w.apply(name, role, "op-"+name+".example")
}

// apply puts a folder's application among the members.
func (w *town) apply(name string, role registry.Role, operatorName string) {
	w.t.Helper()
	operator, err := registry.ParseOperator(operatorName)
	w.must(err)
	var digest []byte
	if role == registry.RoleDP {
		s, err := dp.ReadSettings(w.path(name, dp.SettingsFile))
		w.must(err)
		_, digest, err = s.Disclose([]string{"CH"})
		w.must(err)
	}
	out, err := publish.Apply(w.path(name), worldtest.Party(w.t, name+".example"), operator, role, w.endpoint, []string{"CH"}, digest, w.now.Add(-time.Minute))
	w.must(err)
	w.must(os.RemoveAll(w.path("federation", publish.MembersFolder, name)))
	w.must(os.Rename(out, w.path("federation", publish.MembersFolder, name)))
}

// below adds a table at the end of a file.
func (w *town) below(text string, parts ...string) {
	w.t.Helper()
	b, err := os.ReadFile(w.path(parts...))
	w.must(err)
	w.write(string(b)+text, parts...)
}

// authority has the federation name an authority of mailboxes.
func (w *town) authority() *mailca.Authority {
	w.t.Helper()
	a, err := mailca.New("Mailboxes", func() time.Time { return w.now })
	w.must(err)
	w.write(string(a.PEM()), "federation", "mail.pem")
	w.below("\n[[mail_authority]]\ncertificates = \"mail.pem\"\n", "federation", publish.FederationFile)
	w.sign()
	return a
}

// sign publishes the next version and hands it to everybody.
func (w *town) sign() {
	w.t.Helper()
	_, err := publish.Sign(w.path("federation"), w.now)
	w.must(err)
	for _, name := range []string{"dp", "msp", "prover", "observer"} {
		for _, file := range []string{publish.RegistryFile, publish.RootFile} {
			b, err := os.ReadFile(w.path("federation", file))
			w.must(err)
			w.write(string(b), name, "registry", file)
		}
	}
}

func (w *town) write(text string, parts ...string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(w.path(parts...)), 0o700))
	w.must(os.WriteFile(w.path(parts...), []byte(text), 0o600))
}

func (w *town) add(text string, parts ...string) {
	w.t.Helper()
	b, err := os.ReadFile(w.path(parts...))
	w.must(err)
	w.write(text+string(b), parts...)
}

// expect holds a report against what should be wrong or a warning, "check:
// verdict" each, and nothing else.
func expect(t *testing.T, r doctor.Report, want ...string) {
	t.Helper()
	var got []string
	for _, f := range r {
		if f.Verdict != doctor.OK {
			got = append(got, f.Check+": "+string(f.Verdict))
		}
		if (f.Verdict == doctor.OK) != (f.Mend == "") || f.What == "" || strings.Contains(f.What, "\n") {
			t.Errorf("not one line with a way to mend it: %+v", f)
		}
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("found %q, not %q:\n%+v", got, want, r)
	}
	if r.Sound() != !strings.Contains(strings.Join(want, " "), "wrong") {
		t.Error("the report's sum is wrong")
	}
}

func TestFolders(t *testing.T) {
	const codes, sim = "codes: warning", "sim: warning"
	tests := []struct {
		name, folder string
		bend         func(w *town)
		later        time.Duration
		want         []string
	}{
		{name: "a DP", folder: "dp"},
		{name: "an MSP", folder: "msp"},
		{name: "a prover without codes", folder: "prover", want: []string{codes}},
		{name: "an observer", folder: "observer"},
		{name: "a resolver that does not validate", folder: "observer", bend: func(w *town) { w.dns.SetSigned() }, want: []string{"resolver: warning"}},
		{name: "a resolver that does not answer", folder: "observer", bend: func(w *town) { w.must(w.dns.Close()) }, want: []string{"resolver: wrong"}},
		{name: "an observer without lists", folder: "observer", bend: func(w *town) {
			w.write(fmt.Sprintf("party = \"observer.example\"\nlisten = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\nresolver = %q\n", w.dns.Addr()), "observer", "observer.toml")
		}, want: []string{"lists: warning"}},
		{name: "unknown setting", folder: "dp", bend: func(w *town) { w.add("color = 1\n", "dp", "dp.toml") }, want: []string{"settings: wrong"}},
		{name: "no settings that parse", folder: "prover", bend: func(w *town) { w.add("=", "prover", "prover.toml") }, want: []string{"settings: wrong"}},
		{name: "party is no name", folder: "dp", bend: func(w *town) { w.write("party = \"Dp\"\n", "dp", "dp.toml") }, want: []string{"settings: wrong"}},
		{name: "key for all to read", folder: "dp", bend: func(w *town) { w.must(os.Chmod(w.path("dp", "keys", "offer.key"), 0o640)) }, want: []string{"keys: wrong"}},
		{name: "no key-encryption key", folder: "dp", bend: func(w *town) { w.must(os.RemoveAll(w.path("dp", "kek"))) }, want: []string{"keys: wrong"}},
		{name: "no signing key", folder: "msp", bend: func(w *town) { w.must(os.Remove(w.path("msp", "keys", "sign.pem"))) }, want: []string{"keys: wrong"}},
		{name: "damaged DKIM key", folder: "prover", bend: func(w *town) { w.write("x", "prover", "keys", "dkim.pem") }, want: []string{"keys: wrong", codes}},
		{name: "folder for all to write", folder: "dp", bend: func(w *town) { w.must(os.Chmod(w.path("dp"), 0o777)) }, want: []string{"folder: wrong"}},
		{name: "no registry", folder: "dp", bend: func(w *town) { w.must(os.Remove(w.path("dp", "registry", publish.RegistryFile))) }, want: []string{"registry: wrong"}},
		{name: "no root", folder: "dp", bend: func(w *town) { w.must(os.Remove(w.path("dp", "registry", publish.RootFile))) }, want: []string{"registry: wrong"}},
		{name: "damaged registry", folder: "dp", bend: func(w *town) { w.write("x", "dp", "registry", publish.RegistryFile) }, want: []string{"registry: wrong"}},
		{name: "another root", folder: "dp", bend: func(w *town) {
			w.must(publish.Init(w.path("other"), "other.example", one, one, w.now))
			w.must(os.Rename(w.path("other", publish.RootFile), w.path("dp", "registry", publish.RootFile)))
		}, want: []string{"registry: wrong"}},
		{name: "old registry", folder: "dp", later: 25 * 24 * time.Hour, want: []string{"registry: warning"}},
		{name: "registry at its end", folder: "dp", later: 30 * 24 * time.Hour, want: []string{"registry: wrong"}},
		{name: "clock a minute slow", folder: "dp", later: -time.Minute, want: []string{"clock: warning"}},
		{name: "clock half an hour slow", folder: "dp", later: -30 * time.Minute, want: []string{"registry: wrong"}},
		{name: "clock far behind", folder: "dp", later: -48 * time.Hour, want: []string{"tls: wrong", "registry: wrong"}},
		{name: "TLS certificate near its end", folder: "dp", later: 3650 * 24 * time.Hour, want: []string{"tls: warning", "registry: wrong"}},
		{name: "TLS certificate at its end", folder: "dp", later: 3660 * 24 * time.Hour, want: []string{"tls: wrong", "registry: wrong"}},
		{name: "not listed", folder: "msp", bend: func(w *town) {
			w.must(os.RemoveAll(w.path("federation", publish.MembersFolder, "msp")))
			w.sign()
		}, want: []string{"member: wrong"}},
		{name: "other keys than listed", folder: "dp", bend: func(w *town) {
			w.must(os.RemoveAll(w.path("dp", "keys")))
			w.must(os.RemoveAll(w.path("dp", "kek")))
			w.must(dp.MakeKeys(w.path("dp"), worldtest.Party(w.t, "dp.example"), w.now))
		}, want: []string{"member: wrong", "key: wrong", "pin: wrong"}},
		{name: "expelled", folder: "dp", bend: func(w *town) {
			path := w.path("federation", publish.MembersFolder, "dp", publish.GrantFile)
			b, err := os.ReadFile(path)
			w.must(err)
			w.must(os.WriteFile(path, []byte(strings.Replace(string(b), `"active"`, `"expelled"`, 1)), 0o600))
			w.sign()
		}, want: []string{"member: wrong"}},
		{name: "a DP of the same operator", folder: "msp", bend: func(w *town) {
			w.apply("msp", registry.RoleMSP, "op-dp.example")
			w.sign()
		}, want: []string{"dp: wrong"}},
		{name: "asks nobody", folder: "msp", bend: func(w *town) {
			w.write("party = \"msp.example\"\nlisten = \"127.0.0.1:0\"\noperations = \"127.0.0.1:0\"\n", "msp", "msp.toml")
		}, want: []string{"dp: wrong"}},
		{name: "port taken by another", folder: "dp", bend: func(w *town) {
			w.write(fmt.Sprintf("party = \"dp.example\"\nlisten = %q\noperations = \"127.0.0.1:0\"\n", w.listener.Addr()), "dp", "dp.toml")
			w.must(w.listener.Close())
			w.mute()
		}, want: []string{"listen: wrong"}},
		{name: "address of another machine", folder: "dp", bend: func(w *town) {
			w.write("party = \"dp.example\"\nlisten = \"192.0.2.1:8443\"\noperations = \"127.0.0.1:0\"\n", "dp", "dp.toml")
		}, want: []string{"listen: wrong"}},
		{name: "mail certificate for another", folder: "prover", bend: func(w *town) {
			w.must(os.Remove(w.path("prover", "keys", "mail.pem")))
			_, err := keyfile.MakeTLS(w.path("prover", "keys", "mail.pem"), worldtest.Party(w.t, "mx.other.example"), w.now)
			w.must(err)
		}, want: []string{"mail certificate: wrong", codes}},
		{name: "no mail certificate", folder: "prover", bend: func(w *town) { w.must(os.Remove(w.path("prover", "keys", "mail.pem"))) }, want: []string{"mail certificate: wrong", codes}},
		{name: "no token of an operator", folder: "prover", bend: func(w *town) {
			b, err := os.ReadFile(w.path("prover", "prover.toml"))
			w.must(err)
			w.write(string(b)+"\n[[sim.operator]]\nprefix = \"+41\"\nurl = \"https://op.example\"\ntoken = \"keys/sim.token\"\n", "prover", "prover.toml")
		}, want: []string{"keys: wrong", codes}},
		{name: "no roots, no token", folder: "prover", bend: func(w *town) {
			b, err := os.ReadFile(w.path("prover", "prover.toml"))
			w.must(err)
			w.write(string(b)+"roots = \"ca.pem\"\n[call]\nurl = \"https://otp.example\"\ntoken = \"keys/call.token\"\n", "prover", "prover.toml")
		}, want: []string{"keys: wrong", "mail roots: wrong", sim}},
		{name: "roots that nobody names", folder: "prover", bend: func(w *town) {
			root, err := stirtest.Root(stirtest.Profile{Name: "root", Key: stirtest.FixedKey("root"), From: w.now, Until: w.now.AddDate(1, 0, 0)})
			w.must(err)
			w.write(string(root.PEM()), "prover", "roots.pem")
			b, err := os.ReadFile(w.path("prover", "prover.toml"))
			w.must(err)
			w.write(string(b)+"[stir]\nroots = \"roots.pem\"\n[sip]\nlisten = \"127.0.0.1:0\"\nlisten_tls = \"127.0.0.1:0\"\ncertificate = \"none.pem\"\n", "prover", "prover.toml")
		}, want: []string{codes, sim, "sip certificate: wrong", "stir: wrong"}},
		{name: "no roots where the settings say", folder: "prover", bend: func(w *town) {
			b, err := os.ReadFile(w.path("prover", "prover.toml"))
			w.must(err)
			w.write(string(b)+"[stir]\nroots = \"roots.pem\"\n", "prover", "prover.toml")
		}, want: []string{codes, sim, "stir: wrong"}},
		{name: "a provider that nobody reaches", folder: "prover", bend: func(w *town) {
			w.below("\n[[issuer]]\nurl = \"https://id.example.org\"\nclients = [\"a\"]\ndomains = [\"example.org\"]\n", "federation", publish.FederationFile)
			w.sign()
			w.below("\n[web]\nresolver = \"127.0.0.1:1\"\n", "prover", "prover.toml")
		}, want: []string{codes, "openid: warning"}},
		{name: "networks that are none", folder: "prover", bend: func(w *town) {
			w.below("\n[web]\nallow = [\"everybody\"]\n", "prover", "prover.toml")
		}, want: []string{codes, "web: wrong"}},
		{name: "certificates that this prover does not judge", folder: "prover", bend: func(w *town) { w.authority() }, want: []string{codes, "smime: warning"}},
		{name: "certificates without lists", folder: "prover", bend: func(w *town) {
			w.authority()
			w.below("\n[smime]\nauthorities = \"../federation/mail.pem\"\n", "prover", "prover.toml")
		}, want: []string{codes, "smime: wrong"}},
		{name: "a list that is not there", folder: "prover", bend: func(w *town) {
			w.authority()
			w.below("\n[smime]\nauthorities = \"../federation/mail.pem\"\nlists = [\"nothing.crl\"]\n", "prover", "prover.toml")
		}, want: []string{codes, "smime: warning"}},
		{name: "certificates in good order", folder: "prover", bend: func(w *town) {
			list, err := w.authority().List()
			w.must(err)
			w.write(string(list), "prover", "mail.crl")
			w.below("\n[smime]\nauthorities = \"../federation/mail.pem\"\nlists = [\"mail.crl\"]\n", "prover", "prover.toml")
		}, want: []string{codes}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t)
			if test.bend != nil {
				test.bend(w)
			}
			r, err := doctor.Folder(t.Context(), w.path(test.folder), w.now.Add(test.later))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, r, test.want...)
		})
	}
	if _, err := doctor.Folder(t.Context(), t.TempDir(), time.Now()); !errors.Is(err, doctor.ErrFolder) {
		t.Errorf("nobody's folder: %v", err)
	}
}

// mute is a program at the DP's address that says nothing and hangs up.
func (w *town) mute() {
	var lc net.ListenConfig
	l, err := lc.Listen(w.t.Context(), "tcp", w.listener.Addr().String())
	w.must(err)
	w.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}

func TestPerson(t *testing.T) {
	w := newTown(t)
	for _, file := range []string{publish.RegistryFile, publish.RootFile} {
		b, err := os.ReadFile(w.path("federation", file))
		w.must(err)
		w.write(string(b), "bob", file)
	}
	_, err := keyfile.MakeSigning(w.path("bob", "keys", "holder.pem"))
	w.must(err)
	w.write("token\n", "bob", "keys", "account.token")
	p := doctor.Person{Dir: w.path("bob"), DP: "dp.example", MSPs: []string{"msp.example"}, Tokens: []string{"keys/account.token"}}
	expect(t, p.Examine(w.now))
	w.must(os.Chmod(w.path("bob", "keys", "account.token"), 0o644))
	p.DP, p.MSPs = "msp.example", []string{"Nobody"}
	expect(t, p.Examine(w.now), "keys: wrong", "dp: wrong", "account: wrong")
	w.must(os.Remove(w.path("bob", publish.RegistryFile)))
	expect(t, p.Examine(w.now), "keys: wrong", "registry: wrong")
	p.Settings = errors.New("unknown key")
	expect(t, p.Examine(w.now), "settings: wrong")
}

// serve runs the town's DP until the test ends.
func (w *town) serve() {
	w.t.Helper()
	s, err := dp.ReadSettings(w.path("dp", dp.SettingsFile))
	w.must(err)
	d, closeStore, err := dp.Open(w.t.Context(), w.path("dp"), s, dp.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.Serve(ctx, w.listener, nil) }()
	w.t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, closeStore()); err != nil {
			w.t.Error(err)
		}
	})
}

func (w *town) target(target string) doctor.Report {
	w.t.Helper()
	r, err := doctor.Target(w.t.Context(), target, w.path("federation", publish.RegistryFile), w.path("federation", publish.RootFile), w.now)
	w.must(err)
	return r
}

// TestR11TargetBehavesOtherwise: a setting was changed after the application.
func TestR11TargetBehavesOtherwise(t *testing.T) {
	w := newTown(t)
	w.below("\nsignature_days = 3\n", "dp", "dp.toml")
	w.serve()
	expect(t, w.target(w.endpoint), "disclosure: wrong")
}

func TestTarget(t *testing.T) {
	w := newTown(t)
	w.serve()
	expect(t, w.target(w.endpoint))
	_, port, err := net.SplitHostPort(w.listener.Addr().String())
	w.must(err)
	expect(t, w.target("https://localhost:"+port), "endpoint: warning")

	// Its daemon runs: the address is taken, and that is well.
	w.write(fmt.Sprintf("party = \"dp.example\"\nlisten = %q\noperations = \"127.0.0.1:0\"\n", w.listener.Addr()), "dp", "dp.toml")
	r, err := doctor.Folder(t.Context(), w.path("dp"), w.now)
	w.must(err)
	expect(t, r)

	// Another registry of the same version, then a newer one.
	published, err := filepath.Glob(w.path("federation", publish.PublicFolder, "metadata", "*"))
	w.must(err)
	for _, file := range published {
		if !strings.HasSuffix(file, ".root.json") {
			w.must(os.Remove(file))
		}
	}
	w.now = w.now.Add(2 * time.Second)
	_, err = publish.Sign(w.path("federation"), w.now)
	w.must(err)
	expect(t, w.target(w.endpoint), "server's registry: wrong")
	w.apply("msp", registry.RoleMSP, "op-msp.example")
	_, err = publish.Sign(w.path("federation"), w.now)
	w.must(err)
	expect(t, w.target(w.endpoint), "server's registry: warning")

	w.now = w.now.Add(time.Hour)
	expect(t, w.target(w.endpoint), "server's registry: warning", "clocks: warning")
	for _, bad := range []string{"http://127.0.0.1:1", "127.0.0.1:8443", "https://", "https://dp.example/x", "https://dp.example?x"} {
		if _, err := doctor.Target(t.Context(), bad, "", "", w.now); err == nil {
			t.Errorf("%s: no complaint", bad)
		}
	}
}

func TestTargetIsNotWhoItShouldBe(t *testing.T) {
	w := newTown(t)
	keys, err := party.Load(w.path("dp"))
	w.must(err)
	stranger, err := pinned.Generate(worldtest.Party(t, "dp.example"), w.now)
	w.must(err)
	now := func() time.Time { return w.now }
	old := pinned.ServerConfig(keys.TLS, now)
	old.MinVersion = tls.VersionTLS12
	for name, test := range map[string]struct {
		config *tls.Config
		want   []string
	}{
		"another key":             {pinned.ServerConfig(stranger, now), []string{"pin: wrong"}},
		"older TLS, no registry":  {old, []string{"tls: wrong", "endpoint: warning", "server's registry: wrong"}},
		"the key, and no daemon":  {pinned.ServerConfig(keys.TLS, now), []string{"endpoint: warning", "server's registry: wrong"}},
		"nothing that speaks TLS": {nil, []string{"reachable: wrong"}},
	} {
		l := listen(t)
		server := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: test.config, ReadHeaderTimeout: time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		done := make(chan error, 1)
		go func() {
			if test.config == nil {
				done <- server.Serve(l)
			} else {
				done <- server.ServeTLS(l, "", "")
			}
		}()
		t.Run(name, func(t *testing.T) { expect(t, w.target("https://"+l.Addr().String()), test.want...) })
		w.must(server.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		t.Run(name+", gone", func(t *testing.T) { expect(t, w.target("https://"+l.Addr().String()), "reachable: wrong") })
	}
}
