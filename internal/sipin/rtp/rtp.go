// Package rtp is the sound of one call (RFC 3550), as far as a prover needs it:
// it hears which keys the caller presses (RFC 4733) and plays one recording in
// G.711. It understands no speech and records nothing.
//
// It promises to take packets only from the address and port that the caller's
// offer names, of one source; to report a key once, however often its packets
// are repeated; and to send nothing before a packet came from that address, so
// that an offer with somebody else's address makes no noise there.
//
// It does not encrypt: RTP is as safe as the network between here and the
// carrier. Whoever can forge packets from the carrier's media gateway, knowing
// both ports, can press keys in a call. It still is a call from the number, and
// the code one of two shares.
package rtp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	headerSize = 12
	eventSize  = 4
	frame      = 160 // samples, and bytes of G.711, in 20 ms
	frameTime  = 20 * time.Millisecond
	maxPacket  = 2048
)

// Config is what a session is opened with.
type Config struct {
	Local  string         // address to receive at
	Remote netip.AddrPort // where the caller's sound comes from
	Law    uint8          // payload type of the sound: 0 = µ-law, 8 = A-law
	Events uint8          // payload type of keys; 0: none come
	Sound  []byte         // µ-law; it is played once
}

// Session is the sound of one call.
type Session struct {
	config Config
	conn   *net.UDPConn
	keys   chan byte
	heard  chan struct{} // closed at the first packet
	done   sync.WaitGroup
	stop   context.CancelFunc
}

// Open opens the socket of a call.
func Open(ctx context.Context, c Config) (*Session, error) {
	var lc net.ListenConfig
	p, err := lc.ListenPacket(ctx, "udp", net.JoinHostPort(c.Local, "0"))
	if err != nil {
		return nil, fmt.Errorf("rtp: %w", err)
	}
	conn, ok := p.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(errors.New("rtp: no UDP socket"), p.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Session{config: c, conn: conn, keys: make(chan byte, 32), heard: make(chan struct{}), stop: stop}
	s.done.Go(s.listen)
	s.done.Go(func() { s.play(running) })
	return s, nil
}

// Port is where the caller's sound goes.
func (s *Session) Port() uint16 { return netip.MustParseAddrPort(s.conn.LocalAddr().String()).Port() }

// Keys are the keys that are pressed. Who does not read them loses those beyond
// the first few.
func (s *Session) Keys() <-chan byte { return s.keys }

// Close ends the session.
func (s *Session) Close() {
	s.stop()
	_ = s.conn.Close()
	s.done.Wait()
}

// listen reads packets until the socket is closed.
func (s *Session) listen() {
	b := make([]byte, maxPacket)
	var r Receiver
	first := true
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != s.config.Remote {
			continue
		}
		key, pressed, ok := r.Packet(b[:n], s.config.Events)
		if ok && first {
			first = false
			close(s.heard)
		}
		if pressed {
			select {
			case s.keys <- key:
			default:
			}
		}
	}
}

// Receiver reads the packets of one source.
type Receiver struct {
	source uint32
	known  bool
	last   uint32 // timestamp of the last key
	any    bool
}

// Packet reads one packet. ok says that it is of this session; pressed, that it
// is the first of a new key: all packets of one key have its timestamp.
func (r *Receiver) Packet(b []byte, events uint8) (key byte, pressed, ok bool) {
	payload, kind, stamp, source, ok := parse(b)
	if !ok || r.known && source != r.source {
		return 0, false, false
	}
	r.source, r.known = source, true
	if events == 0 || kind != events {
		return 0, false, true
	}
	if len(payload) != eventSize || payload[0] > 15 || r.any && stamp == r.last {
		return 0, false, true
	}
	// A packet that was overtaken belongs to a key that has been reported.
	if r.any && int32(stamp-r.last) < 0 { // the comparison of RFC 1982
		return 0, false, true
	}
	r.last, r.any = stamp, true
	return "0123456789*#ABCD"[payload[0]], true, true
}

// parse reads the fixed header (RFC 3550 section 5.1) and what stands behind it.
func parse(b []byte) (payload []byte, kind uint8, stamp, source uint32, ok bool) {
	if len(b) < headerSize || b[0]>>6 != 2 {
		return nil, 0, 0, 0, false
	}
	at := headerSize + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 { // an extension
		if len(b) < at+4 {
			return nil, 0, 0, 0, false
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	end := len(b)
	if b[0]&0x20 != 0 { // padding
		end -= int(b[len(b)-1])
	}
	if at > end {
		return nil, 0, 0, 0, false
	}
	return b[at:end], b[1] & 0x7f, binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), true
}

// play sends the recording once the caller has been heard.
func (s *Session) play(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.heard:
	}
	t := time.NewTicker(frameTime)
	defer t.Stop()
	packet := make([]byte, headerSize+frame)
	packet[0], packet[1] = 2<<6, s.config.Law
	binary.BigEndian.PutUint32(packet[8:], 1) // one source here, in its own session
	for n := 0; (n+1)*frame <= len(s.config.Sound); n++ {
		binary.BigEndian.PutUint16(packet[2:], uint16(n))
		binary.BigEndian.PutUint32(packet[4:], uint32(n*frame)) //nolint:gosec // timestamps wrap
		for i, u := range s.config.Sound[n*frame : (n+1)*frame] {
			if packet[headerSize+i] = u; s.config.Law == 8 {
				packet[headerSize+i] = aLaw(u)
			}
		}
		if _, err := s.conn.WriteToUDPAddrPort(packet, s.config.Remote); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// aLaw turns a sample in µ-law into A-law (ITU-T G.711), by way of 14 and 13 bits.
func aLaw(u byte) byte {
	u = ^u
	magnitude := ((int(u&0x0f)<<1 + 33) << (u >> 4 & 7)) - 33
	magnitude >>= 1
	code := magnitude & 0x1f >> 1
	if magnitude >= 32 {
		segment := 1
		for magnitude>>segment >= 32 {
			segment++
		}
		code = segment<<4 | magnitude>>segment&0x0f
	}
	a := byte(code)
	if u&0x80 == 0 { // positive
		a |= 0x80
	}
	return a ^ 0x55
}
