package national_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"whither/csi"
	"whither/csi/national"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, region, want string }{
		{"Swiss mobile", "079 123 45 67", "CH", "+41791234567"},
		{"American with brackets", "(408) 555-0123", "US", "+14085550123"},
		{"American with trunk prefix", "1 (408) 555-0123", "US", "+14085550123"},
		{"dots", "408.555.0123", "US", "+14085550123"},
		{"international", "+41 79 123 45 67", "", "+41791234567"},
		{"international, read at home", "+41 79 123 45 67", "CH", "+41791234567"},
		{"international, read elsewhere", "+41 79 123 45 67", "US", "+41791234567"},
		{"plus in brackets", "(+41) 79 123 45 67", "", "+41791234567"},
		{"trunk prefix in brackets", "+41 (0)79 123 45 67", "", "+41791234567"},
		{"trunk prefix without brackets", "+44 020 7946 0148", "", "+442079460148"},
		{"trunk prefix where both lengths are possible", "+49 (0)30 123456", "", "+4930123456"},
		{"Russian trunk prefix", "8 (912) 345-67-89", "RU", "+79123456789"},
		{"Russian trunk prefix behind the country code", "+7 8 912 345 67 89", "", "+79123456789"},
		{"a zero that is no trunk prefix", "+39 06 12345678", "", "+390612345678"},
		{"and in brackets", "+39 (0)6 12345678", "", "+390612345678"},
		{"and at home", "06 1234 5678", "IT", "+390612345678"},
		{"Côte d'Ivoire", "07 12 34 56 78", "CI", "+2250712345678"},
		{"Argentine mobile as dialled at home", "+54 11 15 1234 5678", "", "+5491112345678"},
		{"Jamaica", "876 555-0123", "JM", "+18765550123"},
		{"prefix for calls abroad", "0041 79 123 45 67", "CH", "+41791234567"},
		{"another one", "011 41 79 123 45 67", "US", "+41791234567"},
		{"country code without plus, too long for a national number", "41 79 123 45 67", "CH", "+41791234567"},
		{"begins like the country code, and is national", "391 234 5678", "IT", "+393912345678"},
		{"slash behind the area code", "030/123456", "DE", "+4930123456"},
		{"slash behind a long area code", "+49 33201/12345", "", "+493320112345"},
		{"no trunk prefix in the plan", "4000", "NU", "+6834000"},
		{"service of all countries", "+800 1234 5678", "", "+80012345678"},
		{"country code that several regions share", "0692 12 34 56", "RE", "+262692123456"},
		{"Kosovo", "043 201 234", "XK", "+38343201234"},

		{"full width", "\uff10\uff19\uff10\uff0d\uff11\uff12\uff13\uff14\uff0d\uff15\uff16\uff17\uff18", "JP", "+819012345678"},
		{"full-width plus and brackets", "\uff0b\uff18\uff11\uff08\uff10\uff0990\u30fc1234\u30fc5678", "", "mixed-digits"},
		{"full-width plus alone", "\uff0b81 90 1234 5678", "", "+819012345678"},
		{"Arabic", "٠١٠ ١٢٣٤ ٥٦٧٨", "EG", "+201012345678"},
		{"Persian", "۰۹۱۲ ۳۴۵ ۶۷۸۹", "IR", "+989123456789"},
		{"Devanagari", "०९८७६५ ४३२१०", "IN", "+919876543210"},
		{"Bengali", "+৮৮০ ১৭১২-৩৪৫৬৭৮", "", "+8801712345678"},
		{"Arabic and Persian together", "٠١٠ ١٢٣٤ ٥٦۷۸", "EG", "mixed-digits"},
		{"a Bengali four among eights", "+1 40৪ 555 0123", "", "mixed-digits"},
		{"mathematical digits", "𝟎𝟕𝟗 𝟏𝟐𝟑 𝟒𝟓 𝟔𝟕", "CH", "character"},
		{"circled digits", "⑦⑨ 123 45 67", "CH", "character"},
		{"superscript digits", "079 123 45 6⁷", "CH", "character"},

		{"as an address book copies it", "\u202a+41\u00a079\u00a0123\u00a045\u00a067\u202c", "", "+41791234567"},
		{"as another one does", "\u202d079 123 45 67\u202c", "CH", "+41791234567"},
		{"hyphens of typesetters", "079\u2011123\u201345\u201467", "CH", "+41791234567"},
		{"soft hyphen and zero-width blank", "079\u00ad123\u200b4567", "CH", "+41791234567"},
		{"turned around", "\u202e76 54 321 970", "CH", "direction"},
		{"right-to-left mark", "079 123\u200f 45 67", "CH", "direction"},

		{"empty", "", "CH", "empty"},
		{"no digit", "(+) -", "CH", "empty"},
		{"too much text", strings.Repeat("0 ", 200), "CH", "overlong"},
		{"too many digits", strings.Repeat("1", 25), "CH", "length"},
		{"control", "079 123\x0045 67", "CH", "character"},
		{"broken UTF-8", "079 123 45 \xff67", "CH", "character"},
		{"replacement character", "079 123 45 \ufffd67", "CH", "character"},
		{"percent", "079%20123", "CH", "character"},
		{"vanity", "1-800-FLOWERS", "US", "letters"},
		{"label", "Tel. 079 123 45 67", "CH", "letters"},
		{"a name", "bob", "CH", "letters"},
		{"letters of another script", "тел 079 123 45 67", "CH", "letters"},
		{"URI", "tel:+41791234567", "", "letters"},
		{"x", "+1 408 555 0123 x 12", "", "extension"},
		{"ext.", "+1 408 555 0123 ext. 12", "", "extension"},
		{"Durchwahl", "044 123 45 67 DW 12", "CH", "extension"},
		{"in Russian", "+7 495 123-45-67 доб. 12", "", "extension"},
		{"number sign", "044 123 45 67 # 12", "CH", "extension"},
		{"pause", "+1 408 555 0123,,12", "", "extension"},
		{"wait", "+1 408 555 0123;12", "", "extension"},
		{"parameter", "+1-408-555-0123;ext=12", "", "extension"},
		{"x without digits is no extension", "408 555 01xx", "US", "letters"},
		{"two numbers", "044 123 45 67 / 079 765 43 21", "CH", "several"},
		{"two numbers in short", "044 123 45 67/68", "CH", "several"},
		{"two numbers of a plan with many lengths", "1234567/7654321", "DE", "several"},
		{"two slashes", "030/123/456", "DE", "several"},
		{"two pluses", "++41791234567", "", "several"},
		{"plus in the middle", "079 123 45 67 +41 79 765 43 21", "CH", "several"},
		{"two lines", "079 123 45 67\n079 765 43 21", "CH", "several"},
		{"caller's number hidden", "*31#0791234567", "CH", "service-code"},
		{"balance", "*100#", "CH", "service-code"},
		{"star in the middle", "079*123", "CH", "service-code"},
		{"emergency", "112", "CH", "emergency"},
		{"emergency in America", "911", "US", "emergency"},
		{"emergency in Arabic digits", "١٢٣", "EG", "emergency"},
		{"emergency, nobody says where", "112", "", "short-code"},
		{"enquiries", "1818", "CH", "short-code"},
		{"enquiries as long as a number", "11833", "DE", "short-code"},
		{"emergency behind a country code", "+1 911", "", "length"},
		{"no area code", "555-0123", "US", "area-code"},
		{"no area code, with country code", "+1 555-0123", "", "area-code"},
		{"no region", "079 123 45 67", "", "no-region"},
		{"no region, prefix for calls abroad", "0041 79 123 45 67", "", "no-region"},
		{"unknown region", "079 123 45 67", "XX", "region"},
		{"region in small letters", "079 123 45 67", "ch", "region"},
		{"region of no country", "+80012345678", "001", "region"},
		{"national or international", "4930123456", "DE", "ambiguous"},
		{"national or international, without trunk prefix", "39 06 1234567", "IT", "ambiguous"},
		{"too short", "079 123 45", "CH", "length"},
		{"too long", "079 123 45 67 89", "CH", "length"},
		{"too long with trunk prefix and country code", "+41 079 123 45 67 89", "", "length"},
		{"too long with country code", "+41 79 123 45 67 89", "", "length"},
		{"one digit", "7", "CH", "length"},
		{"unassigned country code", "+999 123 456", "", "country-code"},
		{"unassigned country code behind the prefix", "00999 123 4567", "CH", "country-code"},
		{"zero behind plus", "+0791234567", "", "country-code"},
		{"shorter than any csi", "+290 123", "", "length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := national.Parse(c.text, national.Region(c.region))
			var reason national.Reason
			switch got := id.CAMARA(); {
			case err == nil && got != c.want:
				t.Errorf("read as %s, want %s", got, c.want)
			case err != nil && !errors.As(err, &reason):
				t.Errorf("error of type %T", err)
			case err != nil && (string(reason) != c.want || !id.IsZero()):
				t.Errorf("refused: %q, want %s", string(reason), c.want)
			}
		})
	}
}

func TestReasonsSayWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range []national.Reason{
		national.ErrEmpty, national.ErrOverlong, national.ErrCharacter, national.ErrDirection, national.ErrMixedDigits,
		national.ErrLetters, national.ErrExtension, national.ErrSeveral, national.ErrServiceCode, national.ErrEmergency,
		national.ErrShortCode, national.ErrRegion, national.ErrNoRegion, national.ErrAmbiguous, national.ErrAreaCode,
		national.ErrLength, national.ErrCountryCode,
	} {
		text := r.Error()
		if strings.Count(text, ": ") != 2 || seen[text] || text == national.Reason("").Error() {
			t.Errorf("%q: %q", string(r), text)
		}
		seen[text] = true
	}
}

// TestDigitsOfScripts holds the zeros to Unicode: ten digits follow each.
func TestDigitsOfScripts(t *testing.T) {
	want := mustParse(t, "+49 1234567890", "")
	for _, zero := range national.Zeros {
		text := "+"
		for _, c := range "491234567890" {
			if digit := zero + c - '0'; unicode.Is(unicode.Nd, digit) {
				text += string(digit)
			}
		}
		if got, err := national.Parse(text, ""); err != nil || got != want {
			t.Errorf("digits from %U: %v", zero, err)
		}
	}
}

