package syntax_test

import (
	"bufio"
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"whither/internal/sipin/syntax"
)

// The requests of RFC 3261 section 24 and RFC 3428 section 10, one with folded
// fields and compact names.
const (
	plain = "MESSAGE sip:user2@domain.example SIP/2.0\r\nVia: SIP/2.0/TCP user1pc.domain.example;branch=z9hG4bK776sgdkse\r\n" +
		"Max-Forwards: 70\r\nFrom: sip:user1@domain.example;tag=49583\r\nTo: sip:user2@domain.example\r\nCall-ID: asd88asd77a@1.2.3.4\r\n" +
		"CSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\nWatson, come here."
	folded = "INVITE sip:bob@biloxi.example SIP/2.0\r\nv: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK77 ,\r\n SIP/2.0/UDP b.example;branch=z9hG4bK78\r\n" +
		"f: \"Alice\" <sip:alice@atlanta.example>;tag=1928301774\r\nt: Bob\r\n\t<sip:bob@biloxi.example>\r\ni: a84b4c76e66710\r\nCSeq: 314159 INVITE\r\n" +
		"m: <sip:alice@pc33.atlanta.example>\r\nc: application/sdp;x=y\r\ny: a.b.c;\r\n info=<https://c.example/>\r\nl: 0\r\n\r\n"
)

