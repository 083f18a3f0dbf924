package csi_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"whither/csi"
	"whither/internal/canon"
)

// secrets are the parts of the test IDs that no output may show; digits are
// long enough not to turn up in an address or a time by chance.
var secrets = []string{"4085550", "5550123", "bob@", "example.org"}

func checkHides(t *testing.T, what, out string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(strings.ToLower(out), s) {
			t.Errorf("%s shows %q: %s", what, s, out)
		}
		if strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", s)) {
			t.Errorf("%s shows %q in hexadecimal: %s", what, s, out)
		}
	}
}

type holder struct {
	ID     csi.ID
	Clear  csi.Clear
	hidden csi.ID // fmt cannot call methods on this one
	list   []csi.ID
	set    map[csi.ID]csi.ID
	ptr    *csi.ID
}

func holders(t *testing.T) []any {
	var out []any
	for _, s := range []string{"tel:+14085550123", "mailto:bob@example.org", "acct:bob@example.org"} {
		id := mustParse(t, s)
		h := holder{id, csi.Clear{ID: id}, id, []csi.ID{id}, map[csi.ID]csi.ID{id: id}, &id}
		out = append(out, id, &id, csi.Clear{ID: id}, &csi.Clear{ID: id}, []csi.ID{id}, map[csi.ID]int{id: 1}, h, &h, []any{h}, struct{ any }{id})
	}
	return out
}

func TestNoVerbShowsAnID(t *testing.T) {
	for _, v := range holders(t) {
		for _, verb := range []string{"v", "s", "q", "x", "X", "d", "b", "o", "c", "U", "e", "g", "t", "p", "T", "w", "k"} {
			for _, flag := range []string{"", "+", "#", " ", "-40", "040", "+#", "# ", ".3"} {
				format := "%" + flag + verb
				checkHides(t, fmt.Sprintf("%s of %T", format, v), fmt.Sprintf(format, v))
			}
		}
		checkHides(t, "Sprint", fmt.Sprint(v))
		checkHides(t, "Errorf", fmt.Errorf("cannot: %v", v).Error())
	}
}

func TestPrintedForm(t *testing.T) {
	for s, want := range map[string]string{"tel:+14085550123": "tel:…", "mailto:bob@example.org": "mailto:…", "acct:bob@example.org": "acct:…"} {
		id := mustParse(t, s)
		for _, got := range []string{id.String(), id.GoString(), fmt.Sprintf("%v", id), fmt.Sprintf("%#v", id), fmt.Sprintf("%q", id), id.LogValue().String(), csi.Clear{ID: id}.String()} {
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if got := fmt.Sprint(csi.ID{}); got != "csi:none" {
		t.Errorf("the zero ID prints %q", got)
	}
}

func TestNoLoggerShowsAnID(t *testing.T) {
	var buf bytes.Buffer
	options := &slog.HandlerOptions{AddSource: true}
	for name, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&buf, options), "json": slog.NewJSONHandler(&buf, options)} {
		for _, v := range holders(t) {
			if strings.Contains(fmt.Sprintf("%T", v), "holder") || fmt.Sprintf("%T", v) == "[]interface {}" {
				continue // holds a Clear, a message type: see TestMessagesAreNotForLogs
			}
			buf.Reset()
			log := slog.New(h).With("with", v).WithGroup("g")
			log.Info("msg", "csi", v, slog.Group("inner", slog.Any("deep", v)))
			log.Error("msg", "err", fmt.Errorf("wrapped: %v", v))
			checkHides(t, fmt.Sprintf("slog %s of %T", name, v), buf.String())
		}
		type session struct {
			CSI  csi.ID
			More []csi.ID
			By   map[csi.ID]string
		}
		id := mustParse(t, "mailto:bob@example.org")
		buf.Reset()
		slog.New(h).Info("msg", "session", session{id, []csi.ID{id}, nil}, "p", &session{By: map[csi.ID]string{id: "x"}})
		checkHides(t, "slog "+name+" of a struct", buf.String())
	}
}

// TestMessagesAreNotForLogs pins the one way that is left: a whole message with
// a Clear inside, encoded. That is what encoding a message means.
func TestMessagesAreNotForLogs(t *testing.T) {
	type message struct {
		CSI csi.Clear `cbor:"1,keyasint" json:"csi"`
	}
	in := message{csi.Clear{ID: mustParse(t, "mailto:bob@example.org")}}
	checkHides(t, "%+v of a message", fmt.Sprintf("%+v", in))

	text, err := json.Marshal(in)
	if err != nil || string(text) != `{"csi":"mailto:bob@example.org"}` {
		t.Fatalf("JSON: %s, %v", text, err)
	}
	var out message
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("JSON came back as %v: %v", out, err)
	}
	b, err := canon.Marshal(in)
	if err != nil || string(b) != "\xa1\x01\x76mailto:bob@example.org" {
		t.Fatalf("CBOR: %x, %v", b, err)
	}
	out = message{}
	if err := canon.Unmarshal(b, 64, &out); err != nil || out != in {
		t.Errorf("CBOR came back as %v: %v", out, err)
	}
	for _, bad := range []string{`{"csi":"mailto:Bob@example.org"}`, `{"csi":""}`, `{"csi":"bob@example.org"}`} {
		err := json.Unmarshal([]byte(bad), &out)
		if err == nil {
			t.Errorf("accepted %s", bad)
			continue
		}
		checkHides(t, "the decoder's error", err.Error())
	}
	if _, err := json.Marshal(message{}); err == nil {
		t.Error("a message about nobody was encoded")
	}
}

func TestNoEncoderShowsAnID(t *testing.T) {
	id := mustParse(t, "mailto:bob@example.org")
	type record struct{ CSI csi.ID }
	for name, encode := range map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"cbor": canon.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
	} {
		for _, v := range []any{id, &id, record{id}, []csi.ID{id}, map[csi.ID]int{id: 1}} {
			b, err := encode(v)
			if err == nil {
				t.Errorf("%s of %T: encoded without error", name, v)
			} else {
				checkHides(t, name+"'s error", err.Error())
			}
			checkHides(t, name, string(b))
		}
	}
	if _, err := json.Marshal(id); !errors.Is(err, csi.ErrSealed) {
		t.Errorf("JSON of an ID: %v, want ErrSealed", err)
	}
}

func TestOtherPrinters(t *testing.T) {
	id := mustParse(t, "mailto:bob@example.org")
	var b strings.Builder
	if err := template.Must(template.New("").Parse("{{.}} {{printf \"%v\" .}} {{. | html}}")).Execute(&b, id); err != nil {
		t.Fatal(err)
	}
	checkHides(t, "text/template", b.String())
	checkHides(t, "cmp.Diff", cmp.Diff(id, mustParse(t, "tel:+14085550123")))
	defer func() { checkHides(t, "panic", fmt.Sprint(recover())) }()
	panic(id)
}

func TestNoErrorShowsItsInput(t *testing.T) {
	for _, v := range load[rejectVector](t, "reject.json") {
		input := v.text(t)
		id, err := csi.Parse(input)
		checkRefused(t, input, id, err)
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if out := fmt.Sprintf(format, err); strings.Contains(out, "bob") || strings.Contains(out, "555") {
				t.Errorf("%s of the error of %q: %s", format, v.Name, out)
			}
		}
	}
}
