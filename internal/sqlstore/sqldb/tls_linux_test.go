package sqldb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"whither/internal/pgserver"
	"whither/internal/sqlstore/sqldb"
	"whither/internal/storetest/pgtest"
)

// TestR23PostgresOverTLS keeps a store behind TLS 1.3, at a server that proves its
// name, and at no other. The server listens on a loopback address of its own, of
// which Linux has many, and whose port is therefore free.
func TestR23PostgresOverTLS(t *testing.T) {
	const address = "127.83.71.5"
	server := pgtest.StartWith(t, map[string]string{"listen_addresses": address})
	do := func(statements string) {
		t.Helper()
		if _, err := server.SQL(t.Context(), statements); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := selfSigned(t, address)
	other, _ := selfSigned(t, address)
	folder := filepath.Dir(server.Socket())
	for name, content := range map[string]string{"tls.crt": certificate, "tls.key": key} {
		// The server's user writes and reads them.
		path := filepath.Join(folder, name)
		do("COPY (SELECT unnest(string_to_array('" + content + "', E'\\n'))) TO '" + path + "'")
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do("ALTER SYSTEM SET ssl_cert_file = '" + folder + "/tls.crt'")
	do("ALTER SYSTEM SET ssl_key_file = '" + folder + "/tls.key'")
	do("ALTER SYSTEM SET ssl = on")
	do("SELECT pg_reload_conf()")
	do("CREATE SCHEMA behind_tls")

	own := t.TempDir()
	at := func(root string) sqldb.Options {
		t.Helper()
		path := filepath.Join(own, "root.pem")
		if err := os.WriteFile(path, []byte(root), 0o600); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(pgserver.URL("behind_tls", server))
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("host", address)
		q.Set("sslmode", "verify-full")
		q.Set("sslrootcert", path)
		u.RawQuery = q.Encode()
		return sqldb.Options{URL: u.String()}
	}
	var d *sqldb.DB
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) { // the server takes its settings over
		var err error
		if d, err = sqldb.Open(t.Context(), config(at(certificate), schema())); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	defer closed(t, d)
	version := ""
	err := d.Each(t.Context(), func(r sqldb.Row) error { return r.Scan(&version) }, "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
	if err != nil || version != "TLSv1.3" {
		t.Errorf("%q, %v", version, err)
	}
	if err := d.Write(t.Context(), "insert", insert(1)); err != nil {
		t.Error(err)
	}
	if d, err := sqldb.Open(t.Context(), config(at(other), schema())); !errors.Is(err, sqldb.ErrUnreachable) {
		t.Errorf("a server that another authority speaks for: %v", err)
		if err == nil {
			closed(t, d)
		}
	}
}

// selfSigned makes a certificate for an address, and its key.
func selfSigned(t *testing.T, address string) (certificate, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "db.example"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}
