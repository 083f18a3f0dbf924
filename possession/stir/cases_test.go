package stir_test

import (
	"strings"
	"testing"
	"time"

	"whither/possession"
	"whither/possession/stir"
	"whither/possession/stir/chain"
	"whither/possession/stir/jose"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
	"whither/possession/stir/tnauth"
)

// kinds names the refusals in vectors.
func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "artefact": stir.ErrArtefact, "passport": stir.ErrPassport, "wrong-extension": stir.ErrWrongExtension,
		"wrong-number": stir.ErrWrongNumber, "wrong-destination": stir.ErrWrongDestination, "attestation": stir.ErrAttestation,
		"stale": stir.ErrStale, "future": stir.ErrFuture, "certificate": stir.ErrCertificate, "authority": stir.ErrAuthority,
		"signature": stir.ErrSignature, "message-hash": stir.ErrMessageHash, "content": stir.ErrContent,
		"wrong-response": stir.ErrWrongResponse, "no-response": stir.ErrNoResponse, "not-delegate": stir.ErrNotDelegate,
		"token": stir.ErrToken, "expired": stir.ErrExpired, "wrong-key": stir.ErrWrongKey,
	}
}

func accepted() []testCase {
	none := func(testing.TB, *draft) {}
	return []testCase{
		{"message", stir.FormMessage, none, nil},
		{"key", stir.FormKey, none, nil},
		{"delegate", stir.FormDelegate, none, nil},
		{"token", stir.FormToken, none, nil},
		{"call", stir.FormCall, none, nil},
		{"message-crlf", stir.FormMessage, func(_ testing.TB, d *draft) { d.body = strings.ReplaceAll(d.body, "\n", "\r\n") }, nil},
		{"message-no-last-line-end", stir.FormMessage, func(_ testing.TB, d *draft) { d.body = strings.TrimSuffix(d.body, "\n") }, nil},
		{"message-sha512", stir.FormMessage, func(t testing.TB, d *draft) {
			var err error
			if d.claims.MessageHash, err = passport.HashMessage("sha512", []byte(d.body)); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"message-attested", stir.FormMessage, func(_ testing.TB, d *draft) { d.claims.Attest = "A" }, nil},
		{"message-from-delegate", stir.FormMessage, func(_ testing.TB, d *draft) { d.signer = d.w.delegate }, nil},
		{"message-to-uri", stir.FormMessage, func(_ testing.TB, d *draft) {
			d.want.Dest = passport.Party{URI: proverURI}
			d.claims.Dest = passport.Destinations{URI: []string{proverURI}}
		}, nil},
		{"message-within-skew", stir.FormMessage, func(_ testing.TB, d *draft) { d.claims.IssuedAt = now.Add(stir.MaxSkew) }, nil},
		{"message-oldest", stir.FormMessage, func(_ testing.TB, d *draft) { d.claims.IssuedAt = now.Add(-d.want.MaxAge) }, nil},
		{"message-judged-after-expiry", stir.FormMessage, func(_ testing.TB, d *draft) {
			// The certificate was valid when it signed; today it is not.
			d.signer, d.claims.IssuedAt, d.want.MaxAge = d.w.expired, now.AddDate(0, 0, -2), 72*time.Hour
		}, nil},
		{"message-chain-without-root", stir.FormMessage, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) { a.Chain = a.Chain[:len(a.Chain)-1] }
		}, nil},
		{"message-unknown-claim", stir.FormMessage, func(_ testing.TB, d *draft) {
			d.claims.Other = []jose.Member{{Name: "x", Value: jose.Text("y")}}
		}, nil},
		{"key-among-others", stir.FormKey, func(_ testing.TB, d *draft) {
			d.claims.MediaKeys = append([]passport.MediaKey{{Algorithm: "sha-256", Digest: strings.Repeat("00", 32)}}, d.claims.MediaKeys...)
		}, nil},
		{"key-shaken", stir.FormKey, func(_ testing.TB, d *draft) {
			d.extension, d.claims.Attest, d.claims.OrigID = passport.Shaken, "A", origID
		}, nil},
		{"key-certificates-inside", stir.FormKey, func(_ testing.TB, d *draft) { d.inside = true }, nil},
		{"key-constrained", stir.FormKey, func(_ testing.TB, d *draft) {
			d.signer, d.extension, d.claims.Attest, d.claims.OrigID = d.w.constrained, passport.Shaken, "A", origID
		}, nil},
		{"token-range", stir.FormToken, func(_ testing.TB, d *draft) {
			d.token.Numbers = tnauth.List{{Number: "12155551000", Count: 1000}}
		}, nil},
		{"token-code", stir.FormToken, func(_ testing.TB, d *draft) { d.token.Numbers = tnauth.List{{Code: "1234"}} }, nil},
		{"token-without-issuer", stir.FormToken, func(_ testing.TB, d *draft) { d.token.Issuer = "" }, nil},
		{"token-spaced", stir.FormToken, func(t testing.TB, d *draft) {
			// JWTs other than PASSporTs need not be deterministic.
			d.finish = func(a *stir.Artefact) { a.Token = spacedToken(t, d) }
		}, nil},
	}
}

