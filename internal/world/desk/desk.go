// Package desk is where the people of the demo read and write: a page on
// loopback with the mailboxes and phones of the small outside world, and the
// same for programs ([Person]), so that an enrolment can be scripted.
//
// It is for development alone: it has no sign-in, and whoever reaches its port
// reads every mailbox and phone. The world binds it to 127.0.0.1.
package desk

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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"whither/csi"
	"whither/internal/world/idp"
	"whither/internal/world/mailca"
	"whither/internal/world/mailnet"
	"whither/internal/world/phonenet"
	"whither/possession"
	"whither/registry"
)

// Server serves the mailboxes of one provider and the phones of one network.
type Server struct {
	provider  *mailnet.Provider
	mailboxes []string
	network   *phonenet.Network
	numbers   []string
	identity  *idp.Provider // nil: there is none
	signers   map[string]*mailca.Person
}

// WithCertificates gives people certificates for their addresses, with which the
// desk signs for them.
func (s *Server) WithCertificates(signers map[string]*mailca.Person) *Server {
	s.signers = signers
	return s
}

// WithSignIn puts an OpenID provider beside the mailboxes, at which the desk
// signs people in.
func (s *Server) WithSignIn(p *idp.Provider) *Server {
	s.identity = p
	return s
}

// New returns the page of a provider's mailboxes and a network's phones.
func New(p *mailnet.Provider, mailboxes []string, n *phonenet.Network, numbers []string) *Server {
	return &Server{provider: p, mailboxes: mailboxes, network: n, numbers: numbers}
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

// phone is a phone with what it got, newest last.
type phone struct {
	Number string          `json:"number"`
	Items  []phonenet.Item `json:"items"`
}

// order asks to reply to letter N of a mailbox.
type order struct {
	Address string `json:"address"`
	N       int    `json:"n"`
	Text    string `json:"text"`
}

const maxForm = 64 << 10

// visit asks to open a URL and sign in there as an account.
type visit struct {
	Account string `json:"account"`
	URL     string `json:"url"`
}

// paper asks to sign a text with an address's certificate, and holds the
// signature.
type paper struct {
	Address   string `json:"address"`
	Text      []byte `json:"text"`
	Signature []byte `json:"signature,omitempty"`
}

// Handler returns the page (GET /), and for programs POST /inbox,
// POST /reply, POST /phone, POST /send, POST /sign-in, POST /sign
// and POST /attest.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("POST /{$}", s.form)
	mux.HandleFunc("POST /inbox", s.inbox)
	mux.HandleFunc("POST /reply", s.reply)
	mux.HandleFunc("POST /phone", s.phone)
	mux.HandleFunc("POST /send", s.dial)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign", s.sign)
	mux.HandleFunc("POST /attest", s.attest)
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
			return box{}, fmt.Errorf("desk: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(parsed.Body, maxForm))
		if err != nil {
			return box{}, fmt.Errorf("desk: %w", err)
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
		return errors.New("desk: no such letter")
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

func (s *Server) phone(w http.ResponseWriter, r *http.Request) {
	var p phone
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&p)
	if err != nil {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	if p.Items, err = s.network.Items(p.Number); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p)
}

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	var v visit
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&v); err != nil || s.identity == nil {
		http.Error(w, "not an order, or no provider", http.StatusBadRequest)
		return
	}
	if _, err := s.identity.Visit(r.Context(), v.URL, v.Account); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) sign(w http.ResponseWriter, r *http.Request) {
	var p paper
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&p); err != nil {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	signer, ok := s.signers[p.Address]
	if !ok {
		http.Error(w, "no certificate for this address", http.StatusNotFound)
		return
	}
	var err error
	if p.Signature, err = signer.Sign(p.Text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p)
}

// dial is what a phone is to do: send a text to a SIP address, or call it and
// press keys.
type dial struct {
	Number string `json:"number"`
	To     string `json:"to"`
	Text   string `json:"text,omitempty"`
	Keys   string `json:"keys,omitempty"`
}

