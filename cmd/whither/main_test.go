package main

import (
	"os"
	"testing"
)

// asProgram makes the test binary behave as whither itself, so that tests can
// start it in a process of its own.
const asProgram = "WHITHER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	code := m.Run()
	outside.stop()
	os.Exit(code)
}