// refused has what every form that rests on a PASSporT must refuse, what each
// must refuse for itself, and what tokens must.
func refused() []testCase {
	var all []testCase
	for _, form := range []stir.Form{stir.FormMessage, stir.FormKey, stir.FormDelegate, stir.FormCall} {
		for _, c := range passportCases() {
			c.form, c.name = form, form.String()+"-"+c.name
			all = append(all, c)
		}
	}
	return append(append(append(all, messageCases()...), keyCases()...), tokenCases()...)
}

func passportCases() []testCase {
	return []testCase{
		{"other-number", 0, func(_ testing.TB, d *draft) { d.claims.Orig.TN = "12155551213" }, stir.ErrWrongNumber},
		{"from-uri", 0, func(_ testing.TB, d *draft) { d.claims.Orig = passport.Party{URI: "sip:12155551212@carrier.example"} }, stir.ErrWrongNumber},
		{"shorter-number", 0, func(_ testing.TB, d *draft) { d.claims.Orig.TN = number[1:] }, stir.ErrWrongNumber},
		{"other-prover", 0, func(_ testing.TB, d *draft) { d.claims.Dest.TN[0] = "12155550101" }, stir.ErrWrongDestination},
		{"two-destinations", 0, func(_ testing.TB, d *draft) { d.claims.Dest.TN = []string{proverTN, "12155550101"} }, stir.ErrWrongDestination},
		{"uri-for-number", 0, func(_ testing.TB, d *draft) { d.claims.Dest = passport.Destinations{URI: []string{proverURI}} }, stir.ErrWrongDestination},
		{"attestation-B", 0, func(_ testing.TB, d *draft) { d.claims.Attest = "B" }, stir.ErrAttestation},
		{"attestation-C", 0, func(_ testing.TB, d *draft) { d.claims.Attest = "C" }, stir.ErrAttestation},
		{"stale", 0, func(_ testing.TB, d *draft) { d.claims.IssuedAt = now.Add(-d.want.MaxAge - time.Second) }, stir.ErrStale},
		{"future", 0, func(_ testing.TB, d *draft) { d.claims.IssuedAt = now.Add(stir.MaxSkew + time.Second) }, stir.ErrFuture},
		{"code-not-granted", 0, func(_ testing.TB, d *draft) { d.signer = d.w.stranger }, stir.ErrAuthority},
		{"code-tied-to-nothing", 0, func(_ testing.TB, d *draft) { delete(d.trust.ranges, "1234") }, stir.ErrAuthority},
		{"delegate-of-another-number", 0, func(_ testing.TB, d *draft) { d.signer = d.w.neighbour }, stir.ErrAuthority},
		{"root-of-another-country", 0, func(_ testing.TB, d *draft) { d.trust.roots[0].Prefixes = []string{"44"} }, stir.ErrAuthority},
		{"no-TNAuthList", 0, func(t testing.TB, d *draft) {
			d.signer = d.w.authority
			d.trust.roots = d.trust.authorities
		}, stir.ErrAuthority},
		{"unknown-root", 0, func(_ testing.TB, d *draft) { d.trust.roots = d.trust.authorities }, stir.ErrCertificate},
		{"no-root", 0, func(_ testing.TB, d *draft) { d.trust.roots = nil }, stir.ErrCertificate},
		{"certificate-expired-at-iat", 0, func(_ testing.TB, d *draft) { d.signer = d.w.expired }, stir.ErrCertificate},
		{"signed-by-a-CA", 0, func(_ testing.TB, d *draft) { d.signer = d.w.carrierCA }, stir.ErrCertificate},
		{"chain-out-of-order", 0, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) { a.Chain[1], a.Chain[2] = a.Chain[2], a.Chain[1] }
		}, stir.ErrCertificate},
		{"chain-cut", 0, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) { a.Chain = a.Chain[:1] }
		}, stir.ErrCertificate},
		{"claims-not-allowed", 0, func(_ testing.TB, d *draft) {
			d.signer = d.w.constrained
			if d.claims.Attest != "" {
				d.finish = constrainMore(d)
			}
		}, stir.ErrCertificate},
		{"other-key", 0, func(_ testing.TB, d *draft) { d.key = stirtest.FixedKey("stir mallory") }, stir.ErrSignature},
		{"signature-of-another", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				d.claims.IssuedAt = d.claims.IssuedAt.Add(time.Second)
				d.finish = nil
				other := d.artefact(t).Token
				a.Token = a.Token[:strings.LastIndexByte(a.Token, '.')] + other[strings.LastIndexByte(other, '.'):]
			}
		}, stir.ErrSignature},
		{"alg-none", 0, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				a.Token = "eyJhbGciOiJub25lIiwidHlwIjoicGFzc3BvcnQifQ" + a.Token[strings.IndexByte(a.Token, '.'):]
			}
		}, stir.ErrPassport},
		{"unknown-ppt", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				a.Token = d.raw(t, jose.Header{Type: "passport", PPT: "div", X5U: x5u}, `{"dest":{"tn":["1"]},"iat":1,"orig":{"tn":"1"}}`)
			}
		}, stir.ErrPassport},
		{"plus-in-number", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				a.Token = d.raw(t, jose.Header{Type: "passport", X5U: x5u}, `{"dest":{"tn":["1"]},"iat":1,"orig":{"tn":"+`+number+`"}}`)
			}
		}, stir.ErrPassport},
		{"dest-a-string", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				a.Token = d.raw(t, jose.Header{Type: "passport", X5U: x5u}, `{"dest":{"tn":"1"},"iat":1,"orig":{"tn":"1"}}`)
			}
		}, stir.ErrPassport},
		{"no-certificates", 0, func(_ testing.TB, d *draft) { d.finish = func(a *stir.Artefact) { a.Chain = nil } }, stir.ErrArtefact},
		{"certificates-twice", 0, func(_ testing.TB, d *draft) {
			d.inside = true
			d.finish = func(a *stir.Artefact) { a.Chain = d.signer.Chain() }
		}, stir.ErrArtefact},
	}
}

