package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/internal/dp"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/sqlstore"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/mapping"
	"whither/problem"
	"whither/registry"
	"whither/wire"
)

// stage is a DP's folder in a federation that lives now, with the identities of
// those who send messages to it.
type stage struct {
	t          *testing.T
	federation *worldtest.Federation
	snapshot   *registry.Snapshot
	dp         registry.PartyID
	dir        string
	address    string         // where the registry says that the DP is
	holder     *pinned.Client // of people
	asker      *pinned.Client // the back-end of an MSP
	own        *pinned.Identity
}

func newStage(t *testing.T) *stage {
	t.Helper()
	f, now := worldtest.New(t), time.Now().Truncate(time.Second)
	since := now.Add(-time.Hour)
	f.Now, f.Record.Issued, f.Record.Expires = now, since, now.Add(30*24*time.Hour)
	for i := range f.Record.Parties {
		f.Record.Parties[i].Grant.Standing.Since = since.Unix()
	}
	for _, self := range f.Selfs {
		self.Issued, self.Keys[0].From = since.Unix(), since.Unix()
	}
	s := &stage{t: t, federation: f, dp: worldtest.Party(t, worldtest.DP), dir: filepath.Join(t.TempDir(), "dp"), address: free(t)}
	check(t, dp.MakeKeys(s.dir, s.dp, now))
	keys, err := party.Load(s.dir)
	check(t, err)
	asker, err := pinned.Generate(worldtest.Party(t, worldtest.MSPA), now)
	check(t, err)
	self, pin, askerPin := f.Selfs[worldtest.DP], keys.TLS.Pin(), asker.Pin()
	self.Endpoint, self.Pins, self.Keys[0].Public = "https://"+s.address, [][]byte{pin[:]}, keys.Sign.Public()
	f.Selfs[worldtest.MSPA].Pins = [][]byte{askerPin[:]}
	f.WriteRegistry(filepath.Join(s.dir, "registry"))
	s.snapshot = f.Snapshot()
	check(t, errors.Join(
		os.WriteFile(s.config(), fmt.Appendf(nil, "party = %q\nlisten = %q\noperations = \"127.0.0.1:0\"\n", s.dp, s.address), 0o600),
	))
	registered := func() *registry.Snapshot { return s.snapshot }
	s.holder, s.asker = pinned.NewClient(registered, nil, time.Now), pinned.NewClient(registered, asker, time.Now)
	s.own = asker
	t.Cleanup(s.hangUp)
	return s
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, l.Close())
	return l.Addr().String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) config() string { return filepath.Join(s.dir, dp.SettingsFile) }

// hangUp drops the connections to a DP that is gone.
func (s *stage) hangUp() {
	s.holder.Close()
	s.asker.Close()
}

// person is somebody with a mapping on its way.
type person struct {
	name    string
	csi     csi.ID
	key     key.Private
	request wire.SubmitRequest
	claims  mapping.Claims
	digest  mapping.Digest
	// answer is what the DP answered first; nil while nothing was acknowledged.
	answer *wire.Bundle
	// unheard is what was found of it before it was acknowledged.
	unheard *wire.Bundle
}

// person prepares all but the submission, with an offer of the running DP.
func (s *stage) person(name string) *person {
	s.t.Helper()
	address := name + "@example.org"
	p := &person{name: name, csi: worldtest.CSI(s.t, "mailto:"+address), key: worldtest.Key(s.t, address)}
	s.prepare(p, address, func(*mapping.Claims) {})
	return p
}

// prepare makes a person's submission. seed names its random parts.
func (s *stage) prepare(p *person, seed string, bend func(*mapping.Claims)) {
	s.t.Helper()
	holder := p.key.Public()
	var o wire.DPOffer
	check(s.t, s.holder.Call(s.t.Context(), s.dp, wire.PathOffers, "", wire.OfferRequest{CSI: csi.Clear{ID: p.csi}, Key: holder.Bytes()}, &o))
	f := s.federation
	c := f.Claims(p.csi, holder, seed, worldtest.MSPA)
	c.DPNonce = mapping.Nonce(o.Nonce)
	bend(&c)
	u := f.Propose(c, p.key, f.MailReceipts(p.csi, holder, f.Now))
	p.claims, p.digest = u.Claims(), u.Digest()
	p.request = wire.SubmitRequest{Offer: o.Offer, Bundle: wire.BundleOf(u.Bundle())}
}

// submit sends a mapping, for the first time or again. An error means that
// nothing was acknowledged; any wrong answer ends the test.
func (s *stage) submit(ctx context.Context, p *person) error {
	var a wire.SubmitAnswer
	if err := s.holder.Call(ctx, s.dp, wire.PathMappings, "", p.request, &a); err != nil {
		return err
	}
	if a.State != wire.StateAdmitted || a.Bundle == nil {
		s.t.Errorf("a submission is %s: %s", a.State, a.Reason)
		return nil
	}
	if v, err := s.verify(a.Bundle); err != nil || v.Digest() != p.digest {
		s.t.Errorf("an acknowledged mapping: digest as submitted: %t, %v", v.Digest() == p.digest, err)
	}
	for _, before := range []*wire.Bundle{p.answer, p.unheard} {
		if diff := cmp.Diff(before, a.Bundle); before != nil && diff != "" {
			s.t.Errorf("the same submission has another answer:\n%s", diff)
		}
	}
	p.answer = a.Bundle
	return nil
}

