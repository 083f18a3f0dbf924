package phonenet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

// Errors of carriers.
var (
	ErrNoCarrier = errors.New("phonenet: no carrier has this number")
	ErrRoute     = errors.New("phonenet: no way leads to this SIP address")
	ErrKeys      = errors.New("phonenet: no key of a phone")
)

// CarriersConfig is what the carriers of a network share.
type CarriersConfig struct {
	// Repository is the host at which their certificates are published.
	Repository string
	// Certificate issues the TLS certificate of that host.
	Certificate func(hosts ...string) (tls.Certificate, error)
}

// Carriers are the carriers of a network with the infrastructure that they
// share: one root of certificates (RFC 8226) and one repository of them, over
// HTTPS.
type Carriers struct {
	network   *Network
	config    CarriersConfig
	root      *stirtest.Party
	authority *stirtest.Party // root of those who have authority over numbers
	server    *http.Server
	port      int
	done      chan error

	mu     sync.Mutex
	all    []*Carrier
	routes map[string]string // SIP domain to host:port
	blocks map[string]string // prefix of numbers, with +, to SIP domain
}

// StartCarriers starts the root and the repository of a network's carriers.
func (n *Network) StartCarriers(ctx context.Context, c CarriersConfig) (*Carriers, error) {
	certificate, err := c.Certificate(c.Repository)
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	out := &Carriers{network: n, config: c, done: make(chan error, 1), routes: make(map[string]string), blocks: make(map[string]string)}
	k, err := newKey()
	if err != nil {
		return nil, err
	}
	if out.root, err = stirtest.Root(out.profile("root of the carriers", k)); err != nil {
		return nil, err
	}
	if k, err = newKey(); err != nil {
		return nil, err
	}
	if out.authority, err = stirtest.Root(out.profile("root of authorities over numbers", k)); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	if at, ok := l.Addr().(*net.TCPAddr); ok {
		out.port = at.Port
	}
	out.server = &http.Server{
		Handler: http.HandlerFunc(out.publish), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, Time: n.now},
	}
	go func() { out.done <- out.server.ServeTLS(l, "", "") }()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.carriers = out
	return out, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("phonenet: %w", err)
	}
	return k, nil
}

// profile is a certificate that lives longer than worlds do.
func (c *Carriers) profile(name string, k *ecdsa.PrivateKey) stirtest.Profile {
	now := c.network.now()
	return stirtest.Profile{Name: name, Key: k, From: now.AddDate(-1, 0, 0), Until: now.AddDate(10, 0, 0)}
}

// Root is the certificate in DER of the carriers' root.
func (c *Carriers) Root() []byte { return c.root.Certificate.Raw }

// AuthorityRoot is that of the root of authorities over numbers.
func (c *Carriers) AuthorityRoot() []byte { return c.authority.Certificate.Raw }

// Port is where the repository of certificates listens.
func (c *Carriers) Port() int { return c.port }

// Issue issues a certificate under the carriers' root, for those that misbehave.
func (c *Carriers) Issue(p stirtest.Profile) (*stirtest.Party, error) { return c.root.Issue(p) }

// publish is the repository: GET /NAME.pem.
func (c *Carriers) publish(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		if r.Method == http.MethodGet && r.URL.Path == "/"+one.name+".pem" {
			w.Header().Set("Content-Type", "application/pem-certificate-chain")
			w.Header().Set("Cache-Control", "max-age=3600")
			certificates := one.signer.PEM()
			if change := one.misbehaviour().Published; change != nil {
				certificates = change(certificates)
			}
			_, _ = w.Write(certificates)
			return
		}
	}
	http.NotFound(w, r)
}

// Route says where SIP for a domain is delivered: what DNS and the agreements of
// carriers say in the world.
func (c *Carriers) Route(domain, address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.routes[domain] = address
}

// RouteNumbers says to which domain calls of numbers with a prefix, as +4144555,
// are delivered.
func (c *Carriers) RouteNumbers(prefix, domain string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks[prefix] = domain
}

