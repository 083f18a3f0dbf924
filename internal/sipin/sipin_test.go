package sipin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"whither/internal/sipin"
	"whither/internal/sipin/syntax"
)

// owner is an owner whose verdicts a test decides. It remembers what it was asked.
type owner struct {
	mu       sync.Mutex
	requests []sipin.Request
	codes    []string

	message func(sipin.Request) error
	call    func(sipin.Request) error
	enter   func(string) error
}

func (o *owner) Message(_ context.Context, r sipin.Request) error {
	o.mu.Lock()
	o.requests = append(o.requests, r)
	o.mu.Unlock()
	if o.message == nil {
		return nil
	}
	return o.message(r)
}

func (o *owner) Call(_ context.Context, r sipin.Request) (sipin.Prompt, error) {
	o.mu.Lock()
	o.requests = append(o.requests, r)
	o.mu.Unlock()
	if o.call != nil {
		if err := o.call(r); err != nil {
			return sipin.Prompt{}, err
		}
	}
	return sipin.Prompt{Digits: 4, Notice: `Enter the "code".`, Enter: func(_ context.Context, code string) error {
		o.mu.Lock()
		o.codes = append(o.codes, code)
		o.mu.Unlock()
		if o.enter == nil {
			return nil
		}
		return o.enter(code)
	}}, nil
}

func (o *owner) seen() ([]sipin.Request, []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]sipin.Request(nil), o.requests...), append([]string(nil), o.codes...)
}

// running is a server under test.
type running struct {
	at     string
	mu     sync.Mutex
	counts map[string]int
	stop   func() error
}

func (r *running) count(event string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[event]
}

const host = "prover-a.example"

// start runs a server on loopback until the test ends.
func start(t testing.TB, o sipin.Owner, edit func(*sipin.Config)) *running {
	t.Helper()
	r := &running{counts: make(map[string]int)}
	c := sipin.Config{Host: host, Media: "127.0.0.1", Count: func(e string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.counts[e]++
	}}
	var lc net.ListenConfig
	tcp, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.at = tcp.Addr().String() // SIP has one port for both
	udp, err := lc.ListenPacket(t.Context(), "udp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	c.Contact = r.at
	if edit != nil {
		edit(&c)
	}
	s, err := sipin.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, sipin.Listeners{UDP: udp, TCP: tcp}) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(15 * time.Second):
			return errors.New("the server does not end")
		}
	})
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// silence keeps the library from writing where tests report.
var silence = sync.OnceFunc(func() { sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// client is sipgo's user agent: an independent reading of the RFCs.
func client(t testing.TB) (*sipgo.UserAgent, *sipgo.Client) {
	t.Helper()
	silence()
	quiet := slog.New(slog.DiscardHandler)
	ua, err := sipgo.NewUA(
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ua.Close() })
	c, err := sipgo.NewClient(ua, sipgo.WithClientHostname("127.0.0.1"), sipgo.WithClientConnectionAddr("127.0.0.1:0"), sipgo.WithClientLogger(quiet))
	if err != nil {
		t.Fatal(err)
	}
	return ua, c
}

// TestMessage: an independent client delivers by UDP and by TCP.
func TestMessage(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			o := &owner{}
			r := start(t, o, nil)
			_, c := client(t)
			req := sip.NewRequest(sip.MESSAGE, uri(t, "sip:box@"+host))
			req.SetDestination(r.at)
			req.SetTransport(strings.ToUpper(transport))
			req.AppendHeader(sip.NewHeader("Identity", "a.b.c;info=<https://c.example/x>"))
			req.AppendHeader(sip.NewHeader("y", "d.e.f;info=<https://c.example/y>"))
			req.AppendHeader(sip.NewHeader("Content-Type", "text/plain;charset=UTF-8"))
			req.SetBody([]byte("hello"))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			res, err := c.Do(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != 200 {
				t.Fatalf("answered %d %s", res.StatusCode, res.Reason)
			}
			got, _ := o.seen()
			if len(got) != 1 || got[0].User != "box" || got[0].Type != "text/plain" || string(got[0].Body) != "hello" ||
				strings.Join(got[0].Identity, " ") != "a.b.c;info=<https://c.example/x> d.e.f;info=<https://c.example/y>" {
				t.Errorf("the owner got %+v", got)
			}
		})
	}
}

