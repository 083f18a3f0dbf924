package idp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"html/template"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RedirectPath is the path of every client's redirect.
const RedirectPath = "/signed-in"

// Handle is the claim with the account's name. This provider never gives it
// twice, which OpenID Connect Core section 5.7 does not ask for.
const Handle = "preferred_username"

// Bounds: how long a person may take, how long a session and a code live, and
// how many wrong passwords an account takes.
const (
	requestLife = 10 * time.Minute
	sessionLife = 12 * time.Hour
	codeLife    = time.Minute
	maxTries    = 5
	maxAsked    = 1000
	maxForm     = 16 << 10
)

// request is an authorization request under way.
type request struct {
	browser     string // the cookie of the browser that brought it
	client      string
	redirect    string
	state       string
	nonce       string
	challenge   string
	email       bool
	handle      bool
	maxAge      time.Duration
	limited     bool // maxAge was given
	began       time.Time
	clientTitle string
}

const (
	cookieBrowser = "__Host-browser"
	cookieSession = "__Host-session"
)

// authorize takes an authorization request and shows the page where the person
// signs in, or sends her back at once if she did lately enough.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	title, known := p.clients[q.Get("client_id")]
	p.mu.Unlock()
	// Without a client and a redirect that belong together there is nobody to
	// send the person to (RFC 6749 section 4.1.2.1).
	switch {
	case !known:
		refuse(w, "This client is not registered here.")
		return
	case !loopback(q.Get("redirect_uri")):
		refuse(w, "The client wants to be answered elsewhere than on this machine.")
		return
	}
	in := request{
		client: q.Get("client_id"), clientTitle: title, redirect: q.Get("redirect_uri"), state: q.Get("state"),
		nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), began: p.config.Now(),
	}
	if code := in.read(q); code != "" {
		p.back(w, r, in, url.Values{"error": {code}})
		return
	}
	if s, ok := p.session(r, in); ok {
		p.back(w, r, in, url.Values{"code": {p.grant(in, s)}})
		return
	}
	in.browser = rand.Text()
	id := rand.Text()
	p.mu.Lock()
	for old, a := range p.asked {
		if len(p.asked) >= maxAsked || in.began.Sub(a.began) > requestLife {
			delete(p.asked, old)
		}
	}
	p.asked[id] = in
	p.mu.Unlock()
	setCookie(w, cookieBrowser, in.browser, requestLife)
	show(w, http.StatusOK, page{Client: title, Request: id})
}

// read reads the parameters of a request; it returns an error code of OpenID
// Connect Core section 3.1.2.6 or RFC 6749 section 4.1.2.1.
func (in *request) read(q url.Values) string {
	for _, values := range q {
		if len(values) != 1 {
			return "invalid_request"
		}
	}
	scopes := strings.Fields(q.Get("scope"))
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type"
	case !slices.Contains(scopes, "openid"):
		return "invalid_scope"
	case in.challenge == "" || q.Get("code_challenge_method") != "S256":
		return "invalid_request" // RFC 7636 section 4.4.1
	}
	in.email = slices.Contains(scopes, "email")
	if q.Has("max_age") {
		seconds, err := strconv.ParseUint(q.Get("max_age"), 10, 31)
		if err != nil {
			return "invalid_request"
		}
		in.maxAge, in.limited = time.Duration(seconds)*time.Second, true
	}
	if q.Has("claims") {
		var claims struct {
			IDToken map[string]any `json:"id_token"`
		}
		if json.Unmarshal([]byte(q.Get("claims")), &claims) != nil {
			return "invalid_request"
		}
		_, in.handle = claims.IDToken[Handle]
	}
	return ""
}

// loopback reports whether a redirect is that of an app on the person's own
// machine: an address, not a name, of whatever port.
func loopback(redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "http" || u.Path != RedirectPath || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback() && u.Port() != ""
}

// session returns who is signed in in a browser, if that was lately enough.
func (p *Provider) session(r *http.Request, in request) (session, bool) {
	cookie, err := r.Cookie(cookieSession)
	if err != nil {
		return session{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sessions[cookie.Value]
	age := in.began.Sub(s.at)
	return s, ok && age < sessionLife && (!in.limited || age < in.maxAge)
}

// signIn takes the form of the page.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, now := r.PostFormValue("request"), p.config.Now()
	p.mu.Lock()
	in, ok := p.asked[id]
	p.mu.Unlock()
	cookie, err := r.Cookie(cookieBrowser)
	if !ok || now.Sub(in.began) > requestLife || err != nil || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(in.browser)) != 1 {
		refuse(w, "This page is out of date. Start again from the app.")
		return
	}
	if r.PostFormValue("deny") != "" {
		p.end(id)
		p.back(w, r, in, url.Values{"error": {"access_denied"}})
		return
	}
	name := r.PostFormValue("name")
	if !p.check(name, r.PostFormValue("password")) {
		show(w, http.StatusForbidden, page{Client: in.clientTitle, Request: id, Notice: "Name or password is wrong."})
		return
	}
	p.end(id)
	s := session{account: name, at: now}
	key := rand.Text()
	p.mu.Lock()
	p.sessions[key] = s
	p.mu.Unlock()
	setCookie(w, cookieSession, key, sessionLife)
	p.back(w, r, in, url.Values{"code": {p.grant(in, s)}})
}

// check compares a password. An account takes few wrong ones.
func (p *Provider) check(name, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.accounts[name]
	if !ok || a.tries >= maxTries {
		return false
	}
	if subtle.ConstantTimeCompare([]byte(a.Password), []byte(password)) != 1 {
		a.tries++
		return false
	}
	a.tries = 0
	return true
}

func (p *Provider) end(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asked, id)
}

// back sends the person back to the client.
func (p *Provider) back(w http.ResponseWriter, r *http.Request, in request, answer url.Values) {
	answer.Set("iss", p.config.Issuer)
	if in.state != "" {
		answer.Set("state", in.state)
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, in.redirect+"?"+answer.Encode(), http.StatusSeeOther)
}

func setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// page is what the person reads.
type page struct {
	Client, Request, Notice, Refusal string
}

// refuse tells the person, and nobody else, that a request cannot be.
func refuse(w http.ResponseWriter, text string) { show(w, http.StatusBadRequest, page{Refusal: text}) }

func show(w http.ResponseWriter, status int, data page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Frame-Options", "DENY")
	// form-action would hold up the redirect to the app in some browsers.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = pageTemplate.Execute(w, data)
}

var pageTemplate = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }
label { display: block; margin: .8rem 0; } input { width: 100%; font: inherit; padding: .3rem; box-sizing: border-box; }
button { font: inherit; padding: .4rem 1rem; margin-right: .5rem; } .notice { background: #f7e6e0; padding: .5rem .8rem; }
</style>
{{if .Refusal}}<h1>Not possible</h1><p class="notice" role="alert">{{.Refusal}}</p>{{else}}
<h1>Sign in</h1>
<p><b>{{.Client}}</b> wants to know who you are: your mail address, or your name here.</p>
{{with .Notice}}<p class="notice" role="alert">{{.}}</p>{{end}}
<form method="post" action="/authorize"><input type="hidden" name="request" value="{{.Request}}">
<label>Name<input name="name" autocomplete="username" autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in</button><button name="deny" value="1">Cancel</button></form>{{end}}
</html>
`))
