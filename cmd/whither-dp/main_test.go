package main

import (
	"fmt"
	"os"
	"testing"
)

// What the test binary is when tests start it as a process of its own: the
// program itself, or a DP that writes on one thread (see serveOnOneThread).
const (
	asProgram     = "WHITHER_TEST_AS_PROGRAM"
	wholeProgram  = "whither-dp"
	oneThreadedDP = "one thread"
)

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "":
		code := m.Run()
		_ = os.RemoveAll(tools.dir)
		os.Exit(code)
	case wholeProgram:
		main()
	case oneThreadedDP:
		if err := serveOnOneThread(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