// uri returns the SIP URI to which something for a SIP address or a number goes,
// and where that is.
func (c *Carriers) uri(to string) (sip.Uri, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if number, ok := strings.CutPrefix(to, "tel:"); ok {
		to = ""
		for prefix, domain := range c.blocks {
			if strings.HasPrefix(number, prefix) {
				to = "sip:" + number + "@" + domain + ";user=phone"
			}
		}
	}
	var uri sip.Uri
	if err := sip.ParseUri(to, &uri); err != nil || uri.Scheme != "sip" || uri.User == "" {
		return sip.Uri{}, "", ErrRoute
	}
	address, ok := c.routes[uri.Host]
	if !ok {
		return sip.Uri{}, "", ErrRoute
	}
	return uri, address, nil
}

// Add adds a carrier with a service provider code, for the numbers with one of
// the prefixes, as +4179.
func (c *Carriers) Add(name, code string, prefixes ...string) (*Carrier, error) {
	k, err := newKey()
	if err != nil {
		return nil, err
	}
	profile := c.profile(name, k)
	profile.List = tnauth.List{{Code: code}}
	signer, err := c.root.Issue(profile)
	if err != nil {
		return nil, err
	}
	one := &Carrier{carriers: c, name: name, code: code, prefixes: prefixes, signer: signer, calls: make(map[string]chan string)}
	if err := one.start(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
	return one, nil
}

// Of returns the carrier of a number that a phone has.
func (c *Carriers) Of(number string) (*Carrier, error) { return c.network.of(number) }

func (c *Carriers) close() error {
	err := c.server.Close()
	if served := <-c.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	c.mu.Lock()
	all := c.all
	c.mu.Unlock()
	for _, one := range all {
		err = errors.Join(err, one.ua.Close())
	}
	return err
}

// of returns the carrier of a number that a phone has.
func (n *Network) of(number string) (*Carrier, error) {
	n.mu.Lock()
	c := n.carriers
	_, there := n.phones[number]
	n.mu.Unlock()
	if !there {
		return nil, ErrNoPhone
	}
	if c == nil {
		return nil, ErrNoCarrier
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		for _, p := range one.prefixes {
			if strings.HasPrefix(number, p) {
				return one, nil
			}
		}
	}
	return nil, ErrNoCarrier
}

// Send has a phone send a text to a SIP address.
func (n *Network) Send(ctx context.Context, from, to, text string) error {
	c, err := n.of(from)
	if err != nil {
		return err
	}
	return c.message(ctx, from, to, text)
}

// Call has a phone call a SIP address, or a number as tel:+4144555123456, and
// press keys once the call is answered.
// It returns nil if the other side then hangs up content.
func (n *Network) Call(ctx context.Context, from, to, keys string) error {
	c, err := n.of(from)
	if err != nil {
		return err
	}
	if strings.Trim(keys, "0123456789*#") != "" {
		return ErrKeys
	}
	return c.call(ctx, from, to, keys)
}

// Fault lets a carrier misbehave. Members may be nil.
type Fault struct {
	// Claims and Signing change a PASSporT before it is signed.
	Claims  func(*passport.Claims)
	Signing func(*passport.Signing)
	// Identity changes the values of the Identity fields.
	Identity func([]string) []string
	// Body changes a message after it was signed.
	Body func(string) string
	// Published changes the certificates in the repository, in PEM. Who has fetched
	// them keeps them; the place is the same with a query behind it.
	Published func([]byte) []byte
	// Tap sees each value of Identity on its way.
	Tap func(identity string)
}

// Carrier is a carrier: it signs that a message or a call comes from a number of
// its own, and passes it on.
type Carrier struct {
	carriers *Carriers
	name     string
	code     string
	prefixes []string
	signer   *stirtest.Party
	ua       *sipgo.UserAgent
	client   *sipgo.Client
	dialogs  *sipgo.DialogClientCache

	mu    sync.Mutex
	fault Fault
	calls map[string]chan string // Reason of the BYE, by Call-ID
}

// Misbehave lets the carrier misbehave from now on, or no more.
func (c *Carrier) Misbehave(f Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = f
}

// CertificatesURL is where the carrier's certificates are published.
func (c *Carrier) CertificatesURL() string {
	return fmt.Sprintf("https://%s:%d/%s.pem", c.carriers.config.Repository, c.carriers.port, c.name)
}

// silence keeps the library from writing to the program's own log, which it does
// in a few places whatever loggers it is given.
var silence = sync.OnceFunc(func() { sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// start prepares the carrier's user agent.
func (c *Carrier) start() error {
	silence()
	quiet := slog.New(slog.DiscardHandler)
	var err error
	c.ua, err = sipgo.NewUA(sipgo.WithUserAgent(c.name), sipgo.WithUserAgentHostname(c.name),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(quiet)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(quiet)))
	if err != nil {
		return fmt.Errorf("phonenet: %w", err)
	}
	if c.client, err = sipgo.NewClient(c.ua, sipgo.WithClientHostname("127.0.0.1"), sipgo.WithClientConnectionAddr("127.0.0.1:0"), sipgo.WithClientLogger(quiet)); err != nil {
		return fmt.Errorf("phonenet: %w", err)
	}
	server, err := sipgo.NewServer(c.ua, sipgo.WithServerLogger(quiet))
	if err != nil {
		return fmt.Errorf("phonenet: %w", err)
	}
	c.dialogs = sipgo.NewDialogClientCache(c.client, sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: c.name, Host: "127.0.0.1"}})
	server.OnBye(c.hungUp)
	return nil
}

