package idp

import (
	"context"
	"crypto/tls"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// visitTime bounds one visit.
const visitTime = 10 * time.Second

// hidden finds the request in the page, refusal the words of one.
var (
	hidden  = regexp.MustCompile(`name="request" value="([^"]+)"`)
	refusal = regexp.MustCompile(`role="alert">([^<]*)<`)
)

// Visit opens an address in a browser of its own, signs in there with the
// account of that name, and follows to where the client waits, as the person
// would. It returns what the last page says.
func (p *Provider) Visit(ctx context.Context, address, name string) (string, error) {
	p.mu.Lock()
	a, ok := p.accounts[name]
	var password string
	if ok {
		password = a.Password
	}
	p.mu.Unlock()
	if !ok {
		return "", ErrAccount
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", fmt.Errorf("idp: %w", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.config.Roots, Time: p.config.Now}}
	defer transport.CloseIdleConnections()
	b := browser{&http.Client{Jar: jar, Timeout: visitTime, Transport: transport}}
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" {
		return "", fmt.Errorf("%w: not an https address", ErrVisit)
	}
	text, err := b.open(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", err
	}
	found := hidden.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%w: %s", ErrVisit, words(text))
	}
	form := url.Values{"request": {html.UnescapeString(found[1])}, "name": {name}, "password": {password}}
	return b.open(ctx, http.MethodPost, &url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/authorize"}, form)
}

// words is what a page refuses with.
func words(text string) string {
	if found := refusal.FindStringSubmatch(text); found != nil {
		return html.UnescapeString(found[1])
	}
	return "there is no form"
}

// browser is what a person looks at pages with.
type browser struct{ *http.Client }

func (b browser) open(ctx context.Context, method string, at *url.URL, form url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("idp: %w", err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.Do(req)
	if err != nil {
		return "", fmt.Errorf("idp: the page does not open: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("idp: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%w: %s", ErrVisit, words(string(text)))
	}
	return string(text), nil
}