func uri(t testing.TB, s string) sip.Uri {
	t.Helper()
	var u sip.Uri
	if err := sip.ParseUri(s, &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// raw is a message that a test writes byte by byte.
type raw struct {
	line   string
	fields []string
	body   string
}

func message(edit func(*raw)) string {
	m := &raw{line: "MESSAGE sip:box@" + host + " SIP/2.0", fields: []string{
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKone;rport", "Max-Forwards: 70", "From: <sip:bob@example.org>;tag=a",
		"To: <sip:box@" + host + ">", "Call-ID: one", "CSeq: 1 MESSAGE", "Content-Type: text/plain",
	}, body: "hello"}
	if edit != nil {
		edit(m)
	}
	text := m.line + "\r\n" + strings.Join(m.fields, "\r\n") + "\r\n"
	if !strings.Contains(strings.ToLower(text), "content-length") {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(m.body))
	}
	return text + "\r\n" + m.body
}

// replace changes one field, or takes it away.
func replace(name, with string) func(*raw) {
	return func(m *raw) {
		var out []string
		for _, f := range m.fields {
			if !strings.HasPrefix(f, name+":") {
				out = append(out, f)
			}
		}
		if with != "" {
			out = append(out, with)
		}
		m.fields = out
	}
}

func also(field string) func(*raw) { return func(m *raw) { m.fields = append(m.fields, field) } }

// answer is a response as a test reads it.
type answer struct {
	status int
	reason string
	fields textproto.MIMEHeader
	raw    string
}

func readAnswer(t testing.TB, b []byte) answer {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(b)))
	line, err := r.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(line, " ", 3)
	if len(parts) != 3 || parts[0] != "SIP/2.0" {
		t.Fatalf("start line %q", line)
	}
	a := answer{reason: parts[2], raw: string(b)}
	if a.status, err = strconv.Atoi(parts[1]); err != nil {
		t.Fatal(err)
	}
	if a.fields, err = r.ReadMIMEHeader(); err != nil {
		t.Fatal(err)
	}
	return a
}

// dialUDP returns a socket that is connected to the server's.
func dialUDP(t testing.TB, r *running) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "udp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// ask sends a datagram and returns the answer, nil if none comes within wait.
func ask(t testing.TB, c net.Conn, datagram string, wait time.Duration) []byte {
	t.Helper()
	if _, err := io.WriteString(c, datagram); err != nil {
		t.Fatal(err)
	}
	return listen(t, c, wait)
}

func listen(t testing.TB, c net.Conn, wait time.Duration) []byte {
	t.Helper()
	b := make([]byte, 64<<10)
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// TestRefusals: what is wrong is answered so that a person knows what to do,
// with the codes of RFC 3261, and the owner is not asked.
func TestRefusals(t *testing.T) {
	o := &owner{}
	r := start(t, o, nil)
	c := dialUDP(t, r)
	for i, test := range []struct {
		name   string
		edit   func(*raw)
		status int
		with   string // in the answer
	}{
		{"no Call-ID", replace("Call-ID", ""), 400, "Call-ID"},
		{"Call-ID twice", also("i: two"), 400, "repeated"},
		{"From twice", also("f: <sip:alice@example.org>;tag=b"), 400, "repeated"},
		{"From without tag", replace("From", "From: <sip:bob@example.org>"), 400, "From"},
		{"From is no address", replace("From", "From: <<"), 400, "From"},
		{"To is no address", replace("To", `To: "x`), 400, "To"},
		{"no CSeq", replace("CSeq", ""), 400, "CSeq"},
		{"CSeq of another method", replace("CSeq", "CSeq: 1 INVITE"), 400, "CSeq"},
		{"CSeq is no number", replace("CSeq", "CSeq: x MESSAGE"), 400, "CSeq"},
		{"CSeq too large", replace("CSeq", "CSeq: 2147483648 MESSAGE"), 400, "CSeq"},
		{"Date twice", func(m *raw) { m.fields = append(m.fields, "Date: a", "Date: b") }, 400, "repeated"},
		{"HTML", replace("Content-Type", "Content-Type: text/html"), 415, "Accept: text/plain"},
		{"no type", replace("Content-Type", ""), 415, "Accept: text/plain"},
		{"compressed", also("e: gzip"), 415, "Accept-Encoding: identity"},
		{"wants an extension", also("Require: 100rel"), 420, "Unsupported: 100rel"},
		{"telephone URI", func(m *raw) { m.line = "MESSAGE tel:+15551234567 SIP/2.0" }, 416, ""},
		{"another method", func(m *raw) {
			m.line = "REGISTER sip:box@" + host + " SIP/2.0"
			replace("CSeq", "CSeq: 1 REGISTER")(m)
		}, 405, "Allow: INVITE"},
		{"key press in no call", func(m *raw) {
			m.line = "INFO sip:box@" + host + " SIP/2.0"
			replace("CSeq", "CSeq: 1 INFO")(m)
		}, 481, ""},
		{"cancels nothing", func(m *raw) {
			m.line = "CANCEL sip:box@" + host + " SIP/2.0"
			replace("CSeq", "CSeq: 1 CANCEL")(m)
		}, 481, ""},
		{"call without sound", func(m *raw) {
			m.line = "INVITE sip:box@" + host + " SIP/2.0"
			replace("CSeq", "CSeq: 1 INVITE")(m)
		}, 488, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := ask(t, c, message(func(m *raw) {
				m.fields[0] = fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d;rport", i)
				test.edit(m)
			}), 2*time.Second)
			if b == nil {
				t.Fatal("no answer")
			}
			if a := readAnswer(t, b); a.status != test.status || !strings.Contains(a.raw, test.with) {
				t.Errorf("answered\n%s", a.raw)
			}
		})
	}
	if got, _ := o.seen(); len(got) != 0 {
		t.Errorf("the owner was asked %d times", len(got))
	}
}

