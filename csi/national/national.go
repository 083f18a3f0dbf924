// Package national reads telephone numbers as people write them ("079 123 45 67"
// in Switzerland, "(408) 555-0123" in the United States, "+41 (0)79 …") into
// cross-service identifiers, and writes identifiers for people to read.
//
// It is an edge: packages that read signed or sent bytes use package csi alone,
// which knows no numbering plans. Here a plan is needed, and a library has the
// plans of the world; no other package imports it. The reasons are in
// docs/adr/0011-national-numbers.md.
//
// # Promises
//
//   - [Parse] asks only whether a number is possible (its length fits the plan of
//     its country), never whether it is in use: that changes every month.
//   - A number that begins with "+" and is possible as it stands comes out with
//     exactly its digits, whatever the release of the plans. One exception: a
//     trunk prefix 0 behind the country code of a plan that has one ("+44 (0)20")
//     is dropped.
//   - Where two readings are possible, Parse refuses and says what to write.
//   - Every result is a fixed point of csi.ParseCanonical. [Format] of it, read
//     again for the same region, is it again.
//   - Errors are of type [Reason] and hold nothing of the number.
//
// # Not checked
//
// Whether the number exists, whether it is a mobile number, who has it.
//
// A number that the plans do not know yet is refused as impossible: written as
// a URI ("tel:+…") it goes to csi.Parse, which takes it.
//
// The library reads its plans when a program starts that links it: 6 ms and 6 MB
// of memory, beside 6 MB in the binary. A number with "+" then takes 2 µs, any
// other 25 µs. Everything here is safe for concurrent use.
package national

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"whither/csi"
)

// MaxInput is how many octets of text Parse looks at.
const MaxInput = 250

// Region is the country for which a number is written: an ISO 3166-1 alpha-2
// code such as CH, or XK. The zero value is no region: then only numbers that
// begin with "+" can be read.
type Region string

// ParseRegion reads a region's code in any case.
func ParseRegion(s string) (Region, error) {
	if len(s) != 2 {
		return "", ErrRegion
	}
	r := Region(strings.ToUpper(s))
	if !r.known() {
		return "", ErrRegion
	}
	return r, nil
}

// Regions lists the regions that have a numbering plan, sorted.
func Regions() []Region {
	var out []Region
	for code := range phonenumbers.GetSupportedRegions() {
		out = append(out, Region(code))
	}
	slices.Sort(out)
	return out
}

// CallingCode is the region's country code with "+": +41 for CH. It is empty
// for a region without a plan.
func (r Region) CallingCode() string {
	if !r.known() {
		return ""
	}
	return "+" + r.code()
}

func (r Region) code() string {
	return strconv.Itoa(phonenumbers.GetCountryCodeForRegion(string(r)))
}

func (r Region) known() bool { return phonenumbers.GetSupportedRegions()[string(r)] }

// Parse reads one telephone number as a person writes it. Without "+" it is
// read as somebody in region would dial it. The error is a [Reason].
func Parse(text string, region Region) (csi.ID, error) {
	if region != "" && !region.known() {
		return csi.ID{}, ErrRegion
	}
	w, reason := read(text)
	if reason != "" {
		return csi.ID{}, reason
	}
	var e164 string
	if w.plus {
		e164, reason = global(w.digits)
	} else {
		e164, reason = local(w.digits, region)
	}
	if reason != "" {
		return csi.ID{}, reason
	}
	id, err := csi.Parse(string(csi.Tel) + ":" + e164)
	if err != nil {
		return csi.ID{}, ErrLength // the plans know shorter numbers than csi does
	}
	return id, nil
}

// global reads the digits behind "+".
func global(digits string) (string, Reason) {
	n := build(digits)
	if n == nil {
		return "", ErrCountryCode
	}
	asWritten := judge(n)
	if asWritten == "" && !trunkZero(n) {
		return "+" + digits, ""
	}
	// Not possible as it stands: there may be a trunk prefix behind the country
	// code, or a national spelling that the plan knows (+54 11 15 …).
	n, err := phonenumbers.Parse("+"+digits, "")
	if err != nil {
		return "", reasonOf(err)
	}
	if judge(n) != "" || trunkZero(n) {
		return "", asWritten.or(ErrLength)
	}
	return phonenumbers.Format(n, phonenumbers.E164), ""
}

