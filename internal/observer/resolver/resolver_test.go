package resolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"whither/internal/observer/resolver"
	"whither/internal/world/mailnet"
)

const asked = "s1._domainkey.example.org"

// server answers each question with the messages that a test makes.
type server struct {
	udp *net.UDPConn
	tcp net.Listener
	// answer returns the datagrams, or the one message over TCP.
	answer func(q dnsmessage.Message, udp bool) [][]byte

	mu       sync.Mutex
	overUDP  int
	overTCP  int
	question dnsmessage.Message
}

func serve(t *testing.T, answer func(q dnsmessage.Message, udp bool) [][]byte) *server {
	t.Helper()
	s := &server{answer: answer}
	for range 20 {
		var err error
		if s.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		if s.tcp, err = net.Listen("tcp4", s.udp.LocalAddr().String()); err == nil {
			break
		}
		_ = s.udp.Close()
	}
	var wg sync.WaitGroup
	wg.Go(s.serveUDP)
	wg.Go(s.serveTCP)
	t.Cleanup(func() {
		_ = s.udp.Close()
		_ = s.tcp.Close()
		wg.Wait()
	})
	return s
}

func (s *server) serveUDP() {
	buffer := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFromUDP(buffer)
		if err != nil {
			return
		}
		for _, b := range s.respond(buffer[:n], true) {
			_, _ = s.udp.WriteToUDP(b, from)
		}
	}
}

func (s *server) serveTCP() {
	for {
		c, err := s.tcp.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err == nil {
			query := make([]byte, binary.BigEndian.Uint16(length[:]))
			if _, err := io.ReadFull(c, query); err == nil {
				for _, b := range s.respond(query, false) {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
				}
			}
		}
		_ = c.Close()
	}
}

func (s *server) respond(query []byte, udp bool) [][]byte {
	var q dnsmessage.Message
	if q.Unpack(query) != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if udp {
		s.overUDP++
	} else {
		s.overTCP++
	}
	s.question = q
	return s.answer(q, udp)
}

// asked returns how often it was asked, and the last question.
func (s *server) asked() (overUDP, overTCP int, last dnsmessage.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.overUDP, s.overTCP, s.question
}

func (s *server) client(t *testing.T) *resolver.Client {
	t.Helper()
	c, err := resolver.New(s.udp.LocalAddr().String(), false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reply is a good answer without records, for tests to bend.
func reply(q dnsmessage.Message) dnsmessage.Message {
	return dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: q.Questions,
	}
}

func record(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name + "."), Class: dnsmessage.ClassINET, TTL: 60}, Body: body}
}

func txt(name string, parts ...string) dnsmessage.Resource {
	return record(name, &dnsmessage.TXTResource{TXT: parts})
}

func cname(name, target string) dnsmessage.Resource {
	return record(name, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target + ".")})
}