// TestMalformed: what cannot be answered is dropped, and the server goes on.
func TestMalformed(t *testing.T) {
	o := &owner{}
	r := start(t, o, nil)
	c := dialUDP(t, r)
	good := message(nil)
	bad := map[string]string{
		"nothing":               "\x00",
		"keep-alive":            "\r\n\r\n",
		"not SIP":               "GET / HTTP/1.1\r\n\r\n",
		"another version":       strings.Replace(good, "SIP/2.0\r\n", "SIP/3.0\r\n", 1),
		"lower-case method":     strings.Replace(good, "MESSAGE", "Message", 1),
		"no Via":                message(replace("Via", "")),
		"no branch":             message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1")),
		"branch of RFC 2543":    message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=one")),
		"empty branch":          message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")),
		"long branch":           message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"+strings.Repeat("a", 200))),
		"line feed alone":       strings.Replace(good, "\r\nTo", "\nTo", 1),
		"control character":     message(also("X: a\x01b")),
		"no end":                strings.TrimSuffix(good, "\r\n\r\nhello"),
		"length twice":          message(func(m *raw) { m.fields = append(m.fields, "Content-Length: 5", "l: 5") }),
		"length is no number":   message(also("Content-Length: -5")),
		"length is too large":   message(also("Content-Length: 6")),
		"field too large":       message(also("Identity: " + strings.Repeat("a", syntax.MaxHead))),
		"body too large":        message(func(m *raw) { m.body = strings.Repeat("a", syntax.MaxBody+1) }),
		"too many fields":       message(func(m *raw) { m.fields = append(m.fields, strings.Split(strings.Repeat("X: y\n", 80)+"X: y", "\n")...) }),
		"field without a colon": message(also("nonsense")),
	}
	for name, datagram := range bad {
		if b := ask(t, c, datagram, 30*time.Millisecond); b != nil {
			t.Errorf("%s is answered:\n%s", name, b)
		}
	}
	if n := r.count("malformed"); n != len(bad) {
		t.Errorf("%d of %d counted as malformed", n, len(bad))
	}
	if b := ask(t, c, good, 2*time.Second); b == nil || readAnswer(t, b).status != 200 {
		t.Errorf("a good message afterwards is answered\n%s", b)
	}
	if got, _ := o.seen(); len(got) != 1 {
		t.Errorf("the owner was asked %d times", len(got))
	}
}

// TestRetransmission: a transaction is judged once; while it is, repetitions
// wait; afterwards they get the same answer, byte for byte.
func TestRetransmission(t *testing.T) {
	release := make(chan struct{})
	o := &owner{message: func(sipin.Request) error {
		<-release
		return &sipin.Refusal{Code: 403, Reason: "Stale Date", Advice: "Send it again."}
	}}
	r := start(t, o, nil)
	c := dialUDP(t, r)
	for range 3 {
		if b := ask(t, c, message(nil), 50*time.Millisecond); b != nil {
			t.Fatalf("answered before the verdict:\n%s", b)
		}
	}
	close(release)
	first := listen(t, c, 2*time.Second)
	if first == nil {
		t.Fatal("no answer")
	}
	if a := readAnswer(t, first); a.status != 403 || a.reason != "Stale Date" || a.fields.Get("Warning") != `399 prover-a.example "Send it again."` {
		t.Errorf("answered\n%s", a.raw)
	}
	for range 3 {
		if b := ask(t, c, message(nil), 2*time.Second); !bytes.Equal(b, first) {
			t.Errorf("another answer:\n%s", b)
		}
	}
	if got, _ := o.seen(); len(got) != 1 {
		t.Errorf("judged %d times", len(got))
	}
	eventually(t, func() bool { return r.count("repeated") == 5 })
	// Another socket with the same branch is another transaction.
	if b := ask(t, dialUDP(t, r), message(nil), 2*time.Second); b == nil || bytes.Equal(b, first) {
		t.Errorf("another source got\n%s", b)
	}
}