// constrainMore gives a PASSporT that attests to a signer who may not.
func constrainMore(d *draft) func(*stir.Artefact) {
	return func(a *stir.Artefact) {
		p, err := d.w.root.Issue(stirtest.Profile{
			Name: "attesting forbidden", Key: d.signer.Key, List: tnauth.List{{Code: "1234"}},
			Constraints: &tnauth.Constraints{MustExclude: []string{"attest"}}, From: now.AddDate(0, -1, 0), Until: now.AddDate(0, 1, 0),
		})
		if err == nil {
			a.Chain = p.Chain()
		}
	}
}

func messageCases() []testCase {
	bend := func(old, replacement string) func(testing.TB, *draft) {
		return func(_ testing.TB, d *draft) { d.body = strings.Replace(d.body, old, replacement, 1) }
	}
	content, wrong := stir.ErrContent, stir.ErrWrongResponse
	cases := []testCase{
		{"no-msgi", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				d.claims.MessageHash = ""
				var err error
				if a.Token, err = d.claims.Sign(passport.Signing{Extension: passport.Message, X5U: x5u, Key: d.signer.Key}); err != nil {
					t.Fatal(err)
				}
			}
		}, stir.ErrMessageHash},
		{"body-changed-after-signing", 0, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) { a.Body = append(a.Body, '\n') }
		}, stir.ErrMessageHash},
		{"msgi-sha1", 0, func(_ testing.TB, d *draft) { d.claims.MessageHash = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" }, stir.ErrMessageHash},
		{"plain-passport", 0, func(_ testing.TB, d *draft) { d.extension = passport.Base }, stir.ErrWrongExtension},
		{"shaken-passport", 0, func(_ testing.TB, d *draft) {
			d.extension, d.claims.Attest, d.claims.OrigID = passport.Shaken, "A", origID
		}, stir.ErrWrongExtension},
		{"no-body", 0, func(_ testing.TB, d *draft) { d.finish = func(a *stir.Artefact) { a.Body = nil } }, stir.ErrArtefact},
		{"text-above", 0, func(_ testing.TB, d *draft) { d.body = "Hi!\n" + d.body }, content},
		{"text-below", 0, func(_ testing.TB, d *draft) { d.body += "Sent from my phone\n" }, content},
		{"quoted", 0, func(_ testing.TB, d *draft) { d.body = "> " + strings.ReplaceAll(d.body, "\n", "\n> ") }, content},
		{"no-sentence", 0, func(_ testing.TB, d *draft) { d.body = d.body[strings.Index(d.body, "-----B"):] }, content},
		{"no-empty-line", 0, bend("\n\n", "\n"), content},
		{"two-empty-lines", 0, bend("\n\n", "\n\n\n"), content},
		{"no-block", 0, func(_ testing.TB, d *draft) { d.body = d.body[:strings.Index(d.body, "-----B")] }, content},
		{"space-at-end", 0, bend(".\n", ". \n"), content},
		{"sentence-wrapped", 0, bend(" answer", "\nanswer"), content},
		{"sentence-of-mail", 0, bend("this number", "this address"), content},
		{"sentence-denied", 0, bend("I let key", "I do not let key"), content},
		{"bare-carriage-return", 0, bend("\n", "\r"), content},
		{"digest-padded", 0, bend("\n-----END", "=\n-----END"), content},
		{"digest-in-two-lines", 0, bend("-----END", "\n-----END"), content},
		{"block-in-small-letters", 0, bend("BEGIN WHITHER", "begin whither"), content},
		{"two-blocks", 0, func(_ testing.TB, d *draft) { d.body += d.body[strings.Index(d.body, "-----B"):] }, content},
		{"other-key-in-sentence", 0, func(t testing.TB, d *draft) {
			d.body = strings.Replace(d.body, d.want.Holder.ID().String(), holder(t, 8).ID().String(), 1)
		}, wrong},
		{"response-for-another-key", 0, func(t testing.TB, d *draft) {
			d.body = stir.Response(possession.Response(d.want.CSI, holder(t, 8), d.want.Nonce), d.want.Holder.ID().String())
		}, wrong},
		{"response-for-another-nonce", 0, func(_ testing.TB, d *draft) {
			d.body = stir.Response(possession.Response(d.want.CSI, d.want.Holder, nonce(2)), d.want.Holder.ID().String())
		}, wrong},
		{"response-for-another-number", 0, func(t testing.TB, d *draft) {
			d.body = stir.Response(possession.Response(identifier(t, "tel:+12155551213"), d.want.Holder, d.want.Nonce), d.want.Holder.ID().String())
		}, wrong},
	}
	for i := range cases {
		cases[i].form, cases[i].name = stir.FormMessage, "message-"+cases[i].name
	}
	return cases
}