func pack(t testing.TB, m dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// chain returns n aliases from the name asked for, and the name that they end at.
func chain(n int) ([]dnsmessage.Resource, string) {
	var out []dnsmessage.Resource
	at := asked
	for i := range n {
		next := fmt.Sprintf("c%d.example.net", i)
		out = append(out, cname(at, next))
		at = next
	}
	return out, at
}

func edns(code dnsmessage.RCode) dnsmessage.Resource {
	var h dnsmessage.ResourceHeader
	if err := h.SetEDNS0(1232, code, true); err != nil {
		panic(err)
	}
	return dnsmessage.Resource{Header: h, Body: &dnsmessage.OPTResource{}}
}

type answerCase struct {
	name   string
	bend   func(*dnsmessage.Message)
	texts  []string
	secure bool
	expect error
}

// answerCases are what resolvers answer, well and badly.
func answerCases() []answerCase {
	return slices.Concat(goodAnswers(), badAnswers())
}

func goodAnswers() []answerCase {
	return []answerCase{
		{"one record", func(m *dnsmessage.Message) { m.Answers = []dnsmessage.Resource{txt(asked, "v=DKIM1; ", "p=x")} }, []string{"v=DKIM1; p=x"}, false, nil},
		{"validated", func(m *dnsmessage.Message) {
			m.AuthenticData = true
			m.Answers = []dnsmessage.Resource{txt(asked, "one")}
			m.Additionals = []dnsmessage.Resource{edns(0)}
		}, []string{"one"}, true, nil},
		{"several records", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt(asked, "one"), txt(asked, "two"), txt(asked, "one")}
		}, []string{"one", "two", "one"}, false, nil},
		{"in capitals", func(m *dnsmessage.Message) {
			m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName(strings.ToUpper(asked) + "."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}
			m.Answers = []dnsmessage.Resource{txt("S1._DOMAINKEY.Example.Org", "one")}
		}, []string{"one"}, false, nil},
		{"alias", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{cname(asked, "K.Example.net"), txt("k.example.net", "one")}
		}, []string{"one"}, false, nil},
		{"alias behind its record, doubled", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt("k.example.net", "one"), cname(asked, "k.example.net"), cname(asked, "k.example.net")}
		}, []string{"one"}, false, nil},
		{"as many aliases as are followed", func(m *dnsmessage.Message) {
			aliases, end := chain(resolver.MaxChain)
			m.Answers = append(aliases, txt(end, "one"))
		}, []string{"one"}, false, nil},
		{"records of others beside", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt("s2._domainkey.example.org", "other"), txt(asked, "one"), record(asked, &dnsmessage.AResource{})}
		}, []string{"one"}, false, nil},
		{"record of another class beside", func(m *dnsmessage.Message) {
			chaos := txt(asked, "other")
			chaos.Header.Class = dnsmessage.ClassCHAOS
			m.Answers = []dnsmessage.Resource{chaos, txt(asked, "one")}
		}, []string{"one"}, false, nil},
		{"empty text", func(m *dnsmessage.Message) { m.Answers = []dnsmessage.Resource{txt(asked, "")} }, []string{""}, false, nil},
	}
}

func badAnswers() []answerCase {
	return []answerCase{
		{"no such name", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }, nil, false, resolver.ErrNoRecord},
		{"no such name behind an alias", func(m *dnsmessage.Message) {
			m.RCode = dnsmessage.RCodeNameError
			m.Answers = []dnsmessage.Resource{cname(asked, "k.example.net")}
		}, nil, false, resolver.ErrNoRecord},
		{"no such type", func(*dnsmessage.Message) {}, nil, false, resolver.ErrNoRecord},
		{"alias to nothing", func(m *dnsmessage.Message) { m.Answers = []dnsmessage.Resource{cname(asked, "k.example.net")} }, nil, false, resolver.ErrNoRecord},
		{"records of others alone", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt("s2._domainkey.example.org", "other")}
		}, nil, false, resolver.ErrNoRecord},
		{"the Kelvin sign is no k", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt("s1._domain\u212aey.example.org", "other")}
		}, nil, false, resolver.ErrNoRecord},
		{"bogus, or trouble", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }, nil, false, resolver.ErrFailed},
		{"trouble with records", func(m *dnsmessage.Message) {
			m.RCode = dnsmessage.RCodeServerFailure
			m.Answers = []dnsmessage.Resource{txt(asked, "one")}
		}, nil, false, resolver.ErrFailed},
		{"refused", func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused }, nil, false, resolver.ErrFailed},
		{"bad version, which looks like success in four bits", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt(asked, "one")}
			m.Additionals = []dnsmessage.Resource{edns(16)}
		}, nil, false, resolver.ErrFailed},
		{"two OPT records", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{txt(asked, "one")}
			m.Additionals = []dnsmessage.Resource{edns(0), edns(0)}
		}, nil, false, resolver.ErrMalformed},
		{"alias with records of its own", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{cname(asked, "k.example.net"), txt("k.example.net", "one"), txt(asked, "two")}
		}, nil, false, resolver.ErrMalformed},
		{"two aliases", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{cname(asked, "k.example.net"), cname(asked, "l.example.net"), txt("k.example.net", "one")}
		}, nil, false, resolver.ErrMalformed},
		{"circle of aliases", func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{cname(asked, "k.example.net"), cname("k.example.net", asked)}
		}, nil, false, resolver.ErrMalformed},
		{"too many aliases", func(m *dnsmessage.Message) {
			aliases, end := chain(resolver.MaxChain + 1)
			m.Answers = append(aliases, txt(end, "one"))
		}, nil, false, resolver.ErrMalformed},
		{"too many records", func(m *dnsmessage.Message) {
			for range 513 {
				m.Answers = append(m.Answers, txt(asked, "one"))
			}
		}, nil, false, resolver.ErrMalformed},
	}
}

