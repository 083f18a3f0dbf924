package mailnet_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"whither/internal/world/mailnet"
)

func itoa(n int) string { return strconv.Itoa(n) }

func startDNS(t *testing.T) *mailnet.DNS {
	t.Helper()
	d, err := mailnet.StartDNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

func TestDNS(t *testing.T) {
	d := startDNS(t)
	r := d.Resolver()
	long := strings.Repeat("long text ", 300) // more than a UDP answer holds
	d.SetTXT("A.Example.org", "one", long)
	d.SetMX("example.org", "mx1.example.org", "mx2.example.org.")
	d.SetA("mx1.example.org", net.ParseIP("127.0.0.1"), net.ParseIP("127.0.0.2"))

	texts, err := r.LookupTXT(bounded(t), "a.example.ORG.")
	if err != nil || !slices.Equal(texts, []string{"one", long}) {
		t.Errorf("TXT: %d, %v", len(texts), err)
	}
	mx, err := r.LookupMX(bounded(t), "example.org.")
	if err != nil || len(mx) != 2 || mx[0].Host != "mx1.example.org." || mx[1].Host != "mx2.example.org." {
		t.Errorf("MX: %v, %v", mx, err)
	}
	hosts, err := r.LookupHost(bounded(t), "mx1.example.org.")
	if slices.Sort(hosts); err != nil || !slices.Equal(hosts, []string{"127.0.0.1", "127.0.0.2"}) {
		t.Errorf("A: %v, %v", hosts, err)
	}
	for name, find := range map[string]func() error{
		"no such name":      func() error { _, err := r.LookupTXT(bounded(t), "b.example.org."); return err },
		"no such type":      func() error { _, err := r.LookupTXT(bounded(t), "example.org."); return err },
		"empty above names": func() error { _, err := r.LookupTXT(bounded(t), "org."); return err },
	} {
		if err := find(); !notFound(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d.Asked("B.example.org.") != 1 {
		t.Errorf("asked %d times", d.Asked("b.example.org"))
	}
	d.SetTXT("a.example.org", "two")
	if texts, err := r.LookupTXT(bounded(t), "a.example.org."); err != nil || !slices.Equal(texts, []string{"two"}) {
		t.Errorf("changed TXT: %v, %v", texts, err)
	}
	d.SetTXT("a.example.org")
	if _, err := r.LookupTXT(bounded(t), "a.example.org."); !notFound(err) {
		t.Errorf("removed TXT: %v", err)
	}
	d.Remove("example.org")
	if _, err := r.LookupMX(bounded(t), "example.org."); !notFound(err) {
		t.Errorf("removed name: %v", err)
	}
}

func TestDNSFaults(t *testing.T) {
	d := startDNS(t)
	d.SetTXT("a.example.org", "one")
	look := func(patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := d.Resolver().LookupTXT(ctx, "a.example.org.")
		return err
	}
	var e *net.DNSError
	d.SetFault("", mailnet.Fault{ServFail: true})
	if err := look(10 * time.Second); !errors.As(err, &e) || e.IsNotFound || !e.IsTemporary {
		t.Errorf("SERVFAIL: %v", err)
	}
	d.SetFault("a.example.org", mailnet.Fault{Drop: true})
	if err := look(50 * time.Millisecond); !errors.As(err, &e) || !e.IsTimeout {
		t.Errorf("drop: %v", err)
	}
	d.SetFault("a.example.org", mailnet.Fault{Delay: 60 * time.Millisecond})
	begun := time.Now()
	if err := look(10 * time.Second); err != nil || time.Since(begun) < 60*time.Millisecond {
		t.Errorf("delay: %v after %v", err, time.Since(begun))
	}
	d.SetFault("a.example.org", mailnet.Fault{})
	if err := look(10 * time.Second); err != nil {
		t.Errorf("healed: %v", err)
	}
	d.SetFault("a.example.org", mailnet.Fault{Delay: time.Hour})
	_ = look(20 * time.Millisecond) // Close must not wait for this answer
}

// TestDNSTruncates asks without EDNS, as old resolvers do, and then by TCP.
func TestDNSTruncates(t *testing.T) {
	d := startDNS(t)
	long := strings.Repeat("x", 600)
	d.SetTXT("a.example.org", long)
	name := dnsmessage.MustNewName("a.example.org.")
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}},
	}
	query, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"udp", "tcp"} {
		conn, err := net.DialTimeout(network, d.Addr(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if network == "udp" {
			_, _ = conn.Write([]byte("no question")) // gets no answer
		}
		buffer := make([]byte, 2048)
		var answer dnsmessage.Message
		if network == "tcp" {
			_, err = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...))
		} else {
			_, err = conn.Write(query)
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		packed := buffer[:n]
		if network == "tcp" {
			packed = packed[2:]
		}
		if err := answer.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		if network == "udp" && (!answer.Truncated || len(answer.Answers) != 0 || answer.ID != 7) {
			t.Errorf("udp: %+v", answer)
		}
		if network == "tcp" && (answer.Truncated || len(answer.Answers) != 1) {
			t.Errorf("tcp: %+v", answer)
		}
	}
}

// TestDNSSigned: what is in a zone that counts as signed is authentic, trouble is
// not, and the root is no other zone.
func TestDNSSigned(t *testing.T) {
	d := startDNS(t)
	d.SetSigned(".", "Example.org")
	d.SetTXT("a.example.org", "one")
	d.SetTXT("aexample.org", "two")
	authentic := func(name string) bool {
		t.Helper()
		m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}}
		query, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.DialTimeout("udp", d.Addr(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write(query)
		buffer := make([]byte, 512)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		var answer dnsmessage.Message
		if err := answer.Unpack(buffer[:n]); err != nil {
			t.Fatal(err)
		}
		return answer.AuthenticData
	}
	for name, want := range map[string]bool{".": true, "a.example.org.": true, "b.example.ORG.": true, "example.org.": true, "aexample.org.": false, "org.": false} {
		if authentic(name) != want {
			t.Errorf("%s: authentic %t", name, !want)
		}
	}
	d.SetFault("a.example.org", mailnet.Fault{ServFail: true})
	if authentic("a.example.org.") {
		t.Error("trouble is authentic")
	}
	d.SetSigned()
	if authentic(".") {
		t.Error("no zone is signed any more")
	}
}