// dial has a phone send or call.
func (s *Server) dial(w http.ResponseWriter, r *http.Request) {
	var d dial
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&d); err != nil || (d.Text == "") == (d.Keys == "") {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	if err := s.use(r.Context(), d); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// use uses a phone.
func (s *Server) use(ctx context.Context, d dial) error {
	if d.Text != "" {
		// A form has CRLF at the ends of lines; a phone's text has not.
		return s.network.Send(ctx, d.Number, d.To, strings.ReplaceAll(d.Text, "\r\n", "\n"))
	}
	return s.network.Call(ctx, d.Number, d.To, d.Keys)
}

func (s *Server) page(w http.ResponseWriter, _ *http.Request) { s.show(w, "") }

// form is the page's reply form.
func (s *Server) form(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	text := r.PostFormValue("text")
	var err error
	if number := r.PostFormValue("number"); number != "" {
		err = s.use(r.Context(), dial{Number: number, To: strings.TrimSpace(r.PostFormValue("to")), Text: text, Keys: r.PostFormValue("keys")})
	} else {
		var n int
		if n, err = strconv.Atoi(r.PostFormValue("n")); err == nil {
			err = s.send(r.Context(), order{Address: r.PostFormValue("address"), N: n, Text: text})
		}
	}
	if err != nil {
		s.show(w, "Not done: "+err.Error())
		return
	}
	s.show(w, "Done.")
}

func (s *Server) show(w http.ResponseWriter, notice string) {
	data := struct {
		Notice   string
		Boxes    []box
		Phones   []phone
		Issuer   string
		Accounts map[string]idp.Account
	}{Notice: notice}
	if s.identity != nil {
		data.Issuer, data.Accounts = s.identity.Issuer(), s.identity.Accounts()
	}
	for _, number := range s.numbers {
		items, err := s.network.Items(number)
		if err != nil {
			data.Notice = err.Error()
			continue
		}
		data.Phones = append(data.Phones, phone{Number: number, Items: items})
	}
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
<html lang="en"><meta charset="utf-8"><title>Mailboxes and phones of the demo</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #f4f4f2; padding: .8rem; overflow-x: auto; white-space: pre-wrap; }
textarea { width: 100%; height: 9rem; font: 14px/1.4 ui-monospace, monospace; }
article { border-top: 1px solid #ccc; margin-top: 1.5rem; }
.notice { background: #e8f2e8; padding: .5rem .8rem; }
</style>
<h1>Mailboxes and phones of the demo</h1>
{{with .Notice}}<p class="notice" role="status">{{.}}</p>{{end}}
{{range $b := .Boxes}}<h2>{{.Address}}</h2>
{{range $i, $l := .Letters}}<article>
<p><b>From</b> {{$l.From}}<br><b>Subject</b> {{$l.Subject}}</p>
<pre>{{$l.Text}}</pre>
<form method="post"><input type="hidden" name="address" value="{{$b.Address}}"><input type="hidden" name="n" value="{{$i}}">
<label>Reply as plain text<textarea name="text" required></textarea></label><br><button>Send</button></form>
</article>{{else}}<p>Nothing has arrived yet.</p>{{end}}
{{end}}{{range .Phones}}<h2>{{.Number}}</h2>
{{range .Items}}<article><p><b>{{if eq .Channel "call"}}Call{{else}}Message{{end}} from</b> {{.From}}</p><pre>{{.Text}}</pre></article>
{{else}}<p>Nothing has arrived yet.</p>{{end}}
<form method="post"><input type="hidden" name="number" value="{{.Number}}">
<label>To the SIP address <input name="to" size="48" required></label>
<label>send this text<textarea name="text"></textarea></label>
<label>or call, and press <input name="keys" inputmode="tel"></label> <button>Send or call</button></form>{{end}}
{{with .Issuer}}<h2>{{.}}</h2>
<p>Where these people sign in. A browser that opens its page warns of the certificate: it is this world's own.</p>
<ul>{{range $.Accounts}}<li>{{.Name}}, password <code>{{.Password}}</code></li>{{end}}</ul>{{end}}</html>
`))

// Person is a person with a mailbox or a phone, for programs: it finds the
// challenge and answers it as the person would.
type Person struct {
	base   string
	id     csi.ID
	client *http.Client
}

// NewPerson returns the person who has a CSI, at a demo's desk.
func NewPerson(base string, id csi.ID) *Person {
	return &Person{base: strings.TrimSuffix(base, "/"), id: id, client: &http.Client{Timeout: 10 * time.Second}}
}

const (
	poll    = 50 * time.Millisecond
	subject = "Whither: "
)

// SubjectToken waits for the mail from the given address and returns the token
// in its subject.
func (p *Person) SubjectToken(ctx context.Context, from string) (string, error) {
	for {
		b, err := p.read(ctx)
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

// codes is how the person finds the code in what she reads or hears.
var codes = regexp.MustCompile(`[0-9]{8}`)

// Code waits for the newest code from a prover over the channel of the kind.
func (p *Person) Code(ctx context.Context, prover registry.PartyID, kind possession.Kind) (string, error) {
	channel := phonenet.Message
	if kind == possession.CodeCall {
		channel = phonenet.Call
	}
	for {
		var got phone
		if err := p.post(ctx, "/phone", phone{Number: p.id.CAMARA()}, &got); err != nil {
			return "", err
		}
		for _, i := range slices.Backward(got.Items) {
			if i.Channel == channel && i.From == prover.String() {
				return codes.FindString(i.Text), nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(poll):
		}
	}
}

// SendReply replies to the mail with that token.
func (p *Person) SendReply(ctx context.Context, _, token, body string) error {
	b, err := p.read(ctx)
	if err != nil {
		return err
	}
	n := slices.IndexFunc(b.Letters, func(l letter) bool { return l.Subject == subject+token })
	if n < 0 {
		return errors.New("desk: the challenge is not in the mailbox")
	}
	return p.post(ctx, "/reply", order{Address: p.id.Address(), N: n, Text: body}, nil)
}

// SignIn has the desk open the URL and sign in there as the person.
func (p *Person) SignIn(ctx context.Context, _ registry.PartyID, _, url string) error {
	_, rest, _ := strings.Cut(p.id.Canonical(), ":")
	name, _, _ := strings.Cut(rest, "@")
	return p.post(ctx, "/sign-in", visit{Account: name, URL: url}, nil)
}

// Sign has the desk sign content with the person's certificate.
func (p *Person) Sign(ctx context.Context, _ registry.PartyID, content []byte) ([]byte, error) {
	var out paper
	err := p.post(ctx, "/sign", paper{Address: p.id.Address(), Text: content}, &out)
	return out.Signature, err
}

// SendText has the desk's phone send text to a SIP address.
func (p *Person) SendText(ctx context.Context, to, text string) error {
	return p.post(ctx, "/send", dial{Number: p.id.CAMARA(), To: to, Text: text}, nil)
}

// Call has the desk's phone call a SIP address and enter a code.
func (p *Person) Call(ctx context.Context, to, _, code string) error {
	return p.post(ctx, "/send", dial{Number: p.id.CAMARA(), To: to, Keys: code}, nil)
}

func (p *Person) read(ctx context.Context) (box, error) {
	var b box
	err := p.post(ctx, "/inbox", order{Address: p.id.Address()}, &b)
	return b, err
}

func (p *Person) post(ctx context.Context, path string, in, out any) error {
	u, err := url.Parse(p.base + path)
	if err != nil {
		return fmt.Errorf("desk: address of the desk: %w", err)
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
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("desk: no answer; is the demo running? %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("desk: %s", bytes.TrimSpace(text))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 4<<20)).Decode(out)
}