// TestAnswers has each answer come over TCP, where it may be of any size, and
// once more over UDP where it fits.
func TestAnswers(t *testing.T) {
	for _, c := range answerCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, viaTCP := range []bool{true, false} {
				s := serve(t, func(q dnsmessage.Message, udp bool) [][]byte {
					m := reply(q)
					c.bend(&m)
					b := pack(t, m)
					if udp && (viaTCP || len(b) > 1232) {
						m = reply(q)
						m.Truncated = true
						b = pack(t, m)
					}
					return [][]byte{b}
				})
				got, err := s.client(t).TXT(t.Context(), asked)
				if !errors.Is(err, c.expect) || !slices.Equal(got.Texts, c.texts) || got.Authentic != c.secure {
					t.Errorf("over TCP %t: %+v, %v", viaTCP, got, err)
				}
				if err != nil && strings.Contains(err.Error(), "example") {
					t.Errorf("the error names the domain: %v", err)
				}
				overUDP, overTCP, _ := s.asked()
				// A malformed answer over UDP may be a stranger's: it is asked for over TCP.
				if want := viaTCP || errors.Is(err, resolver.ErrMalformed); want != (overTCP == 1) || overUDP != 1 {
					t.Errorf("asked %d times over UDP, %d over TCP", overUDP, overTCP)
				}
			}
		})
	}
}

// TestQuestion: what is asked.
func TestQuestion(t *testing.T) {
	s := serve(t, func(q dnsmessage.Message, _ bool) [][]byte {
		m := reply(q)
		m.Answers = []dnsmessage.Resource{txt(asked, "one")}
		return [][]byte{pack(t, m)}
	})
	ids := make(map[uint16]bool)
	for range 8 {
		if _, err := s.client(t).TXT(t.Context(), asked+"."); err != nil {
			t.Fatal(err)
		}
		_, _, last := s.asked()
		ids[last.ID] = true
	}
	_, _, q := s.asked()
	if !q.RecursionDesired || !q.AuthenticData || q.CheckingDisabled || len(q.Questions) != 1 || len(q.Additionals) != 1 ||
		!q.Additionals[0].Header.DNSSECAllowed() || q.Additionals[0].Header.Class != 1232 {
		t.Errorf("asked %+v", q)
	}
	if len(ids) < 7 {
		t.Errorf("ids of eight questions: %v", ids)
	}
}

