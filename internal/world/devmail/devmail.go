// Package devmail is the mail program of the demo: a page on loopback on which
// a person reads the mailboxes of the small outside world and replies, and the
// same for programs ([Mailbox]), so that an enrolment can be scripted.
//
// It is for development alone: it has no sign-in, and whoever reaches its port
// reads every mailbox. The world binds it to 127.0.0.1.
package devmail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/world/mailnet"
	"whither/possession"
	"whither/registry"
)

// Server serves the mailboxes of one provider.
type Server struct {
	provider  *mailnet.Provider
	mailboxes []string
}

// New returns the page of a provider's mailboxes.
func New(p *mailnet.Provider, mailboxes ...string) *Server {
	return &Server{provider: p, mailboxes: mailboxes}
}

// letter is a message as the page and the programs get it.
type letter struct {
	From    string    `json:"from"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// box is a mailbox with its letters, newest last.
type box struct {
	Address string   `json:"address"`
	Letters []letter `json:"letters"`
}

// order asks to reply to letter N of a mailbox.
type order struct {
	Address string `json:"address"`
	N       int    `json:"n"`
	Text    string `json:"text"`
}

const maxForm = 64 << 10

// Handler returns the page (GET /), and for programs POST /inbox and POST /reply.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("POST /{$}", s.form)
	mux.HandleFunc("POST /inbox", s.inbox)
	mux.HandleFunc("POST /reply", s.reply)
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *Server) box(address string) (box, error) {
	messages, err := s.provider.Inbox(address)
	if err != nil {
		return box{}, err
	}
	out := box{Address: address, Letters: []letter{}}
	for _, m := range messages {
		parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil {
			return box{}, fmt.Errorf("devmail: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(parsed.Body, maxForm))
		if err != nil {
			return box{}, fmt.Errorf("devmail: %w", err)
		}
		out.Letters = append(out.Letters, letter{
			From: parsed.Header.Get("From"), Subject: parsed.Header.Get("Subject"), Text: string(text), At: m.At,
		})
	}
	return out, nil
}

func (s *Server) send(ctx context.Context, o order) error {
	messages, err := s.provider.Inbox(o.Address)
	if err != nil {
		return err
	}
	if o.N < 0 || o.N >= len(messages) {
		return errors.New("devmail: no such letter")
	}
	return s.provider.Reply(ctx, o.Address, messages[o.N].Raw, o.Text)
}

func (s *Server) inbox(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&o); err != nil {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	b, err := s.box(o.Address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(b)
}

func (s *Server) reply(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&o); err != nil {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	if err := s.send(r.Context(), o); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) { s.show(w, "") }

// form is the page's reply form.
func (s *Server) form(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	n, err := strconv.Atoi(r.PostFormValue("n"))
	if err == nil {
		err = s.send(r.Context(), order{Address: r.PostFormValue("address"), N: n, Text: r.PostFormValue("text")})
	}
	if err != nil {
		s.show(w, "Not sent: "+err.Error())
		return
	}
	s.show(w, "Sent.")
}

func (s *Server) show(w http.ResponseWriter, notice string) {
	data := struct {
		Notice string
		Boxes  []box
	}{Notice: notice}
	for _, address := range s.mailboxes {
		b, err := s.box(address)
		if err != nil {
			data.Notice = err.Error()
			continue
		}
		data.Boxes = append(data.Boxes, b)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_ = pageTemplate.Execute(w, data)
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mailboxes of the demo</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #f4f4f2; padding: .8rem; overflow-x: auto; white-space: pre-wrap; }
textarea { width: 100%; height: 9rem; font: 14px/1.4 ui-monospace, monospace; }
article { border-top: 1px solid #ccc; margin-top: 1.5rem; }
.notice { background: #e8f2e8; padding: .5rem .8rem; }
</style>
<h1>Mailboxes of the demo</h1>
{{with .Notice}}<p class="notice" role="status">{{.}}</p>{{end}}
{{range $b := .Boxes}}<h2>{{.Address}}</h2>
{{range $i, $l := .Letters}}<article>
<p><b>From</b> {{$l.From}}<br><b>Subject</b> {{$l.Subject}}</p>
<pre>{{$l.Text}}</pre>
<form method="post"><input type="hidden" name="address" value="{{$b.Address}}"><input type="hidden" name="n" value="{{$i}}">
<label>Reply as plain text<textarea name="text" required></textarea></label><br><button>Send</button></form>
</article>{{else}}<p>Nothing has arrived yet.</p>{{end}}
{{end}}</html>
`))

// Mailbox is a person's mailbox for programs: it finds the challenge and
// replies to it as the person would.
type Mailbox struct {
	base    string
	address string
	client  *http.Client
}

// NewMailbox returns the mailbox of a mail address at a demo's mail page.
func NewMailbox(base string, id csi.ID) *Mailbox {
	return &Mailbox{base: strings.TrimSuffix(base, "/"), address: id.Address(), client: &http.Client{Timeout: 10 * time.Second}}
}

const (
	poll    = 50 * time.Millisecond
	subject = "Whither: "
)

// SubjectToken waits for the mail from the given address and returns the token
// in its subject.
func (m *Mailbox) SubjectToken(ctx context.Context, from string) (string, error) {
	for {
		b, err := m.read(ctx)
		if err != nil {
			return "", err
		}
		for _, l := range slices.Backward(b.Letters) {
			if token, ok := strings.CutPrefix(l.Subject, subject); ok && strings.Contains(l.From, from) {
				return token, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(poll):
		}
	}
}

// ErrNoPhone refuses what only a phone can do.
var ErrNoPhone = errors.New("devmail: a mailbox gets no codes by message or call")

// Code refuses: a mailbox has no phone.
func (m *Mailbox) Code(context.Context, registry.PartyID, possession.Kind) (string, error) {
	return "", ErrNoPhone
}

// SendReply replies to the mail with that token.
func (m *Mailbox) SendReply(ctx context.Context, _, token, body string) error {
	b, err := m.read(ctx)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(b.Letters, func(l letter) bool { return l.Subject == subject+token })
	if n < 0 {
		return errors.New("devmail: the challenge is not in the mailbox")
	}
	return m.post(ctx, "/reply", order{Address: m.address, N: n, Text: body}, nil)
}

func (m *Mailbox) read(ctx context.Context) (box, error) {
	var b box
	err := m.post(ctx, "/inbox", order{Address: m.address}, &b)
	return b, err
}

func (m *Mailbox) post(ctx context.Context, path string, in, out any) error {
	u, err := url.Parse(m.base + path)
	if err != nil {
		return fmt.Errorf("devmail: mailbox address: %w", err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := m.client.Do(req)
	if err != nil {
		return fmt.Errorf("devmail: no answer from the mailbox; is the demo running? %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("devmail: %s", bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(out)
}
