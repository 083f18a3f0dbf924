package rtp_test

import (
	"encoding/binary"
	"testing"

	"whither/internal/sipin/rtp"
)

// packet is an RTP packet with a telephone event.
func packet(stamp, source uint32, key byte) []byte {
	b := make([]byte, 16)
	b[0], b[1] = 2<<6, 101
	binary.BigEndian.PutUint32(b[4:], stamp)
	binary.BigEndian.PutUint32(b[8:], source)
	b[12] = key
	return b
}

func TestReceiver(t *testing.T) {
	var r rtp.Receiver
	extended := append(append([]byte{}, packet(900, 1, 9)[:12]...), 0, 0, 0, 1, 0, 0, 0, 0, 9, 0, 0, 0)
	extended[0] |= 0x10
	padded := append(packet(1000, 1, 11), 0, 0, 0, 4)
	padded[0] |= 0x20
	listed := append(append(append([]byte{}, packet(1100, 1, 0)[:12]...), 1, 2, 3, 4), 10, 0, 0, 0)
	listed[0] |= 1
	for i, step := range []struct {
		packet []byte
		want   byte // 0: no key
		ours   bool
	}{
		{nil, 0, false},
		{packet(1, 1, 5)[:11], 0, false},
		{append([]byte{0x40}, packet(1, 1, 5)[1:]...), 0, false}, // version 1
		{packet(100, 1, 5), '5', true},
		{packet(100, 1, 5), 0, true},   // the same key, still pressed
		{packet(100, 2, 6), 0, false},  // another source
		{packet(200, 1, 5), '5', true}, // pressed again
		{packet(150, 1, 7), 0, true},   // overtaken
		{packet(300, 1, 16), 0, true},  // no key
		{packet(301, 1, 1)[:14], 0, true},
		{extended, '9', true},
		{padded, '#', true},
		{listed, '*', true},
		{append([]byte{2<<6 | 0x10}, packet(1200, 1, 1)[1:14]...), 0, false},
		{append([]byte{2<<6 | 0x20}, append(packet(1200, 1, 1)[1:], 255)...), 0, false},
	} {
		key, pressed, ours := r.Packet(step.packet, 101)
		if pressed != (step.want != 0) || pressed && key != step.want || ours != step.ours {
			t.Errorf("packet %d: %q, %v, %v", i, key, pressed, ours)
		}
	}
	if _, pressed, _ := r.Packet(packet(2000, 1, 5), 0); pressed {
		t.Error("a key where none was agreed")
	}
}

// TestALaw: a sample means the same in both codings, to within the steps of
// ITU-T G.711, and the ends of the scales are those of its tables.
func TestALaw(t *testing.T) {
	for u, a := range map[byte]byte{0xff: 0xd5, 0x7f: 0x55, 0x80: 0xaa, 0x00: 0x2a} {
		if got := rtp.ALaw(u); got != a {
			t.Errorf("%#x becomes %#x, not %#x", u, got, a)
		}
	}
	for i := range 256 {
		u := byte(i)
		from, to := linearOfMu(u), linearOfA(rtp.ALaw(u))
		if step := max(16, abs(from)/16); abs(from-to) > step {
			t.Errorf("%#x is %d, and %d in A-law", u, from, to)
		}
	}
}

// linearOfMu and linearOfA decode to 16 bits, as the tables of G.711 say.
func linearOfMu(u byte) int {
	u = ^u
	v := (int(u&0x0f)<<3+0x84)<<(u>>4&7) - 0x84
	if u&0x80 != 0 {
		return -v
	}
	return v
}

func linearOfA(a byte) int {
	a ^= 0x55
	v, segment := int(a&0x0f)<<4+8, a>>4&7
	if segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if a&0x80 == 0 {
		return -v
	}
	return v
}

func abs(n int) int { return max(n, -n) }

func FuzzPacket(f *testing.F) {
	f.Add(packet(1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r rtp.Receiver
		if key, pressed, ours := r.Packet(b, 101); pressed && (!ours || key == 0) {
			t.Errorf("%x is a key of nobody", b)
		}
	})
}
