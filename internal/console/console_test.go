package console_test

import (
	"bytes"
	"testing"

	"whither/internal/console"
)

func TestPrintAndTable(t *testing.T) {
	var out bytes.Buffer
	c := &console.Console{Out: &out}
	rows := [][]string{{"NAME", "N"}, {"a long one", "1"}}
	for want, write := range map[string]func() error{
		"text\n":                         func() error { return c.Print(map[string]int{"n": 1}, "text") },
		"NAME        N\na long one  1\n": func() error { return c.Table(nil, rows) },
	} {
		out.Reset()
		if err := write(); err != nil || out.String() != want {
			t.Errorf("got %q, want %q (%v)", out.String(), want, err)
		}
	}
	c.JSON = true
	out.Reset()
	if err := c.Table(map[string]string{"a": "<b>"}, rows); err != nil || out.String() != "{\"a\":\"<b>\"}\n" {
		t.Errorf("got %q (%v)", out.String(), err)
	}
}
