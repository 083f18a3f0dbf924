package idp_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"whither/internal/jws"
	"whither/internal/world/idp"
	"whither/internal/world/mailnet"
)

const (
	issuer   = "https://id.example.org"
	verifier = "a-verifier-of-forty-three-characters-or-more"
)

// scene is a provider with one account and two clients, a browser, and a client
// that waits on loopback.
type scene struct {
	*idp.Provider
	t       *testing.T
	now     time.Time
	browser *http.Client
	waiting *httptest.Server
	got     url.Values // what came back to the client
}

func newScene(t *testing.T) *scene {
	t.Helper()
	world, err := mailnet.New(mailnet.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	s := &scene{t: t, now: time.Now()}
	s.Provider, err = idp.New(t.Context(), idp.Config{
		Issuer: issuer, Certificate: world.Certificate, Roots: world.Roots(), Now: func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddAccount(idp.Account{Name: "bob", Password: "secret", Address: "bob@example.org", Verified: true})
	s.Register("whither", "Whither")
	s.Register("shop", "A shop")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: world.Roots()}}
	t.Cleanup(transport.CloseIdleConnections)
	s.browser = &http.Client{Jar: jar, Transport: transport, Timeout: 10 * time.Second}
	s.waiting = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.got = r.URL.Query()
		_, _ = io.WriteString(w, "You may close this window.")
	}))
	t.Cleanup(s.waiting.Close)
	return s
}

// ask is a good authorization request.
func (s *scene) ask() url.Values {
	digest := sha256.Sum256([]byte(verifier))
	return url.Values{
		"response_type": {"code"}, "client_id": {"whither"}, "redirect_uri": {s.waiting.URL + idp.RedirectPath}, "scope": {"openid email"},
		"state": {"s"}, "nonce": {"n"}, "max_age": {"0"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(digest[:])}, "code_challenge_method": {"S256"},
	}
}

func (s *scene) address(q url.Values) string {
	return fmt.Sprintf("https://localhost:%d/authorize?%s", s.Port(), q.Encode())
}

// open opens an authorization request in the scene's browser.
func (s *scene) open(q url.Values) (int, string) {
	s.t.Helper()
	resp, err := s.browser.Get(s.address(q))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.read(resp)
}

func (s *scene) read(resp *http.Response) (int, string) {
	s.t.Helper()
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// enter fills in the form of a page.
func (s *scene) enter(page, name, password string) (int, string) {
	s.t.Helper()
	found := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(page)
	if found == nil {
		s.t.Fatalf("no form: %s", page)
	}
	resp, err := s.browser.PostForm(fmt.Sprintf("https://localhost:%d/authorize", s.Port()),
		url.Values{"request": {found[1]}, "name": {name}, "password": {password}})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.read(resp)
}

// exchange sends a code to the token endpoint; change spoils the form.
func (s *scene) exchange(code string, change func(url.Values)) (claims map[string]any, refused string) {
	s.t.Helper()
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"whither"}, "code": {code},
		"redirect_uri": {s.waiting.URL + idp.RedirectPath}, "code_verifier": {verifier},
	}
	if change != nil {
		change(form)
	}
	resp, err := s.browser.PostForm(fmt.Sprintf("https://localhost:%d/token", s.Port()), form)
	if err != nil {
		s.t.Fatal(err)
	}
	_, text := s.read(resp)
	var answer struct {
		Error string `json:"error"`
		Token string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		s.t.Fatal(err)
	}
	if answer.Error != "" {
		return nil, answer.Error
	}
	m, err := jws.Parse([]byte(answer.Token), 1<<16)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(m.Payload, &claims); err != nil {
		s.t.Fatal(err)
	}
	return claims, ""
}

func TestSignIn(t *testing.T) {
	s := newScene(t)
	q := s.ask()
	q.Set("claims", `{"id_token":{"preferred_username":{"essential":true}}}`)
	text, err := s.Visit(t.Context(), s.address(q), "bob")
	if err != nil || !strings.Contains(text, "close this window") {
		t.Fatalf("%q, %v", text, err)
	}
	if s.got.Get("state") != "s" || s.got.Get("iss") != issuer {
		t.Errorf("came back with %v", s.got)
	}
	claims, refused := s.exchange(s.got.Get("code"), nil)
	if refused != "" {
		t.Fatal(refused)
	}
	for name, want := range map[string]any{
		"iss": issuer, "aud": "whither", "nonce": "n", "email": "bob@example.org", "email_verified": true,
		"preferred_username": "bob", "auth_time": float64(s.now.Unix()),
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, not %v", name, claims[name], want)
		}
	}
	if _, refused := s.exchange(s.got.Get("code"), nil); refused != "invalid_grant" {
		t.Errorf("a code for the second time: %q", refused)
	}
}

