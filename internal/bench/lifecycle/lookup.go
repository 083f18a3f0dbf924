package lifecycle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"whither/csi"
	"whither/internal/bench/cast"
	"whither/internal/dp"
	"whither/internal/party"
	"whither/internal/pinned"
	"whither/internal/sqlstore"
	"whither/registry"
	"whither/wire"
)

// most is how many DP processes share the database. Each of those that are
// measured is asked by so many clients, so many times a second: a load that
// leaves processors free, since on full ones everybody is in everybody's way.
const most, clientsEach, pace = 4, 2, 300

// server is a DP process and a client of it.
type server struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	client *pinned.Client
	id     registry.PartyID
}

// lookups measures the processor time of look-ups by one and by four processes.
func (r *run) lookups(ctx context.Context) (err error) {
	dir := filepath.Join(r.dir, "dp")
	f, err := cast.New(time.Now())
	if err != nil {
		return err
	}
	own := f.Parties[cast.DP]
	if err := dp.MakeKeys(dir, own.ID, f.Now); err != nil {
		return err
	}
	keys, err := party.Load(dir)
	if err != nil {
		return err
	}
	own.Sign, own.TLS = keys.Sign, keys.TLS
	u, err := r.server.Schema(ctx, "lookup")
	if err != nil {
		return err
	}
	var servers []*server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
	}()
	for i := range most {
		s, err := r.start(ctx, f, dir, u, i)
		if s != nil {
			servers = append(servers, s)
		}
		if err != nil {
			return err
		}
	}
	questions, err := r.fill(ctx, f, dir, u)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if err := s.check(ctx, questions[0]); err != nil {
			return err
		}
	}
	return r.rounds(ctx, "look-ups", func(_ int, order []int) error {
		for _, i := range order {
			if err := r.look(ctx, servers[:[]int{1, most}[i]], questions); err != nil {
				return err
			}
		}
		return nil
	}, 2)
}

// fill admits the people who are looked up, and returns the questions.
func (r *run) fill(ctx context.Context, f *cast.Federation, dir, u string) (_ [][]byte, err error) {
	keys, err := sqlstore.LoadKeys(dir)
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.OpenDirectory(ctx, sqlstore.Options{URL: u, Keys: keys})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	source, err := f.Registry(r.dir, "https://127.0.0.1:1")
	if err != nil {
		return nil, err
	}
	questions := make([][]byte, r.Rows)
	err = each(ctx, callers, r.Rows, func(ctx context.Context, i int) error {
		if i%10_000 == 0 {
			r.say("%d of %d mappings", i, r.Rows)
		}
		v, err := f.Mapping(source.Snapshot(), cast.Mail, i)
		if err != nil {
			return err
		}
		if questions[i], err = wire.Encode(wire.TypeCBOR, wire.LookupRequest{
			CSIs: []csi.Clear{{ID: v.Claims().CSI}}, Federation: wire.FederationNone, Format: wire.FormatVerbose,
		}); err != nil {
			return err
		}
		return store.Admit(ctx, v, nil, v.Admitted().Add(time.Hour), v.Admitted())
	})
	if err != nil {
		return nil, err
	}
	_, err = r.server.SQL(ctx, "VACUUM ANALYZE") // as the server would do by itself, later
	return questions, err
}

// start starts a DP process over the common folder, with a registry that leads
// to it, and waits until it serves.
func (r *run) start(ctx context.Context, f *cast.Federation, dir, u string, i int) (*server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil { // the process will listen there
		return nil, err
	}
	own := filepath.Join(dir, "registry-"+strconv.Itoa(i))
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	source, err := f.Registry(own, "https://"+address)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, fmt.Sprintf("dp-%d.toml", i))
	err = os.WriteFile(config, fmt.Appendf(nil, "party = %q\nlisten = %q\noperations = \"127.0.0.1:0\"\nregistry = %q\nroot = %q\n[store]\nurl = %q\n",
		cast.DP, address, filepath.Join(own, cast.SetFile), filepath.Join(own, cast.RootFile), u), 0o600)
	if err != nil {
		return nil, err
	}
	s := &server{ended: make(chan struct{}), id: f.Parties[cast.DP].ID}
	s.client = pinned.NewClient(source.Snapshot, f.Parties[cast.Asker].TLS, time.Now)
	s.cmd = exec.Command(r.Program[0], append(r.Program[1:len(r.Program):len(r.Program)], config)...) //nolint:gosec,noctx // our own program; it is stopped in order
	return s, s.launch(ctx)
}