// withdraw ends a mapping. An error means that nothing was acknowledged.
func (s *stage) withdraw(ctx context.Context, p *person) error {
	statement, err := p.claims.Withdraw(p.key, p.digest, time.Now())
	check(s.t, err)
	var a wire.WithdrawalAnswer
	return s.holder.Call(ctx, s.dp, wire.PathWithdrawals, "", wire.WithdrawalRequest{Statement: statement}, &a)
}

// gone reports whether an answer says that there is no such mapping.
func gone(err error) bool {
	var d problem.Document
	return errors.As(err, &d) && d.Kind() == problem.MappingUnknown
}

func (s *stage) verify(b *wire.Bundle) (mapping.Verified, error) {
	u, err := mapping.Parse(b.Unpack())
	if err != nil {
		return mapping.Verified{}, err
	}
	return mapping.PolicyAt(s.snapshot, time.Now()).Verify(u)
}

// found looks people up as an asker does, and verifies what comes back. The
// result has the mapping of each, or a zero one.
func (s *stage) found(people ...*person) []mapping.Verified {
	s.t.Helper()
	var all []mapping.Verified
	for len(people) > 0 {
		some := people[:min(len(people), wire.MaxLookup)]
		people = people[len(some):]
		r := wire.LookupRequest{Federation: wire.FederationNone, Format: wire.FormatVerbose}
		for _, p := range some {
			r.CSIs = append(r.CSIs, csi.Clear{ID: p.csi})
		}
		var a wire.LookupAnswer
		check(s.t, s.asker.Call(s.t.Context(), s.dp, wire.PathLookups, "", r, &a))
		for i, one := range a.Answers {
			var v mapping.Verified
			if len(one.Mappings) > 1 {
				s.t.Errorf("%d mappings of one submission", len(one.Mappings))
			}
			if len(one.Mappings) == 1 {
				var err error
				if v, err = s.verify(&one.Mappings[0].Bundle); err != nil || v.Digest() != some[i].digest {
					s.t.Errorf("a mapping that was found: digest as submitted: %t, %v", v.Digest() == some[i].digest, err)
				}
			}
			all = append(all, v)
		}
	}
	return all
}

// process is a DP in a process of its own.
type process struct {
	cmd     *exec.Cmd
	serving chan struct{} // closed when it says that it serves
	ended   chan struct{} // closed when it has ended

	mu  sync.Mutex
	err error
	log bytes.Buffer
}

// start starts the test binary as a DP over the stage's folder, by way of
// another command if one is given.
func (s *stage) start(as string, through ...string) *process {
	s.t.Helper()
	args := append(through, os.Args[0], s.dir)
	if as == wholeProgram {
		args = append(through, os.Args[0], "-config", s.config())
	}
	return s.launch(as, args...)
}

// launch starts a command in which the test binary is a DP.
func (s *stage) launch(as string, args ...string) *process {
	s.t.Helper()
	p := &process{cmd: exec.Command(args[0], args[1:]...), serving: make(chan struct{}), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"="+as)
	out, err := p.cmd.StderrPipe()
	check(s.t, err)
	check(s.t, p.cmd.Start())
	s.t.Cleanup(func() { p.kill(); <-p.ended })
	go p.watch(out)
	return p
}

func (p *process) watch(out io.Reader) {
	defer close(p.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if strings.Contains(lines.Text(), `"msg":"serving"`) {
			close(p.serving)
		}
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *process) kill() { _ = p.cmd.Process.Kill() }

// said returns what the process wrote and how it ended.
func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%v\n%s", p.err, p.log.String())
}

// patience bounds what a process may take to start or to end.
const patience = 30 * time.Second

// up waits until the process serves, and reports whether it does.
func (p *process) up(t *testing.T) bool {
	t.Helper()
	select {
	case <-p.serving:
		return true
	case <-p.ended:
		return false
	case <-time.After(patience):
		t.Fatalf("the DP is not up in time: %s", p.said())
		return false
	}
}

// stop asks the process to end and waits for it.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("the DP does not end: %s", p.said())
	}
}

// tools is where programs are made, for all tests of this package.
var tools struct {
	once sync.Once
	dir  string
	err  error
}

// whither is the program of that name, made from the tree as it is.
func whither(t *testing.T) string {
	t.Helper()
	tools.once.Do(func() {
		if tools.dir, tools.err = os.MkdirTemp("", "whither-test-"); tools.err == nil {
			tools.err = build(filepath.Join(tools.dir, "whither"))
		}
	})
	check(t, tools.err)
	return filepath.Join(tools.dir, "whither")
}

// sources lists the files of this module of which a program is made.
const sources = `{{if and .Module (not .Standard)}}{{if .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}
{{end}}{{end}}{{end}}`

func build(program string) error {
	const path = "whither/cmd/whither"
	if out, err := exec.Command("go", "build", "-o", program, path).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	out, err := exec.Command("go", "list", "-deps", "-f", sources, path).Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	// What a child reads, the cache of test results does not see: a file that
	// is opened here makes the tests run again when it changes.
	files := strings.Fields(string(out))
	if len(files) < 20 {
		return fmt.Errorf("whither is made of %d files", len(files))
	}
	for _, f := range files {
		if _, err := os.ReadFile(f); err != nil {
			return err
		}
	}
	return nil
}

// fsck has whither judge the stage's folder. It must find nothing damaged and
// no mapping that does not hold, and exit with 0.
func (s *stage) fsck(program string) sqlstore.Report {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--json", "fsck", s.dir)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("whither fsck: %v\n%s%s", err, out.String(), errOut.String())
	}
	var r sqlstore.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		s.t.Fatalf("%v in %s", err, out.String())
	}
	if !r.Sound() || r.Refused != 0 {
		s.t.Fatalf("whither fsck: %+v", r)
	}
	return r
}
