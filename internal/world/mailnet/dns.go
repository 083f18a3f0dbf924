package mailnet

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
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// DNS is an authoritative name server for the whole world, over UDP and TCP.
type DNS struct {
	udp *net.UDPConn
	tcp net.Listener

	stop sync.Once
	done chan struct{} // closed when the server stops
	wg   sync.WaitGroup

	mu     sync.Mutex
	zone   map[string]map[dnsmessage.Type][]dnsmessage.ResourceBody // by lower-case name without last dot
	faults map[string]Fault
	conns  map[net.Conn]struct{}
	asked  map[string]int
	signed map[string]bool // zones that count as signed
}

// Fault is what is wrong with the answers for a name. The zero value is
// nothing.
type Fault struct {
	ServFail bool          // answer with SERVFAIL
	Drop     bool          // do not answer
	Delay    time.Duration // answer later
}

// Bounds of the server.
const (
	ttl         = 60               // seconds; resolvers here do not cache
	classicUDP  = 512              // bytes of a UDP answer without EDNS (RFC 1035)
	portTries   = 20               // for one port that is free for UDP and TCP
	tcpPatience = 10 * time.Second // for the next question on a connection
)

// StartDNS starts a server with an empty zone.
func StartDNS() (*DNS, error) { return startDNS(loopback, 0) }

// startDNS is StartDNS at an address of loopback, at any free port if it is zero.
func startDNS(address string, port int) (*DNS, error) {
	d := &DNS{
		zone: make(map[string]map[dnsmessage.Type][]dnsmessage.ResourceBody), faults: make(map[string]Fault),
		conns: make(map[net.Conn]struct{}), asked: make(map[string]int), signed: make(map[string]bool),
		done: make(chan struct{}),
	}
	if err := d.listen(address, port); err != nil {
		return nil, err
	}
	d.wg.Add(2)
	go d.serveUDP()
	go d.serveTCP()
	return d, nil
}

// listen finds a port that is free for both, or takes the given one.
func (d *DNS) listen(address string, port int) error {
	var listener net.ListenConfig
	var err error
	for range portTries {
		if d.udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(address), Port: port}); err != nil {
			return fmt.Errorf("mailnet: %w", err)
		}
		if d.tcp, err = listener.Listen(context.Background(), "tcp4", d.udp.LocalAddr().String()); err == nil {
			return nil
		}
		_ = d.udp.Close() // somebody has this port for TCP
	}
	return fmt.Errorf("mailnet: %w", err)
}

// Addr returns the server's address, host:port, of UDP and TCP.
func (d *DNS) Addr() string { return d.udp.LocalAddr().String() }

// Resolver returns a resolver that asks this server. Names given to it should
// end in a dot, or the machine's search list is tried as well.
func (d *DNS) Resolver() *net.Resolver {
	var dialer net.Dialer
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, d.Addr())
	}}
}

// Close stops the server and waits for it.
func (d *DNS) Close() error {
	d.stop.Do(func() { close(d.done) })
	err := errors.Join(d.udp.Close(), d.tcp.Close())
	d.mu.Lock()
	for c := range d.conns {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // closed twice
	}
	return err
}

// SetTXT publishes one TXT record a text at name, in place of what was there.
func (d *DNS) SetTXT(name string, texts ...string) {
	var bodies []dnsmessage.ResourceBody
	for _, text := range texts {
		record := &dnsmessage.TXTResource{}
		for chunk := range slices.Chunk([]byte(text), 255) { // the bound of one string
			record.TXT = append(record.TXT, string(chunk))
		}
		bodies = append(bodies, record)
	}
	d.set(name, dnsmessage.TypeTXT, bodies)
}

// SetMX publishes mail servers in the order of preference.
func (d *DNS) SetMX(name string, hosts ...string) {
	var bodies []dnsmessage.ResourceBody
	for i, host := range hosts {
		target, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
		if err == nil { // too long a host can be nobody's
			bodies = append(bodies, &dnsmessage.MXResource{Pref: uint16(10 * i), MX: target})
		}
	}
	d.set(name, dnsmessage.TypeMX, bodies)
}

// SetA publishes IPv4 addresses.
func (d *DNS) SetA(name string, addresses ...net.IP) {
	var bodies []dnsmessage.ResourceBody
	for _, ip := range addresses {
		if v4 := ip.To4(); v4 != nil {
			bodies = append(bodies, &dnsmessage.AResource{A: [4]byte(v4)})
		}
	}
	d.set(name, dnsmessage.TypeA, bodies)
}

// Remove withdraws everything at name.
func (d *DNS) Remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.zone, canonicalName(name))
}

// SetFault sets what is wrong with the answers for name; "" stands for every
// name that has no fault of its own.
func (d *DNS) SetFault(name string, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[canonicalName(name)] = f
}