// TestStrangers: datagrams that are no answer to the question are passed over,
// and the answer behind them counts.
func TestStrangers(t *testing.T) {
	for name, bend := range map[string]func(*dnsmessage.Message){
		"another id": func(m *dnsmessage.Message) { m.ID++ },
		"a question": func(m *dnsmessage.Message) { m.Response = false },
		"another name": func(m *dnsmessage.Message) {
			m.Questions[0].Name = dnsmessage.MustNewName("s2._domainkey.example.org.")
		},
		"another type":   func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeA },
		"another class":  func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS },
		"no question":    func(m *dnsmessage.Message) { m.Questions = nil },
		"two questions":  func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) },
		"another opcode": func(m *dnsmessage.Message) { m.OpCode = 4 },
		"larger than told": func(m *dnsmessage.Message) {
			m.Answers = append(m.Answers, txt(asked, slices.Repeat([]string{strings.Repeat("x", 250)}, 5)...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(q dnsmessage.Message, _ bool) [][]byte {
				good := reply(q)
				good.Answers = []dnsmessage.Resource{txt(asked, "one")}
				bad := reply(q)
				bad.Questions = slices.Clone(q.Questions)
				bad.Answers = []dnsmessage.Resource{txt(asked, "forged")}
				bend(&bad)
				return [][]byte{pack(t, bad), []byte("noise"), pack(t, good)}
			})
			got, err := s.client(t).TXT(t.Context(), asked)
			if err != nil || !slices.Equal(got.Texts, []string{"one"}) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestSilence: a resolver that says nothing, or breaks off, is no verdict on the
// name; who asked can go away.
func TestSilence(t *testing.T) {
	s := serve(t, func(dnsmessage.Message, bool) [][]byte { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.client(t).TXT(ctx, asked); !errors.Is(err, resolver.ErrUnreachable) {
		t.Errorf("silence: %v", err)
	}
	s = serve(t, func(q dnsmessage.Message, udp bool) [][]byte {
		m := reply(q)
		m.Truncated = true
		if !udp { // again cut short
			return [][]byte{pack(t, m)}
		}
		return [][]byte{pack(t, m)}
	})
	if _, err := s.client(t).TXT(t.Context(), asked); !errors.Is(err, resolver.ErrMalformed) {
		t.Errorf("cut short over TCP: %v", err)
	}
	s = serve(t, func(q dnsmessage.Message, udp bool) [][]byte {
		if !udp {
			return nil // closes
		}
		m := reply(q)
		m.Truncated = true
		return [][]byte{pack(t, m)}
	})
	if _, err := s.client(t).TXT(t.Context(), asked); !errors.Is(err, resolver.ErrUnreachable) {
		t.Errorf("closed over TCP: %v", err)
	}
}

func TestNames(t *testing.T) {
	s := serve(t, func(dnsmessage.Message, bool) [][]byte { return nil })
	for _, name := range []string{"", "..", ".example.org", "a..example.org", "a b.example.org", "\x00.example.org", "bücher.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 130)} {
		if _, err := s.client(t).TXT(t.Context(), name); !errors.Is(err, resolver.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, address := range []string{"", "127.0.0.1", "localhost:53", "127.0.0.1:0", "127.0.0.1:70000"} {
		if _, err := resolver.New(address, false); !errors.Is(err, resolver.ErrAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// TestWorldsNameServer: the name server of the world, which does not validate.
func TestWorldsNameServer(t *testing.T) {
	d, err := mailnet.StartDNS()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	long := strings.Repeat("long text ", 300)
	d.SetTXT(asked, long)
	c, err := resolver.New(d.Addr(), false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.TXT(t.Context(), asked); err != nil || !slices.Equal(got.Texts, []string{long}) || got.Authentic {
		t.Errorf("%v, %v", got, err)
	}
	if ok, err := c.Validates(t.Context(), "."); ok || err != nil {
		t.Errorf("it validates: %t, %v", ok, err)
	}
	d.Remove(asked)
	if _, err := c.TXT(t.Context(), asked); !errors.Is(err, resolver.ErrNoRecord) {
		t.Errorf("removed: %v", err)
	}
	d.SetFault("", mailnet.Fault{ServFail: true})
	if _, err := c.Validates(t.Context(), "."); !errors.Is(err, resolver.ErrFailed) {
		t.Errorf("failing: %v", err)
	}
}

// FuzzParse: an answer that is read is one to the question, has an end, and says
// what another reader of DNS messages finds in it.
func FuzzParse(f *testing.F) {
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(asked + "."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}},
	}
	for _, c := range answerCases() {
		m := reply(q)
		c.bend(&m)
		f.Add(pack(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		texts, authentic, err := resolver.ParseAnswer(7, asked, b)
		if err != nil {
			if strings.Contains(err.Error(), "example") {
				t.Errorf("the error quotes the answer: %v", err)
			}
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(b); err != nil {
			return // a record that we pass over is broken inside
		}
		if !m.Response || m.ID != 7 || m.Truncated || m.RCode != 0 || authentic != m.AuthenticData || len(m.Questions) != 1 {
			t.Errorf("read %+v", m.Header)
		}
		var all []string
		for _, r := range m.Answers {
			if body, ok := r.Body.(*dnsmessage.TXTResource); ok {
				all = append(all, strings.Join(body.TXT, ""))
			}
		}
		for _, text := range texts {
			if !slices.Contains(all, text) {
				t.Errorf("%q is not in the answer", text)
			}
		}
	})
}