// TestTrouble: trouble of the owner's is no verdict.
func TestTrouble(t *testing.T) {
	r := start(t, &owner{message: func(sipin.Request) error { return errors.New("disk full of +15551234567") }}, nil)
	b := ask(t, dialUDP(t, r), message(nil), 2*time.Second)
	if b == nil {
		t.Fatal("no answer")
	}
	if a := readAnswer(t, b); a.status != 503 || a.fields.Get("Retry-After") == "" || strings.Contains(a.raw, "disk") {
		t.Errorf("answered\n%s", a.raw)
	}
}

// TestFlood: beyond the bound of a source nothing is even parsed, others are
// served, and a second later so is the source.
func TestFlood(t *testing.T) {
	o := &owner{}
	r := start(t, o, func(c *sipin.Config) {
		c.Bounds = sipin.DefaultBounds()
		c.Bounds.PerSource = 20
	})
	c := dialUDP(t, r)
	for i := range 100 {
		if _, err := io.WriteString(c, message(replace("Via", fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK%d;rport", i)))); err != nil {
			t.Fatal(err)
		}
	}
	// Less than the rest: a test that is slow takes more than a second, and the
	// system may drop datagrams too.
	eventually(t, func() bool { return r.count("flood") >= 30 })
	eventually(t, func() bool { return r.count("message") > 0 })
	if got, _ := o.seen(); len(got) > 60 {
		t.Errorf("%d of 100 were judged", len(got))
	}
	answered := func() bool {
		b := ask(t, dialUDP(t, r), message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKlater;rport")), 300*time.Millisecond)
		return b != nil && readAnswer(t, b).status == 200
	}
	eventually(t, answered)
}

// TestBusy: beyond the verdicts that may be under way the answer is immediate.
func TestBusy(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	o := &owner{message: func(sipin.Request) error { <-release; return nil }}
	r := start(t, o, func(c *sipin.Config) {
		c.Bounds = sipin.DefaultBounds()
		c.Bounds.Verdicts = 1
	})
	c := dialUDP(t, r)
	if b := ask(t, c, message(nil), 50*time.Millisecond); b != nil {
		t.Fatalf("answered\n%s", b)
	}
	b := ask(t, c, message(replace("Via", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKtwo;rport")), 2*time.Second)
	if b == nil {
		t.Fatal("no answer")
	}
	if a := readAnswer(t, b); a.status != 503 || a.fields.Get("Retry-After") == "" {
		t.Errorf("answered\n%s", a.raw)
	}
}

// TestStream: several messages in one connection, keep-alives between them, and
// an end where there is no boundary to go on from.
func TestStream(t *testing.T) {
	o := &owner{}
	r := start(t, o, nil)
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", r.at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	two := strings.ReplaceAll(message(nil), "z9hG4bKone", "z9hG4bKtwo")
	for _, part := range []string{"\r\n\r\n" + message(nil)[:40], message(nil)[40:] + "\r\n" + two} {
		if _, err := io.WriteString(c, part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reader := textproto.NewReader(bufio.NewReader(c))
	for range 2 {
		line, err := reader.ReadLine()
		if err != nil || line != "SIP/2.0 200 OK" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := reader.ReadMIMEHeader(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(c, strings.Replace(message(nil), "Content-Length: 5\r\n", "", 1)); err != nil {
		t.Fatal(err)
	}
	if line, err := reader.ReadLine(); err == nil {
		t.Errorf("after a message without length: %q", line)
	}
}

// TestConnections: an address has a share of the connections and no more.
func TestConnections(t *testing.T) {
	r := start(t, &owner{}, func(c *sipin.Config) {
		c.Bounds = sipin.DefaultBounds()
		c.Bounds.Connections = 8
	})
	var d net.Dialer
	for range 6 {
		c, err := d.DialContext(t.Context(), "tcp", r.at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	eventually(t, func() bool { return r.count("flood") == 4 })
}

// TestStop: at the end verdicts under way are finished and answered.
func TestStop(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	r := start(t, &owner{message: func(sipin.Request) error {
		close(asked)
		<-release
		return nil
	}}, nil)
	c := dialUDP(t, r)
	if _, err := io.WriteString(c, message(nil)); err != nil {
		t.Fatal(err)
	}
	<-asked
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	time.Sleep(50 * time.Millisecond)
	close(release)
	if b := listen(t, c, 5*time.Second); b == nil || readAnswer(t, b).status != 200 {
		t.Errorf("answered\n%s", b)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for range 100 {
		if f() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it does not happen")
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]sipin.Config{
		"no host":   {},
		"odd host":  {Host: "a\r\nb"},
		"no bounds": {Host: host, Bounds: sipin.Bounds{PerSource: 1}},
	} {
		if _, err := sipin.New(c, &owner{}); !errors.Is(err, sipin.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
