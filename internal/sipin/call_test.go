package sipin_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"whither/internal/sipin"
)

// caller is a phone made of sipgo's dialogs.
type caller struct {
	dialogs *sipgo.DialogClientCache
	byes    chan string // Reason of each BYE that it got
}

func newCaller(t testing.TB, transport string) *caller {
	t.Helper()
	ua, c := client(t)
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	at := ""
	if transport == "udp" {
		udp, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = udp.Close() })
		at = udp.LocalAddr().String()
		go func() { _ = server.ServeUDP(udp) }()
	} else {
		tcp, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tcp.Close() })
		at = tcp.Addr().String()
		go func() { _ = server.ServeTCP(tcp) }()
	}
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	p := &caller{byes: make(chan string, 4)}
	p.dialogs = sipgo.NewDialogClientCache(c, sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "bob", Host: "127.0.0.1", Port: n}})
	server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		p.byes <- req.GetHeader("Reason").Value()
		if err := p.dialogs.ReadBye(req, tx); err != nil {
			_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
		}
	})
	return p
}

// sdp is an offer of sound at a port.
func sdp(port int) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+
		"m=audio %d RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\nm=video 5000 RTP/AVP 96\r\n", port)
}

// call calls and waits for the answer.
func (p *caller) call(t testing.TB, r *running, transport string, port int) (*sipgo.DialogClientSession, error) {
	t.Helper()
	req := sip.NewRequest(sip.INVITE, uri(t, "sip:box@"+r.at+";transport="+transport))
	req.SetTransport(strings.ToUpper(transport))
	req.AppendHeader(sip.NewHeader("Identity", "a.b.c;info=<https://c.example/x>;ppt=shaken"))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(sdp(port)))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d, err := p.dialogs.WriteInvite(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := d.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		return nil, err
	}
	return d, d.Ack(ctx)
}

// press sends a key by INFO.
func press(t testing.TB, d *sipgo.DialogClientSession, mediaType, body string) int {
	t.Helper()
	req := sip.NewRequest(sip.INFO, d.InviteResponse.Contact().Address)
	req.AppendHeader(sip.NewHeader("Content-Type", mediaType))
	req.SetBody([]byte(body))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	res, err := d.Do(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func wait(t testing.TB, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("nothing happens")
		return ""
	}
}

// TestCall: an independent user agent calls, presses keys in both notations,
// and is hung up on once its code is judged.
func TestCall(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			o := &owner{}
			r := start(t, o, nil)
			p := newCaller(t, transport)
			d, err := p.call(t, r, transport, 4000)
			if err != nil {
				t.Fatal(err)
			}
			body := string(d.InviteResponse.Body())
			if !strings.Contains(body, "RTP/AVP 8 101\r\n") || !strings.Contains(body, "m=audio 0 ") ||
				!strings.Contains(d.InviteResponse.GetHeader("Warning").Value(), `"Enter the \"code\"."`) {
				t.Errorf("answered\n%s", d.InviteResponse)
			}
			for _, key := range []struct{ mediaType, body string }{
				{"application/dtmf-relay", "Signal=9\r\nDuration=160\r\n"},
				{"application/dtmf-relay", "Signal=*\r\n"}, // begins anew
				{"application/dtmf-relay", "Signal= 1\r\nDuration= 160\r\n"},
				{"application/dtmf", "2"},
				{"application/dtmf", "A"}, // is no digit
				{"application/dtmf-relay", "signal=3"},
				{"application/dtmf", "4\r\n"},
			} {
				if status := press(t, d, key.mediaType, key.body); status != 200 {
					t.Fatalf("%q is answered with %d", key.body, status)
				}
			}
			if reason := wait(t, p.byes); reason != `SIP;cause=200;text="the code is right"` {
				t.Errorf("hung up with %s", reason)
			}
			if _, codes := o.seen(); len(codes) != 1 || codes[0] != "1234" {
				t.Errorf("entered %q", codes)
			}
		})
	}
}

