package resolver_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/internal/observer/resolver"
)

// zone is a zone that is signed with one Ed25519 key (RFC 8080), for an
// independent validating resolver to judge.
type zone struct {
	apex    string
	key     ed25519.PrivateKey
	now     time.Time
	records []string // lines of the zone file
}

// Types of records (IANA).
const (
	typeNS, typeSOA, typeTXT, typeRRSIG, typeNSEC, typeDNSKEY = 2, 6, 16, 46, 47, 48
	algorithmEd25519                                          = 15
	zoneTTL                                                   = 60
)

func newZone(apex string) *zone {
	seed := sha256.Sum256([]byte(apex))
	return &zone{apex: apex, key: ed25519.NewKeyFromSeed(seed[:]), now: time.Now()}
}

// dnskey is the key's record: a zone key that is an entry point, protocol 3.
func (z *zone) dnskey() []byte {
	return append([]byte{1, 1, 3, algorithmEd25519}, z.key.Public().(ed25519.PublicKey)...)
}

// anchor is the key as the resolver is told to trust it.
func (z *zone) anchor() string {
	return fmt.Sprintf("%s. IN DNSKEY 257 3 %d %s", z.apex, algorithmEd25519, base64.StdEncoding.EncodeToString(z.dnskey()[4:]))
}

