package passport_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"whither/internal/vectortest"
	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
)

var update = flag.Bool("update", false, "rewrite the vectors")

const vectorFile = "../../../vectors/stir/passport.json"

// vectors is passport.json; see the README there.
type vectors struct {
	Key    string        `json:"key"` // name of the fixed key that signed those accepted
	Tokens []tokenVector `json:"tokens"`
}

type tokenVector struct {
	Name    string `json:"name"`
	Header  string `json:"header"`
	Payload string `json:"payload"`
	Token   string `json:"token"`
	Expect  string `json:"expect"`
}

// kinds names the refusals of tokens in vectors.
func kinds() map[string]error {
	return map[string]error{
		"accept": nil, "token": passport.ErrToken, "type": passport.ErrType, "extension": passport.ErrExtension,
		"no-key": passport.ErrNoKey, "time": passport.ErrTime, "origin": passport.ErrOrigin, "destination": passport.ErrDestination,
		"number": passport.ErrNumber, "uri": passport.ErrURI, "media-key": passport.ErrMediaKey,
		"attestation": passport.ErrAttestation, "message-hash": passport.ErrMessageHash,
	}
}

const (
	plainHeader  = `{"alg":"ES256","typ":"passport","x5u":"https://cert.example.org/passport.cer"}`
	shakenHeader = `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/passport.cer"}`
	msgHeader    = `{"alg":"ES256","ppt":"msg","typ":"passport","x5u":"https://cert.example.org/passport.cer"}`
	uuid         = "123e4567-e89b-12d3-a456-426655440000"
	digestA      = "021ACC5427ABEB9C533F3E4B652E7D463F5442CD54F17A03A27DF9B07F4619B2"
	digestB      = "4AADB9B13F82183B540212DF3E5D496B19E57CAB3E4B652E7D463F5442CD54F1"
)

// payload puts claims between the three that are always there; what is given
// must sort where it is put.
func payload(beforeDest, dest, iat, afterIat, orig, afterOrig string) string {
	return "{" + beforeDest + `"dest":` + dest + `,"iat":` + iat + afterIat + `,"orig":` + orig + afterOrig + "}"
}

const (
	destTN = `{"tn":["12155550131"]}`
	origTN = `{"tn":"12155551212"}`
	iat    = "1443208345"
)

func plain() string { return payload("", destTN, iat, "", origTN, "") }

func mky(list string) string { return payload("", destTN, iat, `,"mky":`+list, origTN, "") }

func call(attest, origid string) string {
	return payload(attest, destTN, iat, "", origTN, origid)
}

