package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"whither/internal/msp"
	"whither/internal/party"
	"whither/internal/world/worldtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"whither-msp": main})
}

// TestScripts runs testdata/*.txt, each in an MSP's folder of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(time.Minute),
		Setup: func(e *testscript.Env) error {
			address, err := folder(t, filepath.Join(e.WorkDir, "msp"))
			e.Setenv("ADDRESS", address)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"listening": listening},
	})
}

// listening waits until somebody listens at an address.
func listening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listening ADDRESS")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", args[0]); err == nil {
			ts.Check(c.Close())
			return
		}
	}
	ts.Fatalf("nobody listens")
}

// folder makes an MSP's folder in a federation that lives now, and returns the
// address at which the MSP will be.
func folder(t *testing.T, dir string) (address string, err error) {
	f, now := worldtest.New(t), time.Now()
	f.Now = now
	for _, self := range f.Selfs {
		self.Issued = now.Add(-time.Hour).Unix()
		self.Keys[0].From = self.Issued
	}
	if err := msp.MakeKeys(dir, worldtest.Party(t, worldtest.MSPA), now); err != nil {
		return "", err
	}
	keys, err := party.Load(dir)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		return "", err
	}
	pin := keys.TLS.Pin()
	self := f.Selfs[worldtest.MSPA]
	self.Pins, self.Endpoint, self.Keys[0].Public = [][]byte{pin[:]}, "https://"+address, keys.Sign.Public()
	f.WriteRegistry(filepath.Join(dir, "registry"))
	return address, errors.Join(
		os.WriteFile(filepath.Join(dir, msp.SettingsFile), []byte(
			"party = \""+worldtest.MSPA+"\"\ndp = \""+worldtest.DP+"\"\nlisten = \""+address+"\"\noperations = \"127.0.0.1:0\"\n"), 0o600),
	)
}