// local reads digits as somebody in region dials them: with or without trunk
// prefix, or with the region's prefix for calls abroad.
func local(digits string, region Region) (string, Reason) {
	if region == "" {
		if len(digits) <= maxShort {
			return "", ErrShortCode
		}
		return "", ErrNoRegion
	}
	n, err := phonenumbers.Parse(digits, string(region))
	if len(digits) <= maxShort {
		switch {
		case phonenumbers.IsEmergencyNumber(digits, string(region)):
			return "", ErrEmergency
		case err == nil && phonenumbers.IsValidShortNumberForRegion(n, string(region)):
			return "", ErrShortCode
		}
	}
	if err != nil {
		return "", reasonOf(err)
	}
	if reason := judge(n); reason != "" {
		return "", reason
	}
	if trunkZero(n) {
		// The library keeps a trunk prefix where what is behind it has no possible
		// length, and the whole may have one by accident.
		return "", ErrLength
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	if ambiguous(digits, region, e164) {
		return "", ErrAmbiguous
	}
	return e164, ""
}

// ambiguous tells whether digits without "+" are as possible with the region's
// country code in front as they are with "+" alone: "4930123456" in Germany is a
// number of Hage without its 0, or one of Berlin without its "+". Where plans
// have no trunk prefix, numbers are dialled so, and the national reading stands
// if the library takes it too (391 234 5678 in Italy).
func ambiguous(digits string, region Region, e164 string) bool {
	code := region.code()
	if !strings.HasPrefix(digits, code) {
		return false
	}
	abroad, home := build(digits), build(code+digits)
	if abroad == nil || home == nil || judge(abroad) != "" || judge(home) != "" {
		return false
	}
	trunk := phonenumbers.GetNddPrefixForRegion(string(region), true)
	return trunk != "" && !strings.HasPrefix(digits, trunk) || e164 == "+"+digits
}

// build makes the library's number of country code and national number without
// changing any digit, which the library's own parser does not promise. Nil: no
// country code.
func build(digits string) *phonenumbers.PhoneNumber {
	for i := 1; i <= 3 && i < len(digits); i++ {
		code, err := strconv.ParseInt(digits[:i], 10, 32)
		if err != nil || digits[0] == '0' || !phonenumbers.GetSupportedCallingCodes()[int(code)] {
			continue
		}
		national := digits[i:]
		value, err := strconv.ParseUint(national, 10, 64)
		if err != nil {
			return nil // more digits than read lets through
		}
		n := &phonenumbers.PhoneNumber{}
		country := int32(code)
		n.CountryCode, n.NationalNumber = &country, &value
		// The library counts zeros in front of the last digit only.
		zeros := int32(len(national) - len(strings.TrimLeft(national[:len(national)-1], "0")) - 1)
		if zeros > 0 {
			leading := true
			n.ItalianLeadingZero, n.NumberOfLeadingZeros = &leading, &zeros
		}
		return n
	}
	return nil
}

// judge says why a number is not possible; empty: it is.
func judge(n *phonenumbers.PhoneNumber) Reason {
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
		return ""
	case phonenumbers.IS_POSSIBLE_LOCAL_ONLY:
		return ErrAreaCode
	case phonenumbers.INVALID_COUNTRY_CODE:
		return ErrCountryCode
	default:
		return ErrLength
	}
}

// trunkZero tells whether a number has the 0 of calls within its country behind
// the country code. In plans that have this prefix no national number begins
// with it; those where one does (Italy, Côte d'Ivoire) have no prefix.
func trunkZero(n *phonenumbers.PhoneNumber) bool {
	region := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	return n.GetItalianLeadingZero() && phonenumbers.GetNddPrefixForRegion(region, true) == "0"
}

// Format writes an identifier for people, on their own screen: a number of
// region the way it is written there, any other with its country code and in
// groups, a mail address as it is. Never put the result into a log.
func Format(id csi.ID, region Region) string {
	if id.Scheme() != csi.Tel {
		_, rest, _ := strings.Cut(id.Canonical(), ":")
		return rest
	}
	if !region.known() {
		region = ""
	}
	e164 := id.CAMARA()
	n := build(id.PASSporTDigits())
	if n == nil {
		return e164
	}
	style := phonenumbers.INTERNATIONAL
	if region != "" && slices.Contains(id.Home(), string(region)) && region.code() == strconv.Itoa(int(n.GetCountryCode())) {
		style = phonenumbers.NATIONAL
	}
	// What is shown gets copied and typed again, and must lead to the same
	// person: the plans' formats of some numbers do not.
	if s := phonenumbers.Format(n, style); leadsTo(s, region, id) {
		return s
	}
	if s := phonenumbers.Format(n, phonenumbers.INTERNATIONAL); leadsTo(s, region, id) {
		return s
	}
	return e164
}

func leadsTo(s string, region Region, id csi.ID) bool {
	again, err := Parse(s, region)
	return err == nil && again == id
}
