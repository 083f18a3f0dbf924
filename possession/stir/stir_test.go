package stir_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"whither/csi"
	"whither/internal/world/worldtest"
	"whither/key"
	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/chain"
	"whither/possession/stir/jose"
	"whither/possession/stir/passport"
	"whither/possession/stir/tnauth"
)

// TestR01NumberIsProvedByItsCarrier: each form of evidence is accepted as it
// should be made, and says what it is worth.
func TestR01NumberIsProvedByItsCarrier(t *testing.T) {
	w := newPhones(t)
	for _, c := range accepted() {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft(t, w, c.form)
			c.edit(t, d)
			a := d.artefact(t)
			report, err := stir.Verify(a, d.trust.trust(t), d.want)
			if err != nil {
				t.Fatal(err)
			}
			signed := d.claims.IssuedAt
			if c.form == stir.FormToken {
				signed = d.token.Issued
			}
			level := possession.Level4
			if c.form == stir.FormCall {
				level = possession.Level2
			}
			if report.CSI != d.want.CSI || report.Form != c.form || report.Level != level || !report.Evidence.Equal(signed) || report.ArtefactDigest != digestOf(t, a) {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestR05FalseTelephoneEvidence: what a party without the number's carrier can
// make is refused, each for its own reason.
func TestR05FalseTelephoneEvidence(t *testing.T) {
	w := newPhones(t)
	for _, c := range refused() {
		t.Run(c.name, func(t *testing.T) {
			d := newDraft(t, w, c.form)
			c.edit(t, d)
			report, err := stir.Verify(d.artefact(t), d.trust.trust(t), d.want)
			if !errors.Is(err, c.expect) {
				t.Fatalf("got %v, want %v", err, c.expect)
			}
			if report != (stir.Report{}) {
				t.Error("a report beside an error")
			}
			checkError(t, err)
			if detail := details[c.name]; detail != nil && !errors.Is(err, detail) {
				t.Errorf("%v does not say %v", err, detail)
			}
		})
	}
}

// TestR05EvidenceAnswersOneQuestion: an artefact answers the question that was
// asked and no other.
func TestR05EvidenceAnswersOneQuestion(t *testing.T) {
	w := newPhones(t)
	questions := map[string]func(*stir.Want){
		"number": func(q *stir.Want) { q.CSI = identifier(t, "tel:+12155551213") },
		"holder": func(q *stir.Want) { q.Holder = holder(t, 8) },
		"nonce":  func(q *stir.Want) { q.Nonce = nonce(2) },
		"prover": func(q *stir.Want) { q.Dest.TN = "12155550101" },
		"later":  func(q *stir.Want) { q.Now = q.Now.Add(time.Hour) },
		"sooner": func(q *stir.Want) { q.Now = q.Now.Add(-time.Hour) },
	}
	// What a form does not carry, it cannot answer: the receipt does.
	silent := map[stir.Form][]string{stir.FormToken: {"nonce", "prover"}, stir.FormCall: {"holder", "nonce"}}
	for _, form := range forms() {
		d := newDraft(t, w, form)
		a := d.artefact(t)
		for name, edit := range questions {
			q := d.want
			edit(&q)
			_, err := stir.Verify(a, d.trust.trust(t), q)
			if accepted := err == nil; accepted != slices.Contains(silent[form], name) {
				t.Errorf("%s, another %s: %v", form, name, err)
			}
		}
	}
}

// TestFormsAreApart: evidence of one form does not pass for another.
func TestFormsAreApart(t *testing.T) {
	w := newPhones(t)
	verify := map[stir.Form]func(stir.Artefact, stir.Trust, stir.Want) (stir.Report, error){
		stir.FormMessage: stir.VerifyMessage, stir.FormKey: stir.VerifyKey, stir.FormDelegate: stir.VerifyDelegate,
		stir.FormToken: stir.VerifyToken, stir.FormCall: stir.VerifyCall,
	}
	for _, made := range forms() {
		d := newDraft(t, w, made)
		for _, asked := range forms() {
			a := d.artefact(t)
			if _, err := verify[asked](a, d.trust.trust(t), d.want); made == asked != (err == nil) || err != nil && !errors.Is(err, stir.ErrArtefact) {
				t.Errorf("%s as %s: %v", made, asked, err)
			}
			a.Form = asked
			// A delegate's PASSporT with mky is as good as its carrier's.
			same := made == asked || made == stir.FormDelegate && asked == stir.FormKey
			if _, err := verify[asked](a, d.trust.trust(t), d.want); same != (err == nil) {
				t.Errorf("%s renamed %s: %v", made, asked, err)
			}
		}
	}
	if _, err := stir.Verify(stir.Artefact{Form: 9}, stir.Trust{}, stir.Want{}); !errors.Is(err, stir.ErrArtefact) {
		t.Errorf("no form: %v", err)
	}
}

// TestWant: nothing is verified against half a question.
func TestWant(t *testing.T) {
	w := newPhones(t)
	mail := identifier(t, "mailto:alice@example.org")
	for name, c := range map[string]struct {
		edit func(*stir.Want)
		fine []stir.Form // that do not need it
	}{
		"no CSI":       {func(q *stir.Want) { q.CSI = csi.ID{} }, nil},
		"mail address": {func(q *stir.Want) { q.CSI = mail }, nil},
		"no time":      {func(q *stir.Want) { q.Now = time.Time{} }, nil},
		"no age":       {func(q *stir.Want) { q.MaxAge = 0 }, nil},
		"negative age": {func(q *stir.Want) { q.MaxAge = -time.Second }, nil},
		"no holder":    {func(q *stir.Want) { q.Holder = key.Public{} }, []stir.Form{stir.FormCall}},
		"no nonce":     {func(q *stir.Want) { q.Nonce = [possession.NonceSize]byte{} }, []stir.Form{stir.FormCall, stir.FormToken}},
		"no prover":    {func(q *stir.Want) { q.Dest = passport.Party{} }, []stir.Form{stir.FormToken}},
	} {
		for _, form := range forms() {
			d := newDraft(t, w, form)
			c.edit(&d.want)
			_, err := stir.Verify(d.artefact(t), d.trust.trust(t), d.want)
			if slices.Contains(c.fine, form) {
				if err != nil {
					t.Errorf("%s, %s: %v", name, form, err)
				}
			} else if !errors.Is(err, stir.ErrWant) {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
}

// TestR05TelephoneMutations changes valid artefacts at random; none is accepted
// as another. 5,000 of each form, 500,000 with WHITHER_LONG=1.
func TestR05TelephoneMutations(t *testing.T) {
	w := newPhones(t)
	pool := [][]byte{
		w.stranger.Certificate.Raw, w.neighbour.Certificate.Raw, w.expired.Certificate.Raw, w.constrained.Certificate.Raw,
		w.carrierCA.Certificate.Raw, w.authority.Certificate.Raw, w.authorityRoot.Certificate.Raw, w.root.Certificate.Raw,
	}
	for i, form := range forms() {
		t.Run(form.String(), func(t *testing.T) {
			d := newDraft(t, w, form)
			good, trust := d.artefact(t), d.trust.trust(t)
			other := newDraft(t, w, form) // good evidence, for somebody else
			other.claims.Orig.TN, other.token.Fingerprint = "12155551213", stir.Fingerprint(holder(t, 8))
			others := other.artefact(t)
			worldtest.Mutations(t, uint64(i), func(m worldtest.Mutator) worldtest.Outcome {
				bad := mutator{m, pool, others}.mutate(clone(good))
				if _, err := stir.Verify(bad, trust, d.want); err != nil {
					checkError(t, err)
					return worldtest.Refused
				}
				// Accepted is only what says the same: the chain without its root, or
				// nothing changed.
				chainSame := len(bad.Chain) >= len(good.Chain)-1 && len(bad.Chain) <= len(good.Chain) &&
					slices.EqualFunc(bad.Chain, good.Chain[:len(bad.Chain)], bytes.Equal)
				if bad.Token != good.Token || !bytes.Equal(bad.Body, good.Body) || !chainSame {
					t.Logf("accepted: token changed %v, body changed %v, chain same %v", bad.Token != good.Token, !bytes.Equal(bad.Body, good.Body), chainSame)
					return worldtest.Forged
				}
				return worldtest.Same
			})
		})
	}
}

// mutator changes one thing in an artefact.
type mutator struct {
	worldtest.Mutator
	pool  [][]byte // certificates of others
	other stir.Artefact
}

func (m mutator) mutate(a stir.Artefact) stir.Artefact {
	switch m.IntN(10) {
	case 0, 1, 2: // a bit of a certificate
		if len(a.Chain) > 0 {
			a.Chain[m.IntN(len(a.Chain))] = m.Bend(a.Chain[m.IntN(len(a.Chain))])
		}
	case 3: // a certificate of another
		a.Chain[m.IntN(len(a.Chain))] = m.pool[m.IntN(len(m.pool))]
	case 4: // order, loss, doubling
		i, j := m.IntN(len(a.Chain)), m.IntN(len(a.Chain))
		switch m.IntN(3) {
		case 0:
			a.Chain[i], a.Chain[j] = a.Chain[j], a.Chain[i]
		case 1:
			a.Chain = slices.Delete(a.Chain, i, i+1)
		case 2:
			a.Chain = slices.Insert(a.Chain, i, a.Chain[j])
		}
	case 5, 6: // inside a part of the token
		parts := strings.Split(a.Token, ".")
		i := m.IntN(len(parts))
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			parts[i] = base64.RawURLEncoding.EncodeToString(m.Bend(raw))
		}
		a.Token = strings.Join(parts, ".")
	case 7: // a part of another token
		parts, others := strings.Split(a.Token, "."), strings.Split(m.other.Token, ".")
		i := m.IntN(len(parts))
		parts[i] = others[i]
		a.Token = strings.Join(parts, ".")
	case 8: // the text of the token
		a.Token = string(m.Bend([]byte(a.Token)))
	case 9:
		if len(a.Body) > 0 {
			a.Body = m.Bend(a.Body)
		} else {
			a.Token = m.other.Token[:len(m.other.Token)-1-m.IntN(90)]
		}
	}
	return a
}

// TestFingerprint is the key of RFC 8037 appendix A.3.
func TestFingerprint(t *testing.T) {
	x, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	k, err := key.PublicFromBytes(x)
	if err != nil {
		t.Fatal(err)
	}
	want, err := base64.RawURLEncoding.DecodeString("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
	if err != nil {
		t.Fatal(err)
	}
	got := stir.Fingerprint(k)
	if plain := strings.ReplaceAll(strings.TrimPrefix(got, "SHA256 "), ":", ""); plain != fmt.Sprintf("%X", want) || len(got) != 7+32*3-1 {
		t.Errorf("got %s", got)
	}
}

// spacedToken is a token whose JSON has another order and white space.
func spacedToken(t testing.TB, d *draft) string {
	t.Helper()
	der, err := d.token.Numbers.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	header := `{"typ":"JWT", "alg":"ES256", "x5u":"https:\/\/authority.example.org\/cert"}`
	payload := fmt.Sprintf(`{ "iss":"https:\/\/authority.example.org", "exp":%d, "iat":%d, "jti":"id6098364921",
	  "atc":{"tktype":"TNAuthList","tkvalue":%q,"ca":false,"fingerprint":%q} }`,
		d.token.Expires.Unix(), d.token.Issued.Unix(), base64.RawURLEncoding.EncodeToString(der), d.token.Fingerprint)
	return signRaw(t, d.signer.Key, header, payload)
}

// TestCollect: what arrives becomes an artefact.
func TestCollect(t *testing.T) {
	w := newPhones(t)
	d := newDraft(t, w, stir.FormMessage)
	made := d.artefact(t)
	p, err := passport.Parse(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	p, err = passport.Pick([]string{passport.IdentityOf(p).Value()}, passport.Message)
	if err != nil {
		t.Fatal(err)
	}
	a, err := stir.Collect(stir.FormMessage, p.Text(), []byte(d.body), d.signer.PEM())
	if err != nil {
		t.Fatal(err)
	}
	if digestOf(t, a) != digestOf(t, made) {
		t.Error("another artefact")
	}
	if _, err := stir.VerifyMessage(a, d.trust.trust(t), d.want); err != nil {
		t.Error(err)
	}
	if _, err := stir.Collect(stir.FormMessage, p.Text(), []byte(d.body), []byte("x")); !errors.Is(err, stir.ErrCertificate) || !errors.Is(err, chain.ErrEncoding) {
		t.Errorf("no PEM: %v", err)
	}
	if _, err := stir.Collect(stir.FormCall, p.Text(), []byte(d.body), nil); !errors.Is(err, stir.ErrArtefact) {
		t.Errorf("call with a body: %v", err)
	}
}

// TestArtefacts: the encoding has bounds, and one form.
func TestArtefacts(t *testing.T) {
	good := newDraft(t, newPhones(t), stir.FormKey).artefact(t)
	for name, edit := range map[string]func(*stir.Artefact){
		"no form":               func(a *stir.Artefact) { a.Form = 0 },
		"unknown form":          func(a *stir.Artefact) { a.Form = 6 },
		"no token":              func(a *stir.Artefact) { a.Token = "" },
		"token too large":       func(a *stir.Artefact) { a.Token = strings.Repeat("a", jose.MaxToken+1) },
		"body where none is":    func(a *stir.Artefact) { a.Body = []byte("x") },
		"no body where one is":  func(a *stir.Artefact) { a.Form = stir.FormMessage },
		"body too large":        func(a *stir.Artefact) { a.Form, a.Body = stir.FormMessage, make([]byte, stir.MaxBody+1) },
		"too many certificates": func(a *stir.Artefact) { a.Chain = make([][]byte, chain.MaxLength+1) },
		"empty certificate":     func(a *stir.Artefact) { a.Chain = [][]byte{{}} },
		"certificate too large": func(a *stir.Artefact) { a.Chain = [][]byte{make([]byte, chain.MaxCertificate+1)} },
		"token not UTF-8":       func(a *stir.Artefact) { a.Token = "\xff" },
	} {
		a := clone(good)
		edit(&a)
		if _, err := a.Marshal(); !errors.Is(err, stir.ErrArtefact) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := bytesOf(good)
	for name, bad := range map[string][]byte{
		"empty": nil, "cut off": b[:len(b)-1], "trailing": append(bytes.Clone(b), 0), "not canonical": append([]byte{0x98, 4}, b[1:]...),
		"too large": make([]byte, stir.MaxArtefact+1), "unknown form": append([]byte{b[0], 9}, b[2:]...),
	} {
		if _, err := stir.Parse(bad); !errors.Is(err, stir.ErrArtefact) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if stir.Form(9).String() != "unknown" || stir.Form(9).Level() != possession.Level1 {
		t.Error("unknown form")
	}
}

func TestRedaction(t *testing.T) {
	d := newDraft(t, newPhones(t), stir.FormMessage)
	a := d.artefact(t)
	report, err := stir.Verify(a, d.trust.trust(t), d.want)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{a, &a, a.LogValue(), report, d.want.Dest, d.token.Numbers} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, "1215555") || strings.Contains(s, "eyJ") || strings.Contains(s, "I let key") {
				t.Errorf("%s prints %s", verb, s)
			}
		}
	}
}

// TestTokenSignRefuses: what could not be read is not written.
func TestTokenSignRefuses(t *testing.T) {
	good := newDraft(t, newPhones(t), stir.FormToken)
	for name, c := range map[string]struct {
		edit func(*stir.Token)
		want error
	}{
		"no numbers":     {func(k *stir.Token) { k.Numbers = nil }, tnauth.ErrEncoding},
		"no id":          {func(k *stir.Token) { k.ID = "" }, stir.ErrToken},
		"no fingerprint": {func(k *stir.Token) { k.Fingerprint = "" }, stir.ErrToken},
		"no time":        {func(k *stir.Token) { k.Issued = time.Time{} }, stir.ErrToken},
		"expires before": {func(k *stir.Token) { k.Expires = k.Issued }, stir.ErrToken},
	} {
		token := good.token
		c.edit(&token)
		if _, err := token.Sign(x5u, good.signer.Key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := good.token.Sign("http://a.example/", good.signer.Key); !errors.Is(err, jose.ErrHeader) {
		t.Errorf("certificates in clear: %v", err)
	}
}

func ExampleResponse() {
	fmt.Print(stir.Response([32]byte{1, 2, 3}, "5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4"))
	// Output:
	// I let key 5f0b-91c3-7a52-44e0-9d1e-b6a8-03c7-f2d4 answer for this number.
	//
	// -----BEGIN WHITHER RESPONSE-----
	// AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
	// -----END WHITHER RESPONSE-----
}

func FuzzParse(f *testing.F) {
	w := newPhones(f)
	for _, form := range forms() {
		f.Add(bytesOf(newDraft(f, w, form).artefact(f)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := stir.Parse(b)
		if err != nil {
			return
		}
		if again, err := a.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is written as %x, %v", b, again, err)
		}
	})
}

// FuzzVerifyToken signs any payload with the token authority's key: what is
// accepted names the number and the key.
func FuzzVerifyToken(f *testing.F) {
	d := newDraft(f, newPhones(f), stir.FormToken)
	trust, k := d.trust.trust(f), d.signer.Key
	parsed, err := jose.Parse(d.artefact(f).Token, false)
	if err != nil {
		f.Fatal(err)
	}
	header := string(parsed.Header.Value.Canonical())
	f.Add(string(parsed.Payload.Canonical()))
	f.Fuzz(func(t *testing.T, payload string) {
		a := stir.Artefact{Form: stir.FormToken, Token: signRaw(t, k, header, payload), Chain: d.signer.Chain()}
		if _, err := stir.VerifyToken(a, trust, d.want); err == nil && !strings.Contains(payload, stir.Fingerprint(d.want.Holder)) {
			t.Errorf("accepted %s", payload)
		}
	})
}

// FuzzMessage signs any text as the carrier does: accepted is the response alone.
func FuzzMessage(f *testing.F) {
	d := newDraft(f, newPhones(f), stir.FormMessage)
	trust, want := d.trust.trust(f), d.body
	f.Add([]byte(want))
	f.Add([]byte(strings.ReplaceAll(want, "\n", "\r\n")))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 || len(body) > stir.MaxBody {
			return
		}
		d.body, d.claims.MessageHash = string(body), ""
		if _, err := stir.VerifyMessage(d.artefact(t), trust, d.want); err == nil &&
			strings.TrimRight(strings.ReplaceAll(string(body), "\r", ""), "\n") != strings.TrimRight(want, "\n") {
			t.Errorf("accepted %q", body)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	w := newPhones(b)
	for _, form := range forms() {
		d := newDraft(b, w, form)
		a, trust := d.artefact(b), d.trust.trust(b)
		b.Run(fmt.Sprintf("%s/%dbytes", form, len(bytesOf(a))), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := stir.Verify(a, trust, d.want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
