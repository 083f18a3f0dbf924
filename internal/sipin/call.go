package sipin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"whither/internal/sipin/rtp"
	"whither/internal/sipin/syntax"
)

// Time limits of a call (RFC 3261 section 17: T1, T2, 64·T1).
const (
	callLife   = 2 * time.Minute
	firstAgain = 500 * time.Millisecond
	mostAgain  = 4 * time.Second
	ackTimeout = 32 * time.Second
	byeTimeout = 4 * time.Second
	maxPressed = 32 // keys that wait to be looked at
	maxRoutes  = 8
)

// calls are the answered calls.
type calls struct {
	max int

	mu      sync.Mutex
	taken   int
	stopped bool
	empty   chan struct{}            // closed when stopped and the last one has gone
	open    map[string]*call         // by dialog
	waiting map[string]chan struct{} // by the branch of a BYE
}

func newCalls(max int) *calls {
	return &calls{max: max, empty: make(chan struct{}), open: make(map[string]*call), waiting: make(map[string]chan struct{})}
}

// call is an answered call: a dialog of RFC 3261 section 12.
type call struct {
	dialog  string
	flow    flow
	invite  *syntax.Message
	tag     string // ours
	target  string // Request-URI of what is sent to the caller
	pressed chan press

	once  sync.Once
	ended chan struct{} // the caller has hung up, or the server stops
	ack   sync.Once
	acked chan struct{}
	mu    sync.Mutex
	seq   uint64 // of the caller's last request
}

// press is a key, and what answers the request that brought it.
type press struct {
	key  byte
	seen func()
}

// take reserves room for a call.
func (c *calls) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.taken >= c.max {
		return false
	}
	c.taken++
	return true
}

func (c *calls) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	if c.stopped && c.taken == 0 {
		close(c.empty)
	}
}

func (c *calls) enter(one *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.open[one.dialog]; known || c.stopped {
		return false
	}
	c.open[one.dialog] = one
	return true
}

// forget lets no more requests find a call, and answers those that wait.
func (c *calls) forget(one *call) {
	c.mu.Lock()
	delete(c.open, one.dialog)
	c.mu.Unlock()
	for {
		select {
		case p := <-one.pressed:
			p.seen()
		default:
			return
		}
	}
}

// endAll has every call end, lets no more begin, and waits for it a little.
func (c *calls) endAll() {
	c.mu.Lock()
	if !c.stopped {
		c.stopped = true
		if c.taken == 0 {
			close(c.empty)
		}
	}
	for _, one := range c.open {
		one.hangUp()
	}
	c.mu.Unlock()
	late := time.NewTimer(byeTimeout)
	defer late.Stop()
	select {
	case <-c.empty:
	case <-late.C:
	}
}

func (c *call) hangUp() { c.once.Do(func() { close(c.ended) }) }

// dialogOf names the dialog of a caller's request.
func dialogOf(m *syntax.Message, ours string) string {
	return m.Get("call-id") + " " + ours + " " + m.Tag("from")
}

func (c *calls) find(m *syntax.Message) (*call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.open[dialogOf(m, m.Tag("to"))]
	return one, ok
}

// acked takes the ACK of an answer with success; others need nothing.
func (c *calls) acked(m *syntax.Message) {
	if one, ok := c.find(m); ok && m.Seq == one.invite.Seq {
		one.ack.Do(func() { close(one.acked) })
	}
}

// response takes the answer to a BYE.
func (c *calls) response(branch string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, ok := c.waiting[branch]; ok {
		close(w)
		delete(c.waiting, branch)
	}
}

