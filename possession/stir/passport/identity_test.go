package passport_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"whither/possession/stir/passport"
	"whither/possession/stir/stirtest"
)

func TestParseIdentity(t *testing.T) {
	full := sign(t, shaken(), passport.Shaken)
	info := ";info=<" + x5u + ">"
	for name, c := range map[string]struct {
		value string
		want  passport.Identity
		err   error
	}{
		"as written": {full + info + ";alg=ES256;ppt=shaken", passport.Identity{Token: full, Info: x5u, Alg: "ES256", PPT: "shaken"}, nil},
		"in quotes":  {full + info + `;alg=ES256;ppt="shaken"`, passport.Identity{Token: full, Info: x5u, Alg: "ES256", PPT: "shaken"}, nil},
		"with spaces, any order": {
			full + " ; PPT = shaken\t;\tInfo = <" + x5u + "> ", passport.Identity{Token: full, Info: x5u, PPT: "shaken"}, nil,
		},
		"unknown parameter": {full + info + `;x="a;b\";c";y`, passport.Identity{Token: full, Info: x5u}, nil},
		"semicolon in info": {full + ";info=<https://a.example/;b>", passport.Identity{Token: full, Info: "https://a.example/;b"}, nil},
		"compact":           {"..AAAA" + info, passport.Identity{Token: "..AAAA", Info: x5u}, nil},
		"empty":             {"", passport.Identity{}, passport.ErrIdentity},
		"no info":           {full, passport.Identity{}, passport.ErrIdentity},
		"info bare":         {full + ";info=" + x5u, passport.Identity{}, passport.ErrIdentity},
		"info open":         {full + ";info=<" + x5u, passport.Identity{}, passport.ErrIdentity},
		"info empty":        {full + ";info=<>", passport.Identity{}, passport.ErrIdentity},
		"info twice":        {full + info + info, passport.Identity{}, passport.ErrIdentity},
		"info twice, cased": {full + info + strings.ToUpper(info), passport.Identity{}, passport.ErrIdentity},
		"ppt twice":         {full + info + ";ppt=msg;ppt=shaken", passport.Identity{}, passport.ErrIdentity},
		"ppt empty":         {full + info + ";ppt=", passport.Identity{}, passport.ErrIdentity},
		"ppt of two words":  {full + info + `;ppt="a b"`, passport.Identity{}, passport.ErrIdentity},
		"alg in quotes":     {full + info + `;alg="ES256"`, passport.Identity{}, passport.ErrIdentity},
		"no token":          {info, passport.Identity{}, passport.ErrIdentity},
		"token with plus":   {"a+b" + info, passport.Identity{}, passport.ErrIdentity},
		"token with space":  {"a b" + info, passport.Identity{}, passport.ErrIdentity},
		"two values":        {full + info + "," + full + info, passport.Identity{}, passport.ErrIdentity},
		"empty parameter":   {full + info + ";;", passport.Identity{}, passport.ErrIdentity},
		"folded":            {full + "\r\n " + info, passport.Identity{}, passport.ErrIdentity},
		"not ASCII":         {full + info + ";x=é", passport.Identity{}, passport.ErrIdentity},
		"oversized":         {strings.Repeat("a", passport.MaxIdentity) + info, passport.Identity{}, passport.ErrIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := passport.ParseIdentity(c.value)
			if !errors.Is(err, c.err) || err == nil && got != c.want {
				t.Errorf("got %q, %v", got.Value(), err)
			}
		})
	}
}

func TestIdentityAgrees(t *testing.T) {
	p := parse(t, sign(t, shaken(), passport.Shaken))
	good := passport.IdentityOf(p)
	for name, c := range map[string]struct {
		edit func(*passport.Identity)
		want error
	}{
		"as written":        {func(*passport.Identity) {}, nil},
		"no alg":            {func(id *passport.Identity) { id.Alg = "" }, nil},
		"other certificate": {func(id *passport.Identity) { id.Info += "x" }, passport.ErrMismatch},
		"other algorithm":   {func(id *passport.Identity) { id.Alg = "RS256" }, passport.ErrMismatch},
		"other extension":   {func(id *passport.Identity) { id.PPT = "msg" }, passport.ErrMismatch},
		"no extension":      {func(id *passport.Identity) { id.PPT = "" }, passport.ErrMismatch},
		"broken token":      {func(id *passport.Identity) { id.Token += "." }, passport.ErrToken},
		"compact":           {func(id *passport.Identity) { id.Token = ".." + strings.Split(id.Token, ".")[2] }, passport.ErrCompact},
	} {
		t.Run(name, func(t *testing.T) {
			id := good
			c.edit(&id)
			if _, err := id.Passport(); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestCompact: the receiver rebuilds the full form, and it verifies if the
// claims are those that were signed.
func TestCompact(t *testing.T) {
	full := sign(t, base(), passport.Base)
	id := passport.Identity{Token: ".." + strings.Split(full, ".")[2], Info: x5u}
	p, err := id.Complete(base())
	if err != nil {
		t.Fatal(err)
	}
	if p.Text() != full {
		t.Error("another full form")
	}
	if diff := cmp.Diff(base(), p.Claims); diff != "" {
		t.Error(diff)
	}
	k := &stirtest.FixedKey("signer").PublicKey
	if err := p.Verify(k); err != nil {
		t.Error(err)
	}
	other := base()
	other.Orig.TN = "12155551213"
	if p, err = id.Complete(other); err != nil || !errors.Is(p.Verify(k), passport.ErrSignature) {
		t.Errorf("other claims: %v", err)
	}
	for name, c := range map[string]struct {
		id     passport.Identity
		claims passport.Claims
		want   error
	}{
		"full form":      {passport.Identity{Token: full, Info: x5u}, base(), passport.ErrIdentity},
		"shaken":         {passport.Identity{Token: id.Token, Info: x5u, PPT: "shaken"}, shaken(), passport.ErrIdentity},
		"no claims":      {id, passport.Claims{}, passport.ErrDestination},
		"no certificate": {passport.Identity{Token: id.Token}, base(), passport.ErrNoKey},
		"alg":            {passport.Identity{Token: id.Token, Info: x5u, Alg: "none"}, base(), passport.ErrMismatch},
	} {
		if _, err := c.id.Complete(c.claims); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPick(t *testing.T) {
	call := passport.IdentityOf(parse(t, sign(t, shaken(), passport.Shaken))).Value()
	plain := passport.IdentityOf(parse(t, sign(t, base(), passport.Base))).Value()
	other := "abc.def.ghi;info=<https://a.example/>;ppt=div"
	p, err := passport.Pick([]string{other, plain, call}, passport.Shaken)
	if err != nil || p.Extension != passport.Shaken {
		t.Fatal(err)
	}
	for name, values := range map[string][]string{
		"none":      nil,
		"others":    {other, plain},
		"two":       {call, other, call},
		"malformed": {call, "x"},
		"too many":  strings.Split(strings.Repeat(other+"|", passport.MaxIdentities)+call, "|"),
	} {
		if _, err := passport.Pick(values, passport.Shaken); !errors.Is(err, passport.ErrIdentity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(passport.IdentityOf(parse(f, sign(f, shaken(), passport.Shaken))).Value())
	f.Add(`..AA ; info = <a> ; x="<;\"" ; ppt="msg"`)
	f.Fuzz(func(t *testing.T, value string) {
		id, err := passport.ParseIdentity(value)
		if err != nil {
			return
		}
		again, err := passport.ParseIdentity(id.Value())
		if err != nil || again != id {
			t.Errorf("%q is written as %q: %v", value, id.Value(), err)
		}
	})
}