// wireName is a name in canonical form (RFC 4034 section 6.2).
func wireName(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// add puts a record into the zone, and the signature over it (RFC 4034 section
// 3.1.8.1); there is one record of each name and type.
func (z *zone) add(owner string, of uint16, text string, data []byte) {
	z.records = append(z.records, fmt.Sprintf("%s. %d IN %s", owner, zoneTTL, text))
	public := z.dnskey()
	tag := 0
	for i, b := range public { // RFC 4034 appendix B
		tag += int(b) << (8 * (1 - i&1))
	}
	tag += tag >> 16
	inception, expiration := uint32(z.now.Add(-time.Hour).Unix()), uint32(z.now.Add(time.Hour).Unix())
	labels := strings.Count(owner, ".") + 1
	head := binary.BigEndian.AppendUint16(nil, of)
	head = append(head, algorithmEd25519, byte(labels))
	head = binary.BigEndian.AppendUint32(head, zoneTTL)
	head = binary.BigEndian.AppendUint32(head, expiration)
	head = binary.BigEndian.AppendUint32(head, inception)
	head = binary.BigEndian.AppendUint16(head, uint16(tag))
	head = append(head, wireName(z.apex)...)
	signed := append(slices.Clone(head), wireName(owner)...)
	signed = binary.BigEndian.AppendUint16(signed, of)
	signed = binary.BigEndian.AppendUint16(signed, 1) // IN
	signed = binary.BigEndian.AppendUint32(signed, zoneTTL)
	signed = binary.BigEndian.AppendUint16(signed, uint16(len(data)))
	signed = append(signed, data...)
	z.records = append(z.records, fmt.Sprintf("%s. %d IN RRSIG TYPE%d %d %d %d %d %d %d %s. %s", owner, zoneTTL, of, algorithmEd25519, labels, zoneTTL,
		expiration, inception, uint16(tag), z.apex, base64.StdEncoding.EncodeToString(ed25519.Sign(z.key, signed))))
}

// bitmap is the list of types of an NSEC record, all below 256.
func bitmap(types ...uint16) []byte {
	bits := make([]byte, 32)
	for _, of := range types {
		bits[of/8] |= 0x80 >> (of % 8)
	}
	bits = bytes.TrimRight(bits, "\x00")
	return append([]byte{0, byte(len(bits))}, bits...)
}

// build makes a zone with one TXT record at s1._domainkey.
func (z *zone) build(text string) {
	host := "ns." + z.apex
	soa := append(wireName(host), wireName(host)...)
	for _, n := range []uint32{1, 3600, 600, 86400, 60} {
		soa = binary.BigEndian.AppendUint32(soa, n)
	}
	z.add(z.apex, typeSOA, fmt.Sprintf("SOA %s. %s. 1 3600 600 86400 60", host, host), soa)
	z.add(z.apex, typeNS, "NS "+host+".", wireName(host))
	z.add(z.apex, typeDNSKEY, "DNSKEY 257 3 15 "+base64.StdEncoding.EncodeToString(z.dnskey()[4:]), z.dnskey())
	key := "s1._domainkey." + z.apex
	z.add(key, typeTXT, "TXT "+text, append([]byte{byte(len(text))}, text...))
	z.add(z.apex, typeNSEC, fmt.Sprintf("NSEC %s. NS SOA RRSIG NSEC DNSKEY", key),
		append(wireName(key), bitmap(typeNS, typeSOA, typeRRSIG, typeNSEC, typeDNSKEY)...))
	z.add(key, typeNSEC, fmt.Sprintf("NSEC %s. TXT RRSIG NSEC", z.apex), append(wireName(z.apex), bitmap(typeTXT, typeRRSIG, typeNSEC)...))
}

// startUnbound starts the resolver over zones of its own, with the keys of some
// of them as trust anchors, and returns its address.
func startUnbound(t *testing.T, trusted []*zone, zones map[string][]string) string {
	t.Helper()
	program, err := exec.LookPath("unbound")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("unbound is not installed")
		}
		t.Skip("unbound is not installed")
	}
	dir := t.TempDir()
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	_ = free.Close()
	var config strings.Builder
	fmt.Fprintf(&config, "server:\n  interface: 127.0.0.1@%d\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  directory: %q\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  num-threads: 1\n  module-config: \"validator iterator\"\n", port, dir)
	for _, z := range trusted {
		fmt.Fprintf(&config, "  trust-anchor: %q\n", z.anchor())
	}
	config.WriteString("remote-control:\n  control-enable: no\n")
	for apex, records := range zones {
		file := filepath.Join(dir, apex+".zone")
		if err := os.WriteFile(file, []byte(strings.Join(records, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&config, "auth-zone:\n  name: %q\n  zonefile: %q\n  for-upstream: yes\n  for-downstream: no\n  fallback-enabled: no\n", apex, file)
	}
	path := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "-d", "-c", path)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("unbound: %s", output.String())
		}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for range 100 {
		if c, err := net.Dial("tcp4", address); err == nil {
			_ = c.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("unbound does not answer: %s", output.String())
	return ""
}

// TestValidatingResolver: what an independent validating resolver makes of
// signed, unsigned and forged zones comes out as it should.
func TestValidatingResolver(t *testing.T) {
	signed, forged := newZone("example.org"), newZone("forged.example")
	signed.build("v=DKIM1")
	forged.build("v=DKIM1")
	spoilt := slices.Clone(forged.records)
	for i := range spoilt {
		spoilt[i] = strings.ReplaceAll(spoilt[i], "TXT v=DKIM1", "TXT v=DKIM2")
	}
	plain := []string{
		"example.net. 60 IN SOA ns.example.net. ns.example.net. 1 3600 600 86400 60", "example.net. 60 IN NS ns.example.net.",
		"s1._domainkey.example.net. 60 IN TXT v=DKIM1", "s2._domainkey.example.net. 60 IN CNAME s1._domainkey.example.org.",
		"s3._domainkey.example.net. 60 IN CNAME s3._domainkey.example.org.",
	}
	address := startUnbound(t, []*zone{signed, forged}, map[string][]string{
		"example.org": signed.records, "forged.example": spoilt, "example.net": plain,
	})
	c, err := resolver.New(address, false)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.Validates(t.Context(), "example.org"); !ok || err != nil {
		t.Errorf("a validating resolver: %t, %v", ok, err)
	}
	if ok, err := c.Validates(t.Context(), "example.net"); ok || err != nil {
		t.Errorf("probed with a zone that is not signed: %t, %v", ok, err)
	}
	// Over a way that others can write on, the resolver's word is nobody's.
	if ok, err := resolver.Unprotected(c).Validates(t.Context(), "example.org"); ok || err != nil {
		t.Errorf("an unprotected way: %t, %v", ok, err)
	}
	if got, err := resolver.Unprotected(c).TXT(t.Context(), "s1._domainkey.example.org"); got.Authentic || err != nil {
		t.Errorf("an unprotected way: %+v, %v", got, err)
	}
	for _, test := range []struct {
		name, ask string
		authentic bool
		expect    error
	}{
		{"signed", "s1._domainkey.example.org", true, nil},
		{"not signed", "s1._domainkey.example.net", false, nil},
		{"an alias that is not signed, to what is", "s2._domainkey.example.net", false, nil},
		{"forged", "s1._domainkey.forged.example", false, resolver.ErrFailed},
		{"signed, and not there", "s2._domainkey.example.org", false, resolver.ErrNoRecord},
		{"signed, and no such type", "example.org", false, resolver.ErrNoRecord},
		{"alias to what is not there", "s3._domainkey.example.net", false, resolver.ErrNoRecord},
	} {
		got, err := c.TXT(t.Context(), test.ask)
		if !errors.Is(err, test.expect) || got.Authentic != test.authentic || err == nil && !slices.Equal(got.Texts, []string{"v=DKIM1"}) {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
}
