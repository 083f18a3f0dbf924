// Package problem is the catalogue of everything that can be refused, in the
// form of RFC 9457: each [Kind] has a type URI urn:whither:problem:NAME, a
// status, a title, whether trying again may help, and what to do next. The
// catalogue is printed as docs/spec/problems.md.
//
// A problem never repeats what was sent: no CSI, no address, no token. Which
// error becomes which kind is each server's own table.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Prefix of every type URI.
const Prefix = "urn:whither:problem:"

// MediaType is RFC 9457's.
const MediaType = "application/problem+json"

// MaxSize bounds a problem document that is read, in bytes.
const MaxSize = 8 << 10

// Kind names one reason of refusal.
type Kind string

// Retry says whether the same request may succeed later.
type Retry string

// The values of Retry.
const (
	RetryNever Retry = "never" // not without changing the request
	RetryFresh Retry = "fresh" // after fetching what it rests on again (offer, registry, receipt)
	RetryLater Retry = "later" // unchanged, after Retry-After or some seconds
)

// Row is what the catalogue says of a kind.
type Row struct {
	Kind   Kind
	Status int
	Title  string
	Retry  Retry
	Do     string // what the caller does next, one sentence
}

// URI returns the type URI.
func (k Kind) URI() string { return Prefix + string(k) }

// Row returns the catalogue's row of k; an unknown kind is [Internal].
func (k Kind) Row() Row {
	for _, r := range catalogue {
		if r.Kind == k {
			return r
		}
	}
	return Internal.Row()
}

// Catalogue returns every row, in the order of the document.
func Catalogue() []Row { return slices.Clone(catalogue[:]) }

// Document is one problem as it is sent. It is an error on the client's side.
type Document struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Retry  Retry  `json:"retry,omitempty"`
	Do     string `json:"do,omitempty"`
}

// New makes a document of kind k; detail may be empty and holds no personal data.
func New(k Kind, detail string) Document {
	r := k.Row()
	return Document{Type: r.Kind.URI(), Title: r.Title, Status: r.Status, Detail: detail, Retry: r.Retry, Do: r.Do}
}

// Kind returns the document's kind, empty when its type is not one of ours.
func (d Document) Kind() Kind {
	name, ok := strings.CutPrefix(d.Type, Prefix)
	if !ok {
		return ""
	}
	return Kind(name)
}

// Error says what went wrong and what to do.
func (d Document) Error() string {
	s := d.Title
	if d.Detail != "" {
		s += " (" + d.Detail + ")"
	}
	if d.Do != "" {
		s += "; " + d.Do
	}
	return s
}

// Is makes errors.Is(err, problem.Error(kind)) work.
func (d Document) Is(target error) bool {
	var k kindError
	return errors.As(target, &k) && d.Kind() == Kind(k)
}

type kindError Kind

func (k kindError) Error() string { return Kind(k).URI() }

// Error returns a target for errors.Is that matches every document of kind k.
func Error(k Kind) error { return kindError(k) }

// KindOf returns the kind of the problem document in err's chain, or "".
func KindOf(err error) Kind {
	var d Document
	if errors.As(err, &d) {
		return d.Kind()
	}
	return ""
}

// Read reads a document from a response body.
func Read(r io.Reader) (Document, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Document{}, fmt.Errorf("problem: read: %w", err)
	}
	if len(b) > MaxSize {
		return Document{}, errors.New("problem: document too large")
	}
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return Document{}, fmt.Errorf("problem: not a problem document: %w", err)
	}
	return d, nil
}