// request takes a request within a call.
func (c *calls) request(x *exchange) {
	one, ok := c.find(x.Message)
	if !ok {
		x.respond(481, "Call/Transaction Does Not Exist", nil)
		return
	}
	one.mu.Lock()
	inOrder := x.Seq > one.seq
	if inOrder {
		one.seq = x.Seq
	}
	one.mu.Unlock()
	if !inOrder {
		x.respond(500, "Out of order", nil)
		return
	}
	if x.Method == "BYE" {
		x.respond(200, "OK", nil)
		one.hangUp()
		return
	}
	key, ok := syntax.KeyOf(x.MediaType(), x.Body)
	if !ok {
		if len(x.Body) == 0 {
			x.respond(200, "OK", nil) // to see whether the call is still there
			return
		}
		x.respond(415, "Unsupported Media Type", []string{"Accept: application/dtmf-relay, application/dtmf"})
		return
	}
	if !c.press(one, press{key, func() { x.respond(200, "OK", nil) }}) {
		x.respond(503, "Too fast", []string{"Retry-After: 1"})
	}
}

// press hands a key to a call that goes on.
func (c *calls) press(one *call, p press) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[one.dialog] != one {
		return false
	}
	select {
	case one.pressed <- p:
		return true
	default:
		return false
	}
}

// invite has the owner judge an INVITE; leave ends the verdict, after which the
// call goes on.
func (s *Server) invite(x *exchange, leave func()) {
	sound, ok := syntax.ParseOffer(x.Body)
	if x.MediaType() != "application/sdp" || !ok || s.config.Media == "" {
		s.refused(x, 488, "Not Acceptable Here")
		return
	}
	target, err := x.Target()
	if err != nil || len(x.All("record-route")) > maxRoutes {
		s.refused(x, 400, "Bad Request")
		return
	}
	if !s.calls.take() {
		x.refuse(errTooMany)
		return
	}
	c := &call{
		flow: x.flow, invite: x.Message, tag: token(), target: target, seq: x.Seq,
		pressed: make(chan press, maxPressed), ended: make(chan struct{}), acked: make(chan struct{}),
	}
	c.dialog = dialogOf(x.Message, c.tag)
	room := sync.OnceFunc(s.calls.leave) // given back before who waits for it is told
	defer room()
	ctx, cancel := context.WithTimeout(s.base, verdictTimeout)
	defer cancel()
	s.past.onCancel(x.key, cancel)
	prompt, err := s.owner.Call(ctx, x.request())
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		room()
		s.refused(x, 487, "Request Terminated")
		return
	case err != nil:
		room()
		x.refuse(err)
		return
	}
	leave()
	if err := s.answerCall(ctx, x, c, sound, prompt); err != nil {
		room()
		x.refuse(err)
	}
}

// answerCall answers a call and holds it until its code is entered.
func (s *Server) answerCall(ctx context.Context, x *exchange, c *call, sound syntax.Offer, p Prompt) error {
	media, err := rtp.Open(ctx, rtp.Config{
		Local: s.config.Media, Remote: sound.At, Law: sound.Law, Events: sound.Events, Sound: s.config.Announcement,
	})
	if err != nil {
		return err
	}
	defer media.Close()
	if !s.calls.enter(c) {
		return errTooMany
	}
	fields := append([]string{"Contact: " + s.contact(x.flow), allowed, "Content-Type: application/sdp"}, s.advice(p.Notice)...)
	for _, r := range x.All("record-route") {
		fields = append(fields, "Record-Route: "+r)
	}
	answer := x.Answer(200, "OK", c.tag, fields, sound.Answer(s.config.Media, media.Port()))
	if !s.past.end(x.key, answer) {
		s.calls.forget(c)
		return nil
	}
	s.config.Count(eventCall)
	why, cause := s.hold(c, answer, media.Keys(), p)
	s.calls.forget(c)
	if why != "" {
		s.bye(c, cause, why)
	}
	return nil
}