func parse(t testing.TB, raw string) *syntax.Message {
	t.Helper()
	m, err := syntax.NewParser().Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParse(t *testing.T) {
	m := parse(t, plain)
	if m.Method != "MESSAGE" || m.Scheme != "sip" || m.User != "user2" || m.Branch != "z9hG4bK776sgdkse" || m.Seq != 1 ||
		m.Tag("from") != "49583" || m.Tag("to") != "" || m.MediaType() != "text/plain" || string(m.Body) != "Watson, come here." {
		t.Errorf("read %+v", m)
	}
	m = parse(t, folded)
	if m.Get("identity") != "a.b.c; info=<https://c.example/>" || m.MediaType() != "application/sdp" || m.Tag("from") != "1928301774" {
		t.Errorf("read %+v", m)
	}
	if target, err := m.Target(); err != nil || target != "sip:alice@pc33.atlanta.example" {
		t.Errorf("Contact is %q, %v", target, err)
	}
	answer := string(m.Answer(404, "Not Found", "ours", []string{"X: y"}, []byte("z")))
	want := "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK77\r\nVia: SIP/2.0/UDP b.example;branch=z9hG4bK78\r\n" +
		"From: \"Alice\" <sip:alice@atlanta.example>;tag=1928301774\r\nTo: Bob <sip:bob@biloxi.example>;tag=ours\r\nCall-ID: a84b4c76e66710\r\n" +
		"CSeq: 314159 INVITE\r\nX: y\r\nContent-Length: 1\r\n\r\nz"
	if answer != want {
		t.Errorf("answered\n%s\nnot\n%s", answer, want)
	}
	r, err := syntax.NewParser().Parse([]byte(answer))
	if err != nil || r.Check() != nil || r.Status != 404 || r.Method != "INVITE" {
		t.Errorf("the answer is read as %+v, %v", r, err)
	}
}

// TestBack: answers go to where a request came from, and to no other address.
func TestBack(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.7:40000")
	for via, want := range map[string]struct{ to, via string }{
		"h.example;branch=z9hG4bKa":                   {"192.0.2.7:5060", "received=192.0.2.7"},
		"h.example:5070;branch=z9hG4bKa":              {"192.0.2.7:5070", "received=192.0.2.7"},
		"198.51.100.1:5070;branch=z9hG4bKa":           {"192.0.2.7:5070", "received=192.0.2.7"},
		"h.example;branch=z9hG4bKa;rport":             {"192.0.2.7:40000", "rport=40000"},
		"h.example;branch=z9hG4bKa;received=10.0.0.1": {"192.0.2.7:5060", "received=192.0.2.7"},
		"h.example;branch=z9hG4bKa;maddr=10.0.0.1":    {"192.0.2.7:5060", "received=192.0.2.7"},
	} {
		m := parse(t, strings.Replace(plain, "TCP user1pc.domain.example;branch=z9hG4bK776sgdkse", "UDP "+via, 1))
		if got := m.Back(from).String(); got != want.to {
			t.Errorf("%s is answered at %s", via, got)
		}
		if answer := string(m.Answer(200, "OK", "", nil, nil)); !strings.Contains(answer, want.via) || strings.Contains(answer, "received=10.0.0.1") {
			t.Errorf("%s: answered\n%s", via, answer)
		}
	}
}

func TestReadMessage(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader(plain+"\r\n"+folded+strings.Replace(plain, "18", "19", 1)), syntax.MaxHead)
	for _, want := range []string{plain, "", folded} {
		if got, err := syntax.ReadMessage(r); err != nil || string(got) != want {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if _, err := syntax.ReadMessage(r); err == nil {
		t.Error("half a message is read")
	}
	for name, test := range map[string]struct {
		raw  string
		want error
	}{
		"no length":       {strings.Replace(plain, "Content-Length: 18\r\n", "", 1), syntax.ErrMalformed},
		"two lengths":     {strings.Replace(plain, "\r\n\r\n", "\r\nl: 18\r\n\r\n", 1), syntax.ErrMalformed},
		"folded length":   {strings.Replace(plain, "Length: 18", "Length:\r\n 18", 1), syntax.ErrMalformed},
		"large length":    {strings.Replace(plain, "18", "99999", 1), syntax.ErrTooLarge},
		"huge length":     {strings.Replace(plain, "18", "99999999999999999999", 1), syntax.ErrMalformed},
		"long line":       {strings.Replace(plain, "70", strings.Repeat("7", syntax.MaxHead), 1), syntax.ErrTooLarge},
		"many long lines": {strings.Replace(plain, "\r\n\r\n", strings.Repeat("\r\nX: "+strings.Repeat("x", 4000), 5)+"\r\n\r\n", 1), syntax.ErrTooLarge},
	} {
		if _, err := syntax.ReadMessage(bufio.NewReaderSize(strings.NewReader(test.raw), syntax.MaxHead)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestOffer(t *testing.T) {
	for name, test := range map[string]struct {
		sdp string
		at  string // empty: refused
	}{
		"plain":                {offer + "m=audio 4000 RTP/AVP 0\r\n", "192.0.2.1:4000"},
		"A-law, lines with LF": {strings.ReplaceAll(offer+"m=audio 4000 RTP/AVP 96 8\r\n", "\r\n", "\n"), "192.0.2.1:4000"},
		"address of the sound": {offer + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\n", "192.0.2.9:4000"},
		"IPv6":                 {strings.ReplaceAll(offer, "IP4 192.0.2.1", "IP6 2001:db8::1") + "m=audio 4000 RTP/AVP 0\r\n", "[2001:db8::1]:4000"},
		"after video":          {offer + "m=video 1 RTP/AVP 96\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 0\r\n", "192.0.2.1:4000"},
		"nothing":              {"", ""},
		"no sound":             {offer + "m=video 4000 RTP/AVP 0\r\n", ""},
		"other sound":          {offer + "m=audio 4000 RTP/AVP 9 18\r\n", ""},
		"encrypted":            {offer + "m=audio 4000 RTP/SAVP 0\r\n", ""},
		"port 0":               {offer + "m=audio 0 RTP/AVP 0\r\n", ""},
		"port too large":       {offer + "m=audio 70000 RTP/AVP 0\r\n", ""},
		"a name for address":   {strings.ReplaceAll(offer, "192.0.2.1", "media.example") + "m=audio 4000 RTP/AVP 0\r\n", ""},
		"address of no family": {strings.ReplaceAll(offer, "IP4", "IP6") + "m=audio 4000 RTP/AVP 0\r\n", ""},
		"no address":           {"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", ""},
		"too many lines":       {offer + strings.Repeat("a=x\r\n", 300) + "m=audio 4000 RTP/AVP 0\r\n", ""},
		"too many media":       {offer + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 20), ""},
	} {
		o, ok := syntax.ParseOffer([]byte(test.sdp))
		if ok != (test.at != "") || ok && o.At.String() != test.at {
			t.Errorf("%s: %v, %s", name, ok, o.At)
		}
	}
	o, _ := syntax.ParseOffer([]byte(offer + "m=video 1 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8 0 100\r\na=rtpmap:100 telephone-event/8000\r\n"))
	want := "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n" +
		"m=audio 5000 RTP/AVP 8 100\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:100 telephone-event/8000\r\na=fmtp:100 0-15\r\na=ptime:20\r\n"
	if got := string(o.Answer("198.51.100.1", 5000)); got != want || o.Law != 8 || o.Events != 100 {
		t.Errorf("answered\n%s", got)
	}
}

func TestKeyOf(t *testing.T) {
	for _, test := range []struct {
		mediaType, body, want string
	}{
		{"application/dtmf", "5", "5"},
		{"application/dtmf", " #\r\n", "#"},
		{"application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"},
		{"application/dtmf-relay", "Duration = 160\nsignal = *", "*"},
		{"application/dtmf", "", ""},
		{"application/dtmf", "55", ""},
		{"application/dtmf", "x", ""},
		{"application/dtmf-relay", "5", ""},
		{"application/dtmf-relay", "Signal=\r\n", ""},
		{"application/dtmf-relay", "Signal=1\r\nSignal=2\r\n", ""},
		{"application/dtmf-relay", "Signal=1" + strings.Repeat(" ", 300), ""},
		{"text/plain", "5", ""},
	} {
		if k, ok := syntax.KeyOf(test.mediaType, []byte(test.body)); ok != (test.want != "") || ok && string(k) != test.want {
			t.Errorf("%s %q: %q, %v", test.mediaType, test.body, k, ok)
		}
	}
}

// FuzzParse: what is read in a datagram is the same message in a stream, its
// answer is a message again, and nothing of it adds a line.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte(folded))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nCall-ID: a\r\nCSeq: 1 BYE\r\nFrom: <sip:a>;tag=b\r\nTo: <sip:a>\r\n\r\n"))
	p := syntax.NewParser()
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, err := syntax.CutDatagram(b)
		if err != nil {
			return
		}
		m, err := p.Parse(bytes.Clone(raw))
		if err != nil || m.Check() != nil {
			return
		}
		if streamed, err := syntax.ReadMessage(bufio.NewReaderSize(bytes.NewReader(b), syntax.MaxHead)); err == nil && streamed != nil && !bytes.Equal(streamed, raw) {
			t.Errorf("in a stream it is %q", streamed)
		}
		answer := m.Answer(400, "Bad Request", "tag", []string{"X: y"}, nil)
		again, err := p.Parse(answer)
		if err != nil || again.Check() != nil || again.Status != 400 || again.Branch != m.Branch || again.Get("x") != "y" {
			t.Errorf("%q is answered with %q, %v", raw, answer, err)
		}
	})
}

func FuzzParseOffer(f *testing.F) {
	f.Add([]byte(offer + "m=video 1 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8 0 100\r\na=rtpmap:100 telephone-event/8000\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, ok := syntax.ParseOffer(b)
		if !ok {
			return
		}
		if !o.At.IsValid() || o.At.Port() == 0 {
			t.Errorf("%q: no address", b)
		}
		answer := o.Answer("192.0.2.1", 5000)
		if again, ok := syntax.ParseOffer(answer); !ok || again.At.String() != "192.0.2.1:5000" || again.Law != o.Law || again.Events != o.Events {
			t.Errorf("%q is answered with %q", b, answer)
		}
	})
}