// TestInternationalStays: a number with "+" that is possible keeps its digits,
// for the example numbers of every plan and type. Only the plans with a trunk
// prefix 0 have one taken away.
func TestInternationalStays(t *testing.T) {
	numbers := examples()
	if len(numbers) < 1000 {
		t.Fatalf("%d examples: the plans were not read", len(numbers))
	}
	for _, e164 := range numbers {
		want, err := csi.Parse("tel:" + e164)
		if err != nil {
			continue // shorter than seven digits
		}
		for _, region := range []national.Region{"", "CH", "US", "RU", "IT"} {
			if got, err := national.Parse(e164, region); err != nil || got != want {
				t.Errorf("%s read in %q: %s, %v", e164, region, got.Canonical(), err)
			}
		}
	}
}

// TestFormatLeadsBack: what is shown for a number is read as that number again,
// in every region that shares the country code and in some others.
func TestFormatLeadsBack(t *testing.T) {
	for _, e164 := range examples() {
		id, err := csi.Parse("tel:" + e164)
		if err != nil {
			continue
		}
		for _, region := range append(id.Home(), "", "CH", "US") {
			if region != "" && national.Region(region).CallingCode() == "" {
				continue // uninhabited, and without a plan
			}
			shown := national.Format(id, national.Region(region))
			if again, err := national.Parse(shown, national.Region(region)); err != nil || again != id {
				t.Errorf("%s is shown in %q as %q, which is %s, %v", e164, region, shown, again.Canonical(), err)
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ uri, region, want string }{
		{"tel:+41791234567", "CH", "079 123 45 67"},
		{"tel:+41791234567", "", "+41 79 123 45 67"},
		{"tel:+41791234567", "US", "+41 79 123 45 67"},
		{"tel:+14085550123", "US", "(408) 555-0123"},
		{"tel:+14165550123", "US", "+1 416-555-0123"}, // Canada shares the code and not the country
		{"tel:+390612345678", "IT", "06 1234 5678"},
		{"tel:+9991234567", "", ""},
		{"tel:+4112345678901", "CH", "+4112345678901"}, // not possible, and an identifier all the same
		{"tel:+410791234567", "CH", "+410791234567"},   // read as another one
		{"mailto:bob@example.org", "CH", "bob@example.org"},
	} {
		id, err := csi.Parse(c.uri)
		if (err != nil) != (c.want == "") {
			t.Fatalf("%s: %v", c.uri, err)
		}
		if got := national.Format(id, national.Region(c.region)); got != c.want {
			t.Errorf("%s in %q: %q, want %q", c.uri, c.region, got, c.want)
		}
	}
}

func TestRegions(t *testing.T) {
	all := national.Regions()
	if len(all) < 240 || !slices.IsSorted(all) {
		t.Fatalf("%d regions", len(all))
	}
	for _, r := range all {
		if again, err := national.ParseRegion(strings.ToLower(string(r))); err != nil || again != r {
			t.Errorf("%s: %v", r, err)
		}
		// Every country code of the plans is one that csi knows.
		if _, err := csi.Parse("tel:" + r.CallingCode() + "12345678"); err != nil {
			t.Errorf("%s has calling code %s: %v", r, r.CallingCode(), err)
		}
	}
	for _, bad := range []string{"", "C", "CHE", "XX", "41", "ZZ", "cĥ", "00"} {
		if _, err := national.ParseRegion(bad); !errors.Is(err, national.ErrRegion) {
			t.Errorf("region %q: %v", bad, err)
		}
	}
	if got := national.Region("XX").CallingCode(); got != "" {
		t.Errorf("calling code of nowhere: %q", got)
	}
}

// FuzzParse: a result is canonical and comes back from what is shown of it;
// refusals are reasons and hold no digit of the number.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"079 123 45 67", "+41 (0)79 123 45 67", "(408) 555-0123", "4930123456", "+390612345678", "112", "*31#079",
		"٠١٠١٢٣٤٥٦٧٨", "030/1234567/89", "+1 408 555 0123 x12", "\u202a+41 79\u202c", "00441481123456",
	} {
		for _, r := range []string{"", "CH", "DE", "US", "IT", "EG"} {
			f.Add(s, r)
		}
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		r := national.Region(region)
		id, err := national.Parse(text, r)
		if err != nil {
			var reason national.Reason
			if !errors.As(err, &reason) || !id.IsZero() || strings.ContainsAny(err.Error(), "0123456789") {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if again, err := csi.ParseCanonical(id.Canonical()); err != nil || again != id {
			t.Fatalf("not canonical: %v", err)
		}
		if again, err := national.Parse(national.Format(id, r), r); err != nil || again != id {
			t.Fatalf("%q is shown as %q, which is %s, %v", text, national.Format(id, r), again.Canonical(), err)
		}
		if again, err := national.Parse(id.CAMARA(), ""); err != nil || again != id {
			t.Fatalf("%s leads to %s, %v", id.CAMARA(), again.Canonical(), err)
		}
	})
}

func ExampleParse() {
	id, err := national.Parse("079 123 45 67", "CH")
	fmt.Println(id, err)
	fmt.Println(national.Format(id, "CH"), "at home,", national.Format(id, "US"), "elsewhere")
	_, err = national.Parse("079 123 45 67", "")
	fmt.Println(err)
	// Output:
	// tel:… <nil>
	// 079 123 45 67 at home, +41 79 123 45 67 elsewhere
	// telephone number: has no country: begin with + and the country code, or name the region that it is written for
}

func BenchmarkParse(b *testing.B) {
	for name, c := range map[string]struct {
		text   string
		region national.Region
	}{
		"national": {"079 123 45 67", "CH"}, "international": {"+41 79 123 45 67", ""}, "trunk": {"+41 (0)79 123 45 67", ""},
		"refused": {"1-800-FLOWERS", "US"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = national.Parse(c.text, c.region)
			}
		})
	}
}

func BenchmarkFormat(b *testing.B) {
	id := mustParse(b, "+41791234567", "")
	for b.Loop() {
		_ = national.Format(id, "CH")
	}
}

func mustParse(t testing.TB, text string, region national.Region) csi.ID {
	t.Helper()
	id, err := national.Parse(text, region)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// examples gives the example number of each type in each plan, in E.164, but
// for those that can be dialled within their country only.
func examples() []string {
	var out []string
	for _, r := range national.Regions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			if n := phonenumbers.GetExampleNumberForType(string(r), kind); n != nil &&
				phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE {
				out = append(out, phonenumbers.Format(n, phonenumbers.E164))
			}
		}
	}
	return out
}