// cases are header, payload and what becomes of them.
func cases() []tokenVector {
	return []tokenVector{
		{Name: "plain", Header: plainHeader, Payload: plain(), Expect: "accept"},
		{Name: "to a uri", Header: plainHeader, Payload: payload("", `{"uri":["sip:alice@example.com"]}`, iat, "", origTN, ""), Expect: "accept"},
		{Name: "to several", Header: plainHeader, Payload: payload("", `{"tn":["12125551212","12125551213"],"uri":["sip:alice@example.com","sip:bob@example.net"]}`, iat, "", origTN, ""), Expect: "accept"},
		{Name: "from a uri", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"uri":"sip:alice@example.com"}`, ""), Expect: "accept"},
		{Name: "media keys", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + digestA + `"},{"alg":"sha-256","dig":"` + digestB + `"}]`), Expect: "accept"},
		{Name: "unknown claim", Header: plainHeader, Payload: payload(`"bar":"beyond all recognition",`, destTN, iat, "", origTN, ""), Expect: "accept"},
		{Name: "shaken", Header: shakenHeader, Payload: call(`"attest":"A",`, `,"origid":"`+uuid+`"`), Expect: "accept"},
		{Name: "shaken, attestation C", Header: shakenHeader, Payload: call(`"attest":"C",`, `,"origid":"`+uuid+`"`), Expect: "accept"},
		{Name: "message", Header: msgHeader, Payload: payload("", destTN, iat, `,"msgi":"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="`, origTN, ""), Expect: "accept"},
		{Name: "message without msgi", Header: msgHeader, Payload: plain(), Expect: "accept"},
		{Name: "certificates inside", Header: `{"alg":"ES256","typ":"passport","x5c":["MAA="]}`, Payload: plain(), Expect: "accept"},

		{Name: "alg none", Header: strings.Replace(plainHeader, "ES256", "none", 1), Payload: plain(), Expect: "token"},
		{Name: "alg HS256", Header: strings.Replace(plainHeader, "ES256", "HS256", 1), Payload: plain(), Expect: "token"},
		{Name: "crit", Header: strings.Replace(plainHeader, `"typ"`, `"crit":["exp"],"typ"`, 1), Payload: plain(), Expect: "token"},
		{Name: "header out of order", Header: `{"typ":"passport","alg":"ES256","x5u":"https://cert.example.org/passport.cer"}`, Payload: plain(), Expect: "token"},
		{Name: "header with a space", Header: strings.Replace(plainHeader, ":", ": ", 1), Payload: plain(), Expect: "token"},
		{Name: "payload out of order", Header: plainHeader, Payload: `{"iat":` + iat + `,"dest":` + destTN + `,"orig":` + origTN + `}`, Expect: "token"},
		{Name: "payload with a line end", Header: plainHeader, Payload: plain() + "\n", Expect: "token"},
		{Name: "escaped slash", Header: strings.Replace(plainHeader, "//", `\/\/`, 1), Payload: plain(), Expect: "token"},
		{Name: "claim twice", Header: plainHeader, Payload: payload("", destTN, iat, `,"iat":`+iat, origTN, ""), Expect: "token"},
		{Name: "x5u in clear", Header: strings.Replace(plainHeader, "https", "http", 1), Payload: plain(), Expect: "token"},
		{Name: "typ JWT", Header: strings.Replace(plainHeader, `"passport"`, `"JWT"`, 1), Payload: plain(), Expect: "type"},
		{Name: "no typ", Header: strings.Replace(plainHeader, `"typ":"passport",`, "", 1), Payload: plain(), Expect: "type"},
		{Name: "typ in capitals", Header: strings.Replace(plainHeader, `"passport"`, `"PASSporT"`, 1), Payload: plain(), Expect: "type"},
		{Name: "unknown ppt", Header: strings.Replace(msgHeader, `"msg"`, `"foo"`, 1), Payload: plain(), Expect: "extension"},
		{Name: "ppt div", Header: strings.Replace(msgHeader, `"msg"`, `"div"`, 1), Payload: plain(), Expect: "extension"},
		{Name: "ppt in capitals", Header: strings.Replace(msgHeader, `"msg"`, `"MSG"`, 1), Payload: plain(), Expect: "extension"},
		{Name: "no certificate", Header: `{"alg":"ES256","typ":"passport"}`, Payload: plain(), Expect: "no-key"},
		{Name: "no iat", Header: plainHeader, Payload: `{"dest":` + destTN + `,"orig":` + origTN + `}`, Expect: "time"},
		{Name: "iat a string (RFC 8225 section 7.1)", Header: plainHeader, Payload: payload("", destTN, `"1443208345"`, "", origTN, ""), Expect: "time"},
		{Name: "iat zero", Header: plainHeader, Payload: payload("", destTN, "0", "", origTN, ""), Expect: "time"},
		{Name: "iat negative", Header: plainHeader, Payload: payload("", destTN, "-1", "", origTN, ""), Expect: "time"},
		{Name: "iat in nanoseconds", Header: plainHeader, Payload: payload("", destTN, "1443208345000000000", "", origTN, ""), Expect: "time"},
		{Name: "iat a fraction", Header: plainHeader, Payload: payload("", destTN, "1443208345.5", "", origTN, ""), Expect: "token"},
		{Name: "no orig", Header: plainHeader, Payload: `{"dest":` + destTN + `,"iat":` + iat + `}`, Expect: "origin"},
		{Name: "orig a string", Header: plainHeader, Payload: payload("", destTN, iat, "", `"12155551212"`, ""), Expect: "origin"},
		{Name: "orig an array", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":["12155551212"]}`, ""), Expect: "origin"},
		{Name: "orig of two", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":"12155551212","uri":"sip:alice@example.com"}`, ""), Expect: "origin"},
		{Name: "orig of none", Header: plainHeader, Payload: payload("", destTN, iat, "", `{}`, ""), Expect: "origin"},
		{Name: "orig of another kind", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"mail":"a@b.example"}`, ""), Expect: "origin"},
		{Name: "orig with plus", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":"+12155551212"}`, ""), Expect: "number"},
		{Name: "orig with separators", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":"1-215-555-1212"}`, ""), Expect: "number"},
		{Name: "orig of 16 digits", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":"1215555121212345"}`, ""), Expect: "number"},
		{Name: "orig with full-width digits", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"tn":"１２１"}`, ""), Expect: "number"},
		{Name: "no dest", Header: plainHeader, Payload: `{"iat":` + iat + `,"orig":` + origTN + `}`, Expect: "destination"},
		{Name: "dest a string", Header: plainHeader, Payload: payload("", `{"tn":"12155550131"}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest empty", Header: plainHeader, Payload: payload("", `{}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest of no numbers", Header: plainHeader, Payload: payload("", `{"tn":[]}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest an array", Header: plainHeader, Payload: payload("", `[{"tn":"12155550131"}]`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest not sorted", Header: plainHeader, Payload: payload("", `{"tn":["2","1"]}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest twice", Header: plainHeader, Payload: payload("", `{"tn":["1","1"]}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest of numbers", Header: plainHeader, Payload: payload("", `{"tn":[12155550131]}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest of another kind", Header: plainHeader, Payload: payload("", `{"mail":["a"]}`, iat, "", origTN, ""), Expect: "destination"},
		{Name: "dest with plus", Header: plainHeader, Payload: payload("", `{"tn":["+12155550131"]}`, iat, "", origTN, ""), Expect: "number"},
		{Name: "uri without scheme", Header: plainHeader, Payload: payload("", `{"uri":["alice@example.com"]}`, iat, "", origTN, ""), Expect: "uri"},
		{Name: "uri with a space", Header: plainHeader, Payload: payload("", `{"uri":["sip:al ice@example.com"]}`, iat, "", origTN, ""), Expect: "uri"},
		{Name: "uri of a scheme alone", Header: plainHeader, Payload: payload("", destTN, iat, "", `{"uri":"sip:"}`, ""), Expect: "uri"},
		{Name: "mky an object", Header: plainHeader, Payload: mky(`{"alg":"sha-256","dig":"` + digestA + `"}`), Expect: "media-key"},
		{Name: "mky empty", Header: plainHeader, Payload: mky(`[]`), Expect: "media-key"},
		{Name: "mky in small letters", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + strings.ToLower(digestA) + `"}]`), Expect: "media-key"},
		{Name: "mky with colons", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"02:1A"}]`), Expect: "media-key"},
		{Name: "mky cut off", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + digestA[:62] + `"}]`), Expect: "media-key"},
		{Name: "mky SHA-1", Header: plainHeader, Payload: mky(`[{"alg":"sha-1","dig":"` + digestA[:40] + `"}]`), Expect: "media-key"},
		{Name: "mky not sorted", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + digestB + `"},{"alg":"sha-256","dig":"` + digestA + `"}]`), Expect: "media-key"},
		{Name: "mky twice the same", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + digestA + `"},{"alg":"sha-256","dig":"` + digestA + `"}]`), Expect: "media-key"},
		{Name: "mky with a third member", Header: plainHeader, Payload: mky(`[{"alg":"sha-256","dig":"` + digestA + `","x":1}]`), Expect: "media-key"},
		{Name: "shaken without attest", Header: shakenHeader, Payload: call("", `,"origid":"`+uuid+`"`), Expect: "attestation"},
		{Name: "shaken without origid", Header: shakenHeader, Payload: call(`"attest":"A",`, ""), Expect: "attestation"},
		{Name: "attest D", Header: shakenHeader, Payload: call(`"attest":"D",`, `,"origid":"`+uuid+`"`), Expect: "attestation"},
		{Name: "attest a", Header: shakenHeader, Payload: call(`"attest":"a",`, `,"origid":"`+uuid+`"`), Expect: "attestation"},
		{Name: "attest a list", Header: shakenHeader, Payload: call(`"attest":["A"],`, `,"origid":"`+uuid+`"`), Expect: "attestation"},
		{Name: "attest D without ppt", Header: plainHeader, Payload: call(`"attest":"D",`, ""), Expect: "attestation"},
		{Name: "origid no UUID", Header: shakenHeader, Payload: call(`"attest":"A",`, `,"origid":"123e4567e89b12d3a456426655440000"`), Expect: "attestation"},
		{Name: "origid cut off", Header: shakenHeader, Payload: call(`"attest":"A",`, `,"origid":"`+uuid[:35]+`"`), Expect: "attestation"},
		{Name: "msgi a number", Header: msgHeader, Payload: payload("", destTN, iat, `,"msgi":1`, origTN, ""), Expect: "message-hash"},
		{Name: "orig and dest strings", Header: shakenHeader, Payload: `{"attest":"A","dest":"12155550131","iat":` + iat + `,"orig":"12155551212","origid":"` + uuid + `"}`, Expect: "destination"},
	}
}

const signerName = "signer"

func composeVectors(t *testing.T) vectors {
	t.Helper()
	v := vectors{Key: signerName}
	k := stirtest.FixedKey(signerName)
	encode := base64.RawURLEncoding.EncodeToString
	for _, c := range cases() {
		input := encode([]byte(c.Header)) + "." + encode([]byte(c.Payload))
		c.Token = input + "." + encode(rawSignature(t, k, input))
		v.Tokens = append(v.Tokens, c)
	}
	return v
}

func TestVectorsAreCurrent(t *testing.T) {
	dir, name := filepath.Split(vectorFile)
	vectortest.Current(t, dir, map[string][]byte{name: vectortest.JSON(t, composeVectors(t))}, *update)
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	var v vectors
	if vectortest.Read(t, vectorFile, &v); len(v.Tokens) == 0 {
		t.Fatal("no vectors")
	}
	return v
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	k := &stirtest.FixedKey(v.Key).PublicKey
	missing := kinds()
	for _, c := range v.Tokens {
		delete(missing, c.Expect)
		t.Run(c.Name, func(t *testing.T) {
			want, known := kinds()[c.Expect]
			if !known {
				t.Fatalf("unknown kind %q", c.Expect)
			}
			p, err := passport.Parse(c.Token)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("got %v, want %v", err, want)
			}
			if err != nil {
				if strings.Contains(err.Error(), "1215555") {
					t.Errorf("%v tells a number", err)
				}
				return
			}
			if err := p.Verify(k); err != nil {
				t.Error(err)
			}
		})
	}
	for name := range missing {
		t.Errorf("no vector is refused as %q", name)
	}
}
