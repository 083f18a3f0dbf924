package mailnet

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"whither/internal/dkim"
	"whither/internal/smtpout"
	"whither/key"
)

// KeyType is a type of DKIM key.
type KeyType string

// The key types that providers have.
const (
	RSA2048 KeyType = "rsa" // what nearly every provider has
	Ed25519 KeyType = "ed25519"
)

// Message is a message in a mailbox.
type Message struct {
	From string // reverse-path, "" for none
	Raw  []byte // as delivered, below the provider's trace fields
	At   time.Time
}

// Signing says how a provider departs from signing as it should. The zero value
// is no departure.
type Signing struct {
	Off      bool     // do not sign
	Domain   string   // sign as this domain instead
	Selector string   // sign with this key instead of the current one
	Fields   []string // sign only these header fields
	AnyFrom  bool     // let a mailbox write another address into From
}

// Provider is the mail provider of one domain: a CSIP in the words of the
// requirements.
type Provider struct {
	net    *Network
	domain string
	host   string // of its mail server
	server *mailServer
	client *smtpout.Client

	mu        sync.Mutex
	mailboxes map[string][]Message // by lower-case address
	arrived   chan struct{}        // closed and replaced at every arrival
	keys      map[string]dkim.PrivateKey
	current   string
	made      int // keys ever made
	signing   Signing
	putOff    int
}

// AddProvider starts the provider of a domain, with a DKIM key of that type
// published, and an MX record.
func (n *Network) AddProvider(domain string, kind KeyType, mailboxes ...string) (*Provider, error) {
	p := &Provider{
		net: n, domain: domain, host: "mx." + domain, mailboxes: make(map[string][]Message),
		arrived: make(chan struct{}), keys: make(map[string]dkim.PrivateKey), client: n.Client("mx." + domain),
	}
	for _, address := range mailboxes {
		p.Open(address)
	}
	certificate, err := n.Certificate(p.host)
	if err != nil {
		return nil, err
	}
	if p.server, err = startServer(p, certificate); err != nil {
		return nil, err
	}
	if err := n.adopt(p); err != nil {
		_ = p.stop()
		return nil, err
	}
	if _, err := p.Rotate(kind); err != nil {
		return nil, err // Close stops it
	}
	n.Announce(p.host, p.server.port)
	n.DNS.SetMX(domain, p.host)
	return p, nil
}

func (n *Network) adopt(p *Provider) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case n.providers[p.domain] != nil:
		return ErrTaken
	}
	n.providers[p.domain] = p
	return nil
}

func (p *Provider) stop() error { return p.server.close() }

// Domain returns the provider's domain.
func (p *Provider) Domain() string { return p.domain }

// Open makes a mailbox. Addresses are compared in lower case.
func (p *Provider) Open(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address = strings.ToLower(address)
	if _, ok := p.mailboxes[address]; !ok {
		p.mailboxes[address] = nil
	}
}

// Delete ends a mailbox and all that is in it.
func (p *Provider) Delete(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.mailboxes, strings.ToLower(address))
}

// Inbox returns what is in a mailbox, oldest first.
func (p *Provider) Inbox(address string) ([]Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, ok := p.mailboxes[strings.ToLower(address)]
	if !ok {
		return nil, ErrNoMailbox
	}
	return slices.Clone(messages), nil
}

// Wait returns the first message in a mailbox that matches, at once or when it
// arrives. A nil match takes any.
func (p *Provider) Wait(ctx context.Context, address string, match func(Message) bool) (Message, error) {
	for {
		p.mu.Lock()
		arrived := p.arrived
		p.mu.Unlock()
		messages, err := p.Inbox(address)
		if err != nil {
			return Message{}, err
		}
		for _, m := range messages {
			if match == nil || match(m) {
				return m, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Message{}, ctx.Err()
		}
	}
}

// has reports whether the provider has this mailbox.
func (p *Provider) has(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.mailboxes[strings.ToLower(address)]
	return ok
}

// store puts a message into a mailbox, unless that has gone meanwhile.
func (p *Provider) store(address string, m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address = strings.ToLower(address)
	if _, ok := p.mailboxes[address]; !ok {
		return
	}
	p.mailboxes[address] = append(p.mailboxes[address], m)
	close(p.arrived)
	p.arrived = make(chan struct{})
}

// PutOff makes the provider answer the next n recipients with 451, as one does
// that greylists.
func (p *Provider) PutOff(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.putOff = n
}

func (p *Provider) puttingOff() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.putOff == 0 {
		return false
	}
	p.putOff--
	return true
}

