// Package console is how commands speak to people and to machines: text and
// tables, or JSON.
package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// ErrUsage marks a call that was wrong in itself.
var ErrUsage = errors.New("wrong call")

// Console is what a command has of the world outside the program.
type Console struct {
	Out    io.Writer
	ErrOut io.Writer
	JSON   bool // for machines
	Now    func() time.Time
}

// Print writes data as JSON, or text for people.
func (c *Console) Print(data any, text string) error {
	if c.JSON {
		e := json.NewEncoder(c.Out)
		e.SetEscapeHTML(false)
		return e.Encode(data)
	}
	_, err := fmt.Fprintln(c.Out, text)
	return err
}

// Table writes data as JSON, or rows for people; the first row is the head.
func (c *Console) Table(data any, rows [][]string) error {
	if c.JSON {
		return c.Print(data, "")
	}
	w := tabwriter.NewWriter(c.Out, 0, 4, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(r, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}