// hold waits for the code of a call. It returns how and why the call is to be
// ended, "" if the caller has hung up.
func (s *Server) hold(c *call, answer []byte, heard <-chan byte, p Prompt) (why string, cause int) {
	life, again := time.NewTimer(callLife), time.NewTimer(firstAgain)
	defer life.Stop()
	defer again.Stop()
	pause, waited := firstAgain, time.Duration(0)
	acked := c.acked
	entered := code{want: p.Digits}
	for {
		var one press
		select {
		case <-acked:
			acked = nil
			again.Stop()
			continue
		case <-again.C: // section 13.3.1.4
			if waited += pause; waited >= ackTimeout {
				return "the call was not confirmed", 408
			}
			pause = min(2*pause, mostAgain)
			c.flow.send(answer)
			again.Reset(pause)
			continue
		case <-life.C:
			return "no code was entered", 408
		case <-c.ended:
			return s.stopping()
		case one = <-c.pressed:
		case k := <-heard:
			one = press{key: k, seen: func() {}}
		}
		if !entered.press(one.key) {
			one.seen()
			continue
		}
		why, cause = s.enter(entered.digits, p)
		one.seen() // the verdict is stored
		return why, cause
	}
}

// stopping tells a caller who has hung up from a server that stops.
func (s *Server) stopping() (why string, cause int) {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	if s.calls.stopped {
		return "the server stops; call again", 503
	}
	return "", 0
}

// enter has the owner judge a code.
func (s *Server) enter(digits string, p Prompt) (why string, cause int) {
	ctx, cancel := context.WithTimeout(s.base, verdictTimeout)
	defer cancel()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return "cannot judge this now; call again", 503
	}
	err := p.Enter(ctx, digits)
	var r *Refusal
	switch {
	case err == nil:
		s.config.Count(eventCode)
		return "the code is right", 200
	case errors.As(err, &r):
		s.config.Count(eventRefused)
		return r.Reason + "; " + r.Advice, r.Code
	default:
		s.config.Count(eventBusy)
		return "cannot judge this now; call again", 503
	}
}

// bye ends a call: it sends the request along the way on which the call came,
// and waits a little for the answer; over UDP it sends it again meanwhile.
func (s *Server) bye(c *call, cause int, why string) {
	branch := syntax.MagicCookie + token()
	answered := make(chan struct{})
	s.calls.mu.Lock()
	s.calls.waiting[branch] = answered
	s.calls.mu.Unlock()
	defer s.calls.response(branch)
	request := c.request(s.config.Contact, branch, cause, why)
	late := time.NewTimer(byeTimeout)
	defer late.Stop()
	for pause := firstAgain; ; pause = min(2*pause, mostAgain) {
		if pause == firstAgain || c.flow.transport == "UDP" {
			c.flow.send(request)
		}
		again := time.NewTimer(pause)
		select {
		case <-answered:
		case <-late.C:
		case <-again.C:
			continue
		}
		again.Stop()
		return
	}
}

// request is a BYE with the reason (RFC 3326).
func (c *call) request(host, branch string, cause int, why string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "BYE %s SIP/2.0\r\nVia: SIP/2.0/%s %s;branch=%s;rport\r\nMax-Forwards: 70\r\n", c.target, c.flow.transport, host, branch)
	for _, r := range c.invite.All("record-route") {
		b.WriteString("Route: " + r + "\r\n")
	}
	fmt.Fprintf(&b, "From: %s;tag=%s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 BYE\r\n", c.invite.Get("to"), c.tag, c.invite.Get("from"), c.invite.Get("call-id"))
	fmt.Fprintf(&b, "Reason: SIP;cause=%s;text=%s\r\nContent-Length: 0\r\n\r\n", strconv.Itoa(cause), quoted(why))
	return b.Bytes()
}

// code collects pressed keys.
type code struct {
	digits string
	want   int
}

// press takes one key and reports whether the code is complete.
func (c *code) press(k byte) bool {
	switch {
	case k == '#':
		return true
	case k == '*':
		c.digits = ""
	case k >= '0' && k <= '9':
		c.digits += string(k)
	}
	return len(c.digits) >= c.want
}