func keyCases() []testCase {
	media := func(keys ...passport.MediaKey) func(testing.TB, *draft) {
		return func(_ testing.TB, d *draft) { d.claims.MediaKeys = keys }
	}
	other := func(edit func(testing.TB, *stir.Want)) func(testing.TB, *draft) {
		return func(t testing.TB, d *draft) {
			w := d.want
			edit(t, &w)
			d.claims.MediaKeys = []passport.MediaKey{passport.SHA256Key(possession.Response(w.CSI, w.Holder, w.Nonce))}
		}
	}
	return []testCase{
		{"key-no-mky", stir.FormKey, media(), stir.ErrNoResponse},
		{"key-other-fingerprint", stir.FormKey, media(passport.SHA256Key([32]byte{1})), stir.ErrNoResponse},
		{"key-response-as-sha512", stir.FormKey, func(_ testing.TB, d *draft) {
			d.claims.MediaKeys[0] = passport.MediaKey{Algorithm: "sha-512", Digest: d.claims.MediaKeys[0].Digest + strings.Repeat("00", 32)}
		}, stir.ErrNoResponse},
		{"key-of-another-holder", stir.FormKey, other(func(t testing.TB, w *stir.Want) { w.Holder = holder(t, 8) }), stir.ErrNoResponse},
		{"key-of-another-nonce", stir.FormKey, other(func(_ testing.TB, w *stir.Want) { w.Nonce = nonce(2) }), stir.ErrNoResponse},
		{"key-of-another-number", stir.FormKey, other(func(t testing.TB, w *stir.Want) { w.CSI = identifier(t, "tel:+12155551213") }), stir.ErrNoResponse},
		{"key-message-passport", stir.FormKey, func(_ testing.TB, d *draft) { d.extension = passport.Message }, stir.ErrWrongExtension},
		{"key-with-body", stir.FormKey, func(_ testing.TB, d *draft) { d.body = "x" }, stir.ErrArtefact},
		{"delegate-by-carrier", stir.FormDelegate, func(_ testing.TB, d *draft) { d.signer = d.w.carrier }, stir.ErrNotDelegate},
		{"delegate-without-parent-list", stir.FormDelegate, func(_ testing.TB, d *draft) { d.signer = d.w.issued }, stir.ErrNotDelegate},
		{"delegate-of-a-code", stir.FormDelegate, func(_ testing.TB, d *draft) { d.signer = d.w.codeOnly }, stir.ErrNotDelegate},
		{"delegate-under-code-not-granted", stir.FormDelegate, func(_ testing.TB, d *draft) { d.trust.ranges["1234"] = []string{"1312555"} }, stir.ErrAuthority},
		{"call-plain-passport", stir.FormCall, func(_ testing.TB, d *draft) { d.extension = passport.Base }, stir.ErrWrongExtension},
		{"call-message-passport", stir.FormCall, func(_ testing.TB, d *draft) { d.extension = passport.Message }, stir.ErrWrongExtension},
	}
}