// TestClientsAreHeldToTheirContract: who breaks it is told, or where there is
// nobody to tell, the person.
func TestClientsAreHeldToTheirContract(t *testing.T) {
	s := newScene(t)
	for name, test := range map[string]struct {
		change func(url.Values)
		page   string // said to the person
		back   string // error that goes back
	}{
		"unknown client":     {func(q url.Values) { q.Set("client_id", "stranger") }, "not registered", ""},
		"redirect to a site": {func(q url.Values) { q.Set("redirect_uri", "https://shop.example"+idp.RedirectPath) }, "elsewhere", ""},
		"redirect to a name": {func(q url.Values) { q.Set("redirect_uri", "http://localhost:1"+idp.RedirectPath) }, "elsewhere", ""},
		"redirect elsewhere": {func(q url.Values) { q.Set("redirect_uri", s.waiting.URL+"/x") }, "elsewhere", ""},
		"redirect to a LAN":  {func(q url.Values) { q.Set("redirect_uri", "http://192.168.0.1:1"+idp.RedirectPath) }, "elsewhere", ""},
		"no PKCE":            {func(q url.Values) { q.Del("code_challenge") }, "", "invalid_request"},
		"plain PKCE":         {func(q url.Values) { q.Set("code_challenge_method", "plain") }, "", "invalid_request"},
		"token in the front": {func(q url.Values) { q.Set("response_type", "id_token") }, "", "unsupported_response_type"},
		"no openid":          {func(q url.Values) { q.Set("scope", "email") }, "", "invalid_scope"},
		"twice":              {func(q url.Values) { q.Add("state", "t") }, "", "invalid_request"},
		"odd age":            {func(q url.Values) { q.Set("max_age", "-1") }, "", "invalid_request"},
		"odd claims":         {func(q url.Values) { q.Set("claims", "x") }, "", "invalid_request"},
	} {
		s.got = nil
		q := s.ask()
		test.change(q)
		status, text := s.open(q)
		if test.page != "" && (status != http.StatusBadRequest || !strings.Contains(text, test.page) || s.got != nil) {
			t.Errorf("%s: status %d, back %v", name, status, s.got)
		}
		if test.back != "" && s.got.Get("error") != test.back {
			t.Errorf("%s: back %v, want %s", name, s.got, test.back)
		}
	}
	for name, change := range map[string]func(url.Values){
		"another verifier": func(f url.Values) { f.Set("code_verifier", strings.Repeat("x", 43)) },
		"no verifier":      func(f url.Values) { f.Del("code_verifier") },
		"another client":   func(f url.Values) { f.Set("client_id", "shop") },
		"another redirect": func(f url.Values) { f.Set("redirect_uri", "http://127.0.0.1:1"+idp.RedirectPath) },
		"a secret":         func(f url.Values) { f.Set("client_secret", "x") },
		"another grant":    func(f url.Values) { f.Set("grant_type", "password") },
		"too late":         func(url.Values) { s.now = s.now.Add(2 * time.Minute) },
	} {
		if _, err := s.Visit(t.Context(), s.address(s.ask()), "bob"); err != nil {
			t.Fatal(err)
		}
		if _, refused := s.exchange(s.got.Get("code"), change); refused == "" {
			t.Errorf("%s: got a token", name)
		}
	}
}

func TestPeopleAtThePage(t *testing.T) {
	s := newScene(t)
	_, page := s.open(s.ask())
	if !strings.Contains(page, "<b>Whither</b>") {
		t.Errorf("the page does not name the client: %s", page)
	}
	if status, text := s.enter(page, "bob", "guess"); status != http.StatusForbidden || !strings.Contains(text, "wrong") {
		t.Errorf("a wrong password: %d", status)
	}
	if _, text := s.enter(page, "bob", "secret"); !strings.Contains(text, "close this window") {
		t.Errorf("the right one: %s", text)
	}
	if status, _ := s.enter(page, "bob", "secret"); status != http.StatusBadRequest {
		t.Errorf("the same page again: %d", status)
	}
	signedIn := s.now
	s.now = s.now.Add(time.Hour)
	q := s.ask()
	if _, page = s.open(q); !strings.Contains(page, "form") {
		t.Error("an old session does for max_age=0")
	}
	q.Del("max_age")
	s.open(q)
	claims, refused := s.exchange(s.got.Get("code"), nil)
	if refused != "" || claims["auth_time"] != float64(signedIn.Unix()) {
		t.Errorf("a session of an hour: %q, %v", refused, claims["auth_time"])
	}
	_, page = s.open(s.ask())
	for range 5 {
		s.enter(page, "bob", "guess")
	}
	if status, _ := s.enter(page, "bob", "secret"); status != http.StatusForbidden {
		t.Errorf("after five guesses: %d", status)
	}
	if _, err := s.Visit(t.Context(), s.address(s.ask()), "nobody"); !errors.Is(err, idp.ErrAccount) {
		t.Errorf("nobody: %v", err)
	}
	q.Set("client_id", "stranger")
	if _, err := s.Visit(t.Context(), s.address(q), "bob"); !errors.Is(err, idp.ErrVisit) || !strings.Contains(err.Error(), "not registered") {
		t.Errorf("a refusal: %v", err)
	}
}

// TestPageOfAnotherBrowser: a page that one browser got is of no use in another,
// so nobody signs a person in for himself.
func TestPageOfAnotherBrowser(t *testing.T) {
	s := newScene(t)
	_, page := s.open(s.ask())
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.browser.Jar = jar
	if status, _ := s.enter(page, "bob", "secret"); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
}

func TestDenied(t *testing.T) {
	s := newScene(t)
	_, page := s.open(s.ask())
	found := regexp.MustCompile(`name="request" value="([^"]+)"`).FindStringSubmatch(page)
	resp, err := s.browser.PostForm(fmt.Sprintf("https://localhost:%d/authorize", s.Port()), url.Values{"request": {found[1]}, "deny": {"1"}})
	if err != nil {
		t.Fatal(err)
	}
	s.read(resp)
	if s.got.Get("error") != "access_denied" || s.got.Get("code") != "" {
		t.Errorf("came back with %v", s.got)
	}
}