// SetSigning changes how mail is signed from now on.
func (p *Provider) SetSigning(s Signing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signing = s
}

// Selector returns the selector that is signed with.
func (p *Provider) Selector() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// Rotate makes and publishes a key under a new selector and signs with it from
// now on. The keys before it stay published until they are withdrawn, since
// mail that they signed is still under way.
func (p *Provider) Rotate(kind KeyType) (selector string, err error) {
	k, err := makeKey(kind)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.made++
	selector = fmt.Sprintf("k%d", p.made)
	p.keys[selector] = k
	p.current = selector
	p.mu.Unlock()
	return selector, p.Publish(selector)
}

func makeKey(kind KeyType) (dkim.PrivateKey, error) {
	switch kind {
	case RSA2048:
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return dkim.PrivateKey{}, fmt.Errorf("mailnet: %w", err)
		}
		return dkim.RSA(k)
	case Ed25519:
		k, err := key.Generate(rand.Reader)
		if err != nil {
			return dkim.PrivateKey{}, fmt.Errorf("mailnet: %w", err)
		}
		return dkim.Ed25519(k), nil
	}
	return dkim.PrivateKey{}, fmt.Errorf("%w: type %q", ErrNoKey, kind)
}

// Publish puts the record of a key into the zone.
func (p *Provider) Publish(selector string) error {
	p.mu.Lock()
	k, ok := p.keys[selector]
	p.mu.Unlock()
	if !ok {
		return ErrNoKey
	}
	record, err := k.Record()
	if err != nil {
		return err
	}
	p.net.DNS.SetTXT(keyName(p.domain, selector), record)
	return nil
}

// Withdraw takes the record of a key out of the zone. The provider can still
// sign with it, see [Signing].
func (p *Provider) Withdraw(selector string) { p.net.DNS.Remove(keyName(p.domain, selector)) }

// Key returns a signing key, for tests in which it has leaked.
func (p *Provider) Key(selector string) (dkim.PrivateKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k, ok := p.keys[selector]
	if !ok {
		return dkim.PrivateKey{}, ErrNoKey
	}
	return k, nil
}

// Send takes a message from the owner of a mailbox, signs it and delivers it to
// the mail server of to's domain. The mailbox must be the author in From.
func (p *Provider) Send(ctx context.Context, from, to string, raw []byte) error {
	if !p.has(from) {
		return ErrNoMailbox
	}
	signed, err := p.sign(from, raw)
	if err != nil {
		return err
	}
	return p.client.Send(ctx, from, to, signed)
}

func (p *Provider) sign(from string, raw []byte) ([]byte, error) {
	p.mu.Lock()
	s, selector := p.signing, p.current
	if s.Selector != "" {
		selector = s.Selector
	}
	k, ok := p.keys[selector]
	p.mu.Unlock()
	if !s.AnyFrom {
		if err := checkAuthor(from, raw); err != nil {
			return nil, err
		}
	}
	if s.Off {
		return raw, nil
	}
	if !ok {
		return nil, ErrNoKey
	}
	o := dkim.SignOptions{Domain: p.domain, Selector: selector, Key: k, Time: p.net.now(), Fields: s.Fields}
	if s.Domain != "" {
		o.Domain = s.Domain
	}
	return dkim.Sign(raw, o)
}

// checkAuthor refuses mail in another's name. That a provider does so is what
// its signature is worth.
func checkAuthor(from string, raw []byte) error {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMessage, err)
	}
	author, err := mail.ParseAddress(m.Header.Get("From"))
	if err != nil || len(m.Header["From"]) != 1 || !strings.EqualFold(author.Address, from) {
		return ErrSpoof
	}
	return nil
}