// hungUp takes the end of a call by the other side, which comes along the way of
// the call.
func (c *Carrier) hungUp(req *sip.Request, tx sip.ServerTransaction) {
	_ = c.dialogs.ReadBye(req, tx)
	reason := ""
	if h := req.GetHeader("Reason"); h != nil {
		reason = h.Value()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended, ok := c.calls[req.CallID().Value()]; ok {
		select {
		case ended <- reason:
		default:
		}
	}
}

// sign returns the Identity fields for what goes from a number to an address.
func (c *Carrier) sign(from, to string, e passport.Extension, text string) ([]string, error) {
	claims := passport.Claims{
		IssuedAt: c.carriers.network.now(), Orig: passport.Party{TN: strings.TrimPrefix(from, "+")},
		Dest: passport.Destinations{URI: []string{to}},
	}
	if number, ok := strings.CutPrefix(to, "tel:+"); ok {
		claims.Dest = passport.Destinations{TN: []string{number}}
	}
	if e == passport.Shaken {
		id, err := random(16)
		if err != nil {
			return nil, err
		}
		claims.Attest, claims.OrigID = "A", id[:8]+"-"+id[8:12]+"-"+id[12:16]+"-"+id[16:20]+"-"+id[20:]
	} else {
		var err error
		if claims.MessageHash, err = passport.HashMessage("sha256", []byte(text)); err != nil {
			return nil, err
		}
	}
	signing := passport.Signing{Extension: e, X5U: c.CertificatesURL(), Key: c.signer.Key}
	fault := c.misbehaviour()
	if fault.Claims != nil {
		fault.Claims(&claims)
	}
	if fault.Signing != nil {
		fault.Signing(&signing)
	}
	token, err := claims.Sign(signing)
	if err != nil {
		return nil, err
	}
	p, err := passport.Parse(token)
	if err != nil {
		return nil, err
	}
	values := []string{passport.IdentityOf(p).Value()}
	if fault.Identity != nil {
		values = fault.Identity(values)
	}
	if fault.Tap != nil {
		for _, v := range values {
			fault.Tap(v)
		}
	}
	return values, nil
}

func (c *Carrier) misbehaviour() Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fault
}