func tokenCases() []testCase {
	rewrite := func(old, replacement string) func(testing.TB, *draft) {
		return func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				p, err := jose.Parse(a.Token, false)
				if err != nil {
					t.Fatal(err)
				}
				text := string(p.Payload.Canonical())
				if !strings.Contains(text, old) {
					t.Fatalf("no %s in %s", old, text)
				}
				a.Token = d.raw(t, jose.Header{Type: "JWT", X5U: x5u}, strings.Replace(text, old, replacement, 1))
			}
		}
	}
	cases := []testCase{
		{"other-key", 0, func(t testing.TB, d *draft) { d.token.Fingerprint = stir.Fingerprint(holder(t, 8)) }, stir.ErrWrongKey},
		{"fingerprint-in-small-letters", 0, func(_ testing.TB, d *draft) { d.token.Fingerprint = strings.ToLower(d.token.Fingerprint) }, stir.ErrWrongKey},
		{"other-number", 0, func(_ testing.TB, d *draft) { d.token.Numbers = tnauth.List{{Number: "12155551213"}} }, stir.ErrWrongNumber},
		{"other-range", 0, func(_ testing.TB, d *draft) { d.token.Numbers = tnauth.List{{Number: "12155551213", Count: 100}} }, stir.ErrWrongNumber},
		{"code-not-granted", 0, func(_ testing.TB, d *draft) { d.token.Numbers = tnauth.List{{Code: "5678"}} }, stir.ErrWrongNumber},
		{"stale", 0, func(_ testing.TB, d *draft) { d.token.Issued = now.Add(-d.want.MaxAge - time.Second) }, stir.ErrStale},
		{"future", 0, func(_ testing.TB, d *draft) { d.token.Issued = now.Add(stir.MaxSkew + time.Second) }, stir.ErrFuture},
		{"expired", 0, func(_ testing.TB, d *draft) { d.token.Expires = now.Add(-time.Second) }, stir.ErrExpired},
		{"by-carrier", 0, func(_ testing.TB, d *draft) { d.signer = d.w.carrier }, stir.ErrCertificate},
		{"by-delegate", 0, func(_ testing.TB, d *draft) { d.signer = d.w.delegate }, stir.ErrCertificate},
		{"no-authorities", 0, func(_ testing.TB, d *draft) { d.trust.authorities = nil }, stir.ErrCertificate},
		{"authority-of-other-numbers", 0, func(_ testing.TB, d *draft) { d.signer = d.w.narrowAuthority }, stir.ErrAuthority},
		{"authority-of-another-country", 0, func(_ testing.TB, d *draft) { d.trust.authorities[0].Prefixes = []string{"44"} }, stir.ErrAuthority},
		{"signed-by-another", 0, func(_ testing.TB, d *draft) { d.key = stirtest.FixedKey("stir mallory") }, stir.ErrSignature},
		{"for-a-CA", 0, rewrite(`"ca":false`, `"ca":true`), stir.ErrToken},
		{"ca-a-string", 0, rewrite(`"ca":false`, `"ca":"false"`), stir.ErrToken},
		{"other-type", 0, rewrite(`"tktype":"TNAuthList"`, `"tktype":"TnAuthList"`), stir.ErrToken},
		{"no-type", 0, rewrite(`,"tktype":"TNAuthList"`, ``), stir.ErrToken},
		{"no-fingerprint", 0, rewrite(`"fingerprint"`, `"Fingerprint"`), stir.ErrToken},
		{"value-padded", 0, rewrite(`"tkvalue":"`, `"tkvalue":"=`), stir.ErrToken},
		{"value-not-DER", 0, rewrite(`"tkvalue":"MA`, `"tkvalue":"MQ`), stir.ErrToken},
		{"unknown-in-atc", 0, rewrite(`"ca":false`, `"ca":false,"x":1`), stir.ErrToken},
		{"no-jti", 0, rewrite(`,"jti":"1"`, ``), stir.ErrToken},
		{"jti-a-number", 0, rewrite(`"jti":"1"`, `"jti":1`), stir.ErrToken},
		{"no-iat", 0, rewrite(`"iat":1799999940,`, ``), stir.ErrToken},
		{"no-exp", 0, rewrite(`"exp":1800003600,`, ``), stir.ErrToken},
		{"exp-a-string", 0, rewrite(`"exp":1800003600`, `"exp":"1800003600"`), stir.ErrToken},
		{"exp-before-iat", 0, rewrite(`"exp":1800003600`, `"exp":1799999940`), stir.ErrToken},
		{"for-an-audience", 0, rewrite(`"exp"`, `"aud":"https://ca.example","exp"`), stir.ErrToken},
		{"not-before", 0, rewrite(`"exp"`, `"nbf":1,"exp"`), stir.ErrToken},
		{"a-passport", 0, func(t testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				var err error
				if a.Token, err = d.claims.Sign(passport.Signing{X5U: x5u, Key: d.signer.Key}); err != nil {
					t.Fatal(err)
				}
			}
		}, stir.ErrToken},
		{"alg-none", 0, func(_ testing.TB, d *draft) {
			d.finish = func(a *stir.Artefact) {
				a.Token = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0" + a.Token[strings.IndexByte(a.Token, '.'):]
			}
		}, stir.ErrToken},
		{"no-certificates", 0, func(_ testing.TB, d *draft) { d.finish = func(a *stir.Artefact) { a.Chain = nil } }, stir.ErrArtefact},
		{"with-body", 0, func(_ testing.TB, d *draft) { d.body = "x" }, stir.ErrArtefact},
	}
	for i := range cases {
		cases[i].form, cases[i].name = stir.FormToken, "token-"+cases[i].name
	}
	return cases
}

// details are refusals whose reason another package found.
var details = map[string]error{
	"message-certificate-expired-at-iat": chain.ErrValidity,
	"message-chain-out-of-order":         chain.ErrOrder,
	"message-signed-by-a-CA":             chain.ErrSigner,
	"message-unknown-root":               chain.ErrRoot,
	"message-no-TNAuthList":              chain.ErrNoList,
	"message-code-not-granted":           chain.ErrNotCovered,
	"message-alg-none":                   jose.ErrAlgorithm,
	"message-unknown-ppt":                passport.ErrExtension,
	"message-plus-in-number":             passport.ErrNumber,
	"message-dest-a-string":              passport.ErrDestination,
	"call-claims-not-allowed":            tnauth.ErrForbidden,
	"token-alg-none":                     jose.ErrAlgorithm,
}
