package drain_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"whither/internal/prover/drain"
)

// TestStopEndsWaitersAndWaitsForWorkers has one connection that waits for its
// client and one that works, and a third that is over the bound.
func TestStopEndsWaitersAndWaitsForWorkers(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := 0.0
	l := drain.New(raw, 2, func(d float64) { open += d })
	var accepted, dialled []net.Conn
	dial := func() net.Conn {
		c, err := net.Dial("tcp", raw.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		dialled = append(dialled, c)
		return c
	}
	for range 2 {
		dial()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, c)
	}
	over := dial()
	ended := make(chan error, 1)
	go func() { _, err := l.Accept(); ended <- err }()
	_ = over.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := over.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection over the bound: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { _, err := accepted[0].Read(make([]byte, 1)); waiting <- err }()
	_ = raw.Close()
	if err := <-ended; err == nil {
		t.Error("accepted after the end")
	}
	l.Stop()
	if err := <-waiting; err == nil {
		t.Error("the waiting session was not told")
	}
	_ = accepted[0].Close()
	if l.Wait(20 * time.Millisecond) {
		t.Error("did not wait for the one that works")
	}
	if err := accepted[1].SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := accepted[1].Read(make([]byte, 1)); err == nil {
		t.Error("a new deadline undid the stop")
	}
	l.CloseAll()
	_ = accepted[1].Close()
	if !l.Wait(5*time.Second) || open != 0 {
		t.Errorf("%v connections are still open", open)
	}
}