// request builds what goes from a number to an address, and finds its way.
func (c *Carrier) request(method sip.RequestMethod, from, to, mediaType string, identity []string, body []byte) (*sip.Request, error) {
	uri, address, err := c.carriers.uri(to)
	if err != nil {
		return nil, err
	}
	req := sip.NewRequest(method, uri)
	tag, err := random(8)
	if err != nil {
		return nil, err
	}
	req.AppendHeader(sip.NewHeader("From", fmt.Sprintf("<sip:%s@%s;user=phone>;tag=%s", from, c.name, tag)))
	req.AppendHeader(sip.NewHeader("Date", c.carriers.network.now().UTC().Format(http.TimeFormat)))
	for _, v := range identity {
		req.AppendHeader(sip.NewHeader("Identity", v))
	}
	req.AppendHeader(sip.NewHeader("Content-Type", mediaType))
	req.SetBody(body)
	req.SetDestination(address)
	// RFC 3261 section 18.1.1; the library adds fields of its own.
	req.SetTransport("TCP")
	if len(req.String()) < 1000 {
		req.SetTransport("UDP")
	}
	return req, nil
}

// message sends a text.
func (c *Carrier) message(ctx context.Context, from, to, text string) error {
	identity, err := c.sign(from, to, passport.Message, text)
	if err != nil {
		return err
	}
	if change := c.misbehaviour().Body; change != nil {
		text = change(text)
	}
	req, err := c.request(sip.MESSAGE, from, to, "text/plain;charset=UTF-8", identity, []byte(text))
	if err != nil {
		return err
	}
	res, err := c.client.Do(ctx, req)
	if err != nil {
		return fmt.Errorf("phonenet: message: %w", err)
	}
	return outcome(res)
}

// Refused is an answer other than success.
type Refused struct {
	Code   int
	Reason string
	Advice string // the words of the Warning field
}

// Error says what the phone shows.
func (r *Refused) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("phonenet: %d %s; %s", r.Code, r.Reason, r.Advice), "; ")
}

func outcome(res *sip.Response) error {
	if res.IsSuccess() {
		return nil
	}
	r := &Refused{Code: res.StatusCode, Reason: res.Reason}
	if w := res.GetHeader("Warning"); w != nil {
		_, text, _ := strings.Cut(w.Value(), `"`)
		r.Advice = strings.TrimSuffix(text, `"`)
	}
	return r
}

// call calls, presses keys, and waits for the other side to hang up.
func (c *Carrier) call(ctx context.Context, from, to, keys string) error {
	identity, err := c.sign(from, to, passport.Shaken, "")
	if err != nil {
		return err
	}
	offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
	req, err := c.request(sip.INVITE, from, to, "application/sdp", identity, []byte(offer))
	if err != nil {
		return err
	}
	req.SetTransport("TCP") // calls have a connection, along which the other side hangs up
	id, err := random(16)
	if err != nil {
		return err
	}
	req.AppendHeader(sip.NewHeader("Call-ID", id))
	ended := make(chan string, 1)
	c.mu.Lock()
	c.calls[id] = ended
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.calls, id)
	}()
	dialog, err := c.dialogs.WriteInvite(ctx, req)
	if err != nil {
		return fmt.Errorf("phonenet: call: %w", err)
	}
	defer func() { _ = dialog.Close() }()
	if err := dialog.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
		var refused *sipgo.ErrDialogResponse
		if errors.As(err, &refused) {
			return outcome(refused.Res)
		}
		return fmt.Errorf("phonenet: call: %w", err)
	}
	if err := dialog.Ack(ctx); err != nil {
		return fmt.Errorf("phonenet: call: %w", err)
	}
	for _, k := range keys {
		info := sip.NewRequest(sip.INFO, dialog.InviteResponse.Contact().Address)
		info.AppendHeader(sip.NewHeader("Content-Type", "application/dtmf-relay"))
		info.SetBody([]byte(fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", k)))
		res, err := dialog.Do(ctx, info)
		if err != nil {
			return fmt.Errorf("phonenet: key: %w", err)
		}
		if err := outcome(res); err != nil {
			return err
		}
	}
	if keys == "" { // listens, and hangs up
		return dialog.Bye(ctx)
	}
	select {
	case reason := <-ended:
		return parted(reason)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parted reads the reason with which the other side hung up (RFC 3326).
func parted(reason string) error {
	if strings.Contains(reason, "cause=200;") {
		return nil
	}
	r := &Refused{Code: 603, Reason: "hung up"}
	if _, text, ok := strings.Cut(reason, `text="`); ok {
		r.Reason = strings.TrimSuffix(text, `"`)
	}
	return r
}