// TestWrongCode: the caller is told why.
func TestWrongCode(t *testing.T) {
	o := &owner{enter: func(string) error { return &sipin.Refusal{Code: 403, Reason: "Wrong code", Advice: "Look again."} }}
	r := start(t, o, nil)
	p := newCaller(t, "tcp")
	d, err := p.call(t, r, "tcp", 4000)
	if err != nil {
		t.Fatal(err)
	}
	if status := press(t, d, "text/plain", "1"); status != 415 {
		t.Errorf("a text is answered with %d", status)
	}
	if status := press(t, d, "application/dtmf", "#"); status != 200 {
		t.Errorf("the end of the code is answered with %d", status)
	}
	if reason := wait(t, p.byes); reason != `SIP;cause=403;text="Wrong code; Look again."` {
		t.Errorf("hung up with %s", reason)
	}
	if status := press(t, d, "application/dtmf", "1"); status != 481 {
		t.Errorf("a key after the end is answered with %d", status)
	}
}

// TestRefusedCall: a refusal reaches the caller, and makes room for the next call.
func TestRefusedCall(t *testing.T) {
	o := &owner{call: func(sipin.Request) error { return &sipin.Refusal{Code: 428, Reason: "Use Identity Header"} }}
	r := start(t, o, func(c *sipin.Config) {
		c.Bounds = sipin.DefaultBounds()
		c.Bounds.Calls = 1
	})
	for _, transport := range []string{"udp", "tcp", "udp"} {
		var refused *sipgo.ErrDialogResponse
		if _, err := newCaller(t, transport).call(t, r, transport, 4000); !errors.As(err, &refused) || refused.Res.StatusCode != 428 {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

// TestCallsAreBounded: one call too many is told to come again.
func TestCallsAreBounded(t *testing.T) {
	r := start(t, &owner{}, func(c *sipin.Config) {
		c.Bounds = sipin.DefaultBounds()
		c.Bounds.Calls = 1
	})
	p := newCaller(t, "tcp")
	d, err := p.call(t, r, "tcp", 4000)
	if err != nil {
		t.Fatal(err)
	}
	var refused *sipgo.ErrDialogResponse
	if _, err := newCaller(t, "tcp").call(t, r, "tcp", 4000); !errors.As(err, &refused) || refused.Res.StatusCode != 503 {
		t.Errorf("a second call: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := d.Bye(ctx); err != nil { // the caller hangs up: room again
		t.Fatal(err)
	}
	eventually(t, func() bool {
		d, err := newCaller(t, "tcp").call(t, r, "tcp", 4000)
		return err == nil && d.InviteResponse.StatusCode == 200
	})
}

// TestStopEndsCalls: a server that stops hangs up.
func TestStopEndsCalls(t *testing.T) {
	r := start(t, &owner{}, nil)
	p := newCaller(t, "tcp")
	if _, err := p.call(t, r, "tcp", 4000); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.stop() }()
	if reason := wait(t, p.byes); !strings.Contains(reason, "cause=503") {
		t.Errorf("hung up with %s", reason)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCancel: a caller who gives up while the call is judged is told so.
func TestCancel(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	o := &owner{call: func(sipin.Request) error {
		close(asked)
		<-release
		return nil
	}}
	r := start(t, o, nil)
	c := dialUDP(t, r)
	invite := func(m *raw) {
		m.line = "INVITE sip:box@" + host + " SIP/2.0"
		replace("CSeq", "CSeq: 1 INVITE")(m)
		replace("Content-Type", "Content-Type: application/sdp")(m)
		also("Contact: <sip:bob@192.0.2.1>")(m)
		m.body = sdp(4000)
	}
	if b := ask(t, c, message(invite), 50*time.Millisecond); b != nil {
		t.Fatalf("answered\n%s", b)
	}
	<-asked
	b := ask(t, c, message(func(m *raw) {
		m.line = "CANCEL sip:box@" + host + " SIP/2.0"
		replace("CSeq", "CSeq: 1 CANCEL")(m)
	}), 2*time.Second)
	if b == nil || readAnswer(t, b).status != 200 {
		t.Fatalf("CANCEL is answered\n%s", b)
	}
	close(release)
	if b := listen(t, c, 2*time.Second); b == nil || readAnswer(t, b).status != 487 {
		t.Errorf("INVITE is answered\n%s", b)
	}
}

// TestUnconfirmed: over UDP the answer to a call comes again until there is an
// ACK, and the caller's repetition gets the same one.
func TestUnconfirmed(t *testing.T) {
	r := start(t, &owner{}, nil)
	c := dialUDP(t, r)
	invite := message(func(m *raw) {
		m.line = "INVITE sip:box@" + host + " SIP/2.0"
		replace("CSeq", "CSeq: 1 INVITE")(m)
		replace("Content-Type", "Content-Type: application/sdp")(m)
		also("Contact: <sip:bob@192.0.2.1>")(m)
		m.body = sdp(4000)
	})
	first := ask(t, c, invite, 2*time.Second)
	if first == nil || readAnswer(t, first).status != 200 {
		t.Fatalf("answered\n%s", first)
	}
	for range 2 {
		if again := listen(t, c, 3*time.Second); string(again) != string(first) {
			t.Fatalf("then came\n%s", again)
		}
	}
	to := readAnswer(t, first).fields.Get("To")
	ack := message(func(m *raw) {
		m.line = "ACK sip:box@" + host + " SIP/2.0"
		m.fields[0] = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKack;rport"
		replace("CSeq", "CSeq: 1 ACK")(m)
		replace("To", "To: "+to)(m)
		m.body = ""
	})
	if b := ask(t, c, ack, 2500*time.Millisecond); b != nil {
		t.Errorf("after the ACK came\n%s", b)
	}
	bye := message(func(m *raw) {
		m.line = "BYE sip:box@" + host + " SIP/2.0"
		m.fields[0] = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbye;rport"
		replace("CSeq", "CSeq: 2 BYE")(m)
		replace("To", "To: "+to)(m)
		m.body = ""
	})
	if b := ask(t, c, bye, 2*time.Second); b == nil || readAnswer(t, b).status != 200 {
		t.Errorf("BYE is answered\n%s", b)
	}
}

// TestKeysByRTP: keys that are pressed as telephone events are heard; the
// announcement comes once the caller is heard, and to nobody else.
func TestKeysByRTP(t *testing.T) {
	o := &owner{}
	sound := make([]byte, 1600)
	for i := range sound {
		sound[i] = 0xff
	}
	r := start(t, o, func(c *sipin.Config) { c.Announcement = sound })
	var lc net.ListenConfig
	media, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	stranger, err := lc.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	p := newCaller(t, "tcp")
	d, err := p.call(t, r, "tcp", media.LocalAddr().(*net.UDPAddr).Port)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(d.InviteResponse.Body()), "m=audio ")
	port, _, _ := strings.Cut(line, " ")
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n}
	b := make([]byte, 2048)
	silence := append([]byte{2 << 6, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 99}, make([]byte, 160)...)
	if _, err := media.WriteTo(silence, to); err != nil {
		t.Fatal(err)
	}
	_ = media.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := media.ReadFrom(b); err != nil || n != 172 || b[1] != 8 || b[12] != 0xd5 { // silence in A-law
		t.Errorf("heard %d bytes, %v", n, err)
	}
	for i, key := range []byte{7, 7, 0, 10, 1, 2, 3, 4} { // 10 is the star
		for range 3 {
			packet := make([]byte, 16)
			packet[0], packet[1] = 2<<6, 101
			binary.BigEndian.PutUint32(packet[4:], uint32(i*1000))
			binary.BigEndian.PutUint32(packet[8:], 99)
			packet[12] = key
			if _, err := stranger.WriteTo(packet, to); err != nil { // is not listened to
				t.Fatal(err)
			}
			if _, err := media.WriteTo(packet, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	if reason := wait(t, p.byes); !strings.Contains(reason, "cause=200") {
		t.Errorf("hung up with %s", reason)
	}
	if _, codes := o.seen(); len(codes) != 1 || codes[0] != "1234" {
		t.Errorf("entered %q", codes)
	}
	_ = stranger.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, _, err := stranger.ReadFrom(b); err == nil {
		t.Error("a stranger is played to")
	}
}