// SetSigned makes the server speak as a validating resolver does of zones that
// are signed: what it says of these names and those below is authentic (RFC 4035
// section 3.2.3), and of no others. The root, ".", stands for itself alone.
func (d *DNS) SetSigned(zones ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.signed)
	for _, zone := range zones {
		d.signed[canonicalName(zone)] = true
	}
}

// authentic reports whether a name is in a zone that counts as signed.
func (d *DNS) authentic(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = canonicalName(name)
	for more := true; more; {
		if d.signed[name] {
			return true
		}
		_, name, more = strings.Cut(name, ".")
	}
	return false
}

// Asked returns how many questions for name have come in.
func (d *DNS) Asked(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[canonicalName(name)]
}

func canonicalName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

func (d *DNS) set(name string, kind dnsmessage.Type, bodies []dnsmessage.ResourceBody) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name = canonicalName(name)
	if d.zone[name] == nil {
		d.zone[name] = make(map[dnsmessage.Type][]dnsmessage.ResourceBody)
	}
	d.zone[name][kind] = bodies
	if len(bodies) == 0 {
		delete(d.zone[name], kind)
	}
	if len(d.zone[name]) == 0 {
		delete(d.zone, name)
	}
}

func (d *DNS) serveUDP() {
	defer d.wg.Done()
	buffer := make([]byte, 64<<10)
	for {
		n, from, err := d.udp.ReadFromUDP(buffer)
		if err != nil {
			return // closed
		}
		query := slices.Clone(buffer[:n])
		d.wg.Go(func() {
			if answer := d.answer(query, true); answer != nil {
				_, _ = d.udp.WriteToUDP(answer, from)
			}
		})
	}
}

func (d *DNS) serveTCP() {
	defer d.wg.Done()
	for {
		conn, err := d.tcp.Accept()
		if err != nil {
			return // closed
		}
		d.mu.Lock()
		d.conns[conn] = struct{}{}
		d.mu.Unlock()
		d.wg.Go(func() {
			d.converse(conn)
			_ = conn.Close()
			d.mu.Lock()
			delete(d.conns, conn)
			d.mu.Unlock()
		})
		select {
		case <-d.done:
			_ = conn.Close() // Close may have missed it
		default:
		}
	}
}

// converse answers the questions on one connection, each behind two bytes of
// length.
func (d *DNS) converse(conn net.Conn) {
	for {
		if err := conn.SetDeadline(time.Now().Add(tcpPatience)); err != nil { //nolint:forbidigo // deadline of a socket
			return
		}
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := d.answer(query, false)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer returns the answer to a query, nil for none.
func (d *DNS) answer(query []byte, udp bool) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	found, code, fault := d.look(q)
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-d.done:
			return nil
		}
	}
	if fault.Drop {
		return nil
	}
	if fault.ServFail {
		found, code = nil, dnsmessage.RCodeServerFailure
	}
	header.AuthenticData = d.authentic(q.Name.String()) && !fault.ServFail
	answer := compose(header, q, found, code, false)
	if udp && len(answer) > udpSize(&p) {
		return compose(header, q, nil, code, true)
	}
	return answer
}

// look finds the records that a question asks for.
func (d *DNS) look(q dnsmessage.Question) ([]dnsmessage.ResourceBody, dnsmessage.RCode, Fault) {
	name := canonicalName(q.Name.String())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[name]++
	fault, ok := d.faults[name]
	if !ok {
		fault = d.faults[""]
	}
	if records, ok := d.zone[name]; ok {
		return records[q.Type], dnsmessage.RCodeSuccess, fault
	}
	if name == "" { // the root
		return nil, dnsmessage.RCodeSuccess, fault
	}
	for below := range d.zone { // RFC 8020: a name above others exists
		if strings.HasSuffix(below, "."+name) {
			return nil, dnsmessage.RCodeSuccess, fault
		}
	}
	return nil, dnsmessage.RCodeNameError, fault
}

// udpSize returns how large an answer the client takes (RFC 6891), after the
// question has been read.
func udpSize(p *dnsmessage.Parser) int {
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return classicUDP
	}
	for {
		header, err := p.AdditionalHeader()
		if err != nil {
			return classicUDP
		}
		if header.Type == dnsmessage.TypeOPT {
			return max(classicUDP, int(header.Class))
		}
		if p.SkipAdditional() != nil {
			return classicUDP
		}
	}
}

// compose packs an answer; nil if it cannot be packed.
func compose(h dnsmessage.Header, q dnsmessage.Question, bodies []dnsmessage.ResourceBody, code dnsmessage.RCode, truncated bool) []byte {
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: h.ID, Response: true, OpCode: h.OpCode, Authoritative: true, RecursionDesired: h.RecursionDesired,
			RecursionAvailable: true, AuthenticData: h.AuthenticData, Truncated: truncated, RCode: code,
		},
		Questions: []dnsmessage.Question{q},
	}
	for _, body := range bodies {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body,
		})
	}
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
