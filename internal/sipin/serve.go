package sipin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"whither/internal/sipin/syntax"
)

// allowed is what this server takes.
const allowed = "Allow: INVITE, ACK, CANCEL, BYE, INFO, MESSAGE, OPTIONS"

// exchange is a request that waits for its answer.
type exchange struct {
	*syntax.Message
	server *Server
	flow   flow
	key    string
}

// respond gives the final answer.
func (x *exchange) respond(code int, reason string, fields []string) {
	x.server.past.end(x.key, x.Answer(code, reason, token(), fields, nil))
}

// refuse gives the final answer that an error stands for.
func (x *exchange) refuse(err error) {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		x.server.config.Count(eventRefused)
		x.respond(r.Code, printable(r.Reason), x.server.advice(r.Advice))
	case errors.Is(err, errTooMany):
		x.server.config.Count(eventBusy)
		x.respond(503, "Service Unavailable", []string{"Retry-After: 10"})
	default:
		x.server.config.Count(eventBusy)
		x.respond(503, "Cannot judge this now", []string{"Retry-After: 60"})
	}
}

// advice puts words to a person into a Warning field, code 399 (RFC 3261
// section 20.43).
func (s *Server) advice(text string) []string {
	if text == "" {
		return nil
	}
	return []string{fmt.Sprintf("Warning: 399 %s %s", s.config.Host, quoted(text))}
}

// printable leaves out what is not printable ASCII.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
}

// quoted writes a quoted-string.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(text)) + `"`
}

// token returns a random tag or the end of a branch.
func token() string { return rand.Text() }

// handle takes one message. It does not block on anybody's verdict.
func (s *Server) handle(m *syntax.Message, f flow) {
	if m.Status != 0 {
		s.calls.response(m.Branch)
		return
	}
	if err := m.Check(); err != nil {
		s.config.Count(eventMalformed)
		if m.Method != "ACK" {
			f.send(m.Answer(400, "Bad Request", token(), s.advice(strings.TrimPrefix(err.Error(), "syntax: ")), nil))
		}
		return
	}
	switch m.Method {
	case "ACK":
		s.calls.acked(m)
		return
	case "CANCEL":
		code, reason := 481, "Call/Transaction Does Not Exist"
		if s.past.cancel(keyOf(m, f, "INVITE")) {
			code, reason = 200, "OK"
		}
		f.send(m.Answer(code, reason, token(), nil, nil))
		return
	}
	x := &exchange{Message: m, server: s, flow: f, key: keyOf(m, f, m.Method)}
	fresh, err := s.past.begin(x.key, f)
	switch {
	case err != nil:
		s.config.Count(eventBusy)
		f.send(m.Answer(503, "Service Unavailable", token(), []string{"Retry-After: 10"}, nil))
	case !fresh:
		s.config.Count(eventRepeated)
	default:
		s.dispatch(x)
	}
}

// dispatch gives a new request to what is in charge of its method.
func (s *Server) dispatch(x *exchange) {
	inCall := x.Tag("to") != ""
	switch {
	case x.Scheme != "sip" && x.Scheme != "sips":
		s.refused(x, 416, "Unsupported URI Scheme")
	case len(x.All("require")) > 0:
		s.refused(x, 420, "Bad Extension", "Unsupported: "+strings.Join(x.All("require"), ", "))
	case x.Get("content-encoding") != "" && !strings.EqualFold(x.Get("content-encoding"), "identity"):
		s.refused(x, 415, "Unsupported Media Type", "Accept-Encoding: identity")
	case x.Method == "MESSAGE" && !inCall:
		s.judge(x, s.message)
	case x.Method == "INVITE" && !inCall:
		s.judge(x, s.invite)
	case x.Method == "INVITE":
		s.refused(x, 488, "Not Acceptable Here") // a call is as it was agreed
	case x.Method == "INFO", x.Method == "BYE":
		s.config.Count(eventOther)
		s.calls.request(x)
	case x.Method == "OPTIONS":
		s.config.Count(eventOther)
		x.respond(200, "OK", []string{allowed, "Accept: text/plain, application/sdp"})
	default:
		s.refused(x, 405, "Method Not Allowed", allowed)
	}
}

func (s *Server) refused(x *exchange, code int, reason string, fields ...string) {
	s.config.Count(eventOther)
	x.respond(code, reason, fields)
}

// judge runs what needs a verdict, if there is room for one more.
func (s *Server) judge(x *exchange, run func(*exchange, func())) {
	if !s.slot() {
		x.refuse(errTooMany)
		return
	}
	s.work.Go(func() {
		free := true
		leave := func() {
			if free {
				free = false
				<-s.slots
			}
		}
		defer leave()
		run(x, leave)
	})
}

func (s *Server) slot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// message has the owner judge a MESSAGE.
func (s *Server) message(x *exchange, leave func()) {
	if t := x.MediaType(); t != "text/plain" {
		s.refused(x, 415, "Unsupported Media Type", "Accept: text/plain")
		return
	}
	ctx, cancel := context.WithTimeout(s.base, verdictTimeout)
	defer cancel()
	err := s.owner.Message(ctx, x.request())
	leave() // before who waits for room is told
	if err != nil {
		x.refuse(err)
		return
	}
	s.config.Count(eventMessage)
	x.respond(200, "OK", nil)
}

// request is what the owner gets to see.
func (x *exchange) request() Request {
	return Request{User: x.User, Identity: x.All("identity"), Type: x.MediaType(), Body: x.Body}
}

// contact is where requests within a call go, at the transport of its first.
func (s *Server) contact(f flow) string {
	c := "<sip:" + s.config.Contact
	if f.transport != "UDP" {
		c += ";transport=" + strings.ToLower(f.transport)
	}
	return c + ">"
}