// launch starts the process; it says when it serves.
func (s *server) launch(ctx context.Context) error {
	out, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	serving, said := make(chan struct{}), ""
	go func() {
		up := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said = lines.Text()
			if !up && strings.Contains(said, `"msg":"serving"`) {
				up = true
				close(serving)
			}
		}
		_ = s.cmd.Wait() // what it said last tells more
		close(s.ended)
	}()
	select {
	case <-serving:
		return nil
	case <-s.ended:
		return fmt.Errorf("%w: a DP ended: %s", ErrWrong, said)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) stop() error {
	s.client.Close()
	err := s.cmd.Process.Signal(os.Interrupt)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	return nil
}

// check has one question answered, and looks that somebody was found.
func (s *server) check(ctx context.Context, question []byte) error {
	b, err := s.client.Post(ctx, s.id, wire.PathLookups, "", question)
	if err != nil {
		return err
	}
	var answer wire.LookupAnswer
	if err := wire.Decode(wire.TypeCBOR, b, wire.MaxAnswer, &answer); err != nil {
		return err
	}
	if len(answer.Answers) != 1 || len(answer.Answers[0].Mappings) != 1 {
		return fmt.Errorf("%w: %d answers", ErrWrong, len(answer.Answers))
	}
	return nil
}

// look makes look-ups for one slice, spread over the servers, and keeps what
// processor time each took of the DPs, and of them and the database together.
func (r *run) look(ctx context.Context, servers []*server, questions [][]byte) error {
	var dps []int
	for _, s := range servers {
		dps = append(dps, s.cmd.Process.Pid)
	}
	database := r.server.PIDs()
	dpBefore, err := processorTimes(dps)
	if err != nil {
		return err
	}
	dbBefore, err := processorTimes(database)
	if err != nil {
		return err
	}
	var next atomic.Int64
	began := time.Now()
	clients := clientsEach * len(servers)
	err = each(ctx, clients, clients, func(ctx context.Context, worker int) error {
		s := servers[worker%len(servers)]
		const interval = clientsEach * time.Second / pace
		for n := 0; time.Since(began) < r.Slice; n++ {
			time.Sleep(time.Until(began.Add(time.Duration(n) * interval)))
			i := int(next.Add(1) - 1)
			if _, err := s.client.Post(ctx, s.id, wire.PathLookups, "", questions[i*7919%len(questions)]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	dpAfter, err := processorTimes(dps)
	if err != nil {
		return err
	}
	dbAfter, err := processorTimes(database)
	if err != nil {
		return err
	}
	n := float64(next.Load())
	of := strconv.Itoa(len(servers))
	dpTime, dbTime := since(dpBefore, dpAfter).Seconds(), since(dbBefore, dbAfter).Seconds()
	r.note("dp_cpu_"+of, dpTime/n)
	r.note("cpu_"+of, (dpTime+dbTime)/n)
	return nil
}

// processorTimes reads what each thread of processes has used; one that is not
// there counts nothing.
func processorTimes(pids []int) (map[string]time.Duration, error) {
	all := make(map[string]time.Duration)
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return nil, fmt.Errorf("processor time: %w", err)
		}
		for _, path := range threads {
			b, err := os.ReadFile(path)
			if err != nil {
				continue // it has ended
			}
			used, _, _ := strings.Cut(string(b), " ")
			n, err := strconv.ParseInt(used, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("processor time: %w", err)
			}
			all[path] = time.Duration(n)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("processor time: this system does not tell it in /proc")
	}
	return all, nil
}

// since adds up what threads have used, those that are new included.
func since(before, after map[string]time.Duration) time.Duration {
	var all time.Duration
	for path, a := range after {
		all += a - before[path]
	}
	return all
}
