package national

import (
	"errors"

	"github.com/nyaruka/phonenumbers"
)

// Reason says why a number was refused. Reasons are constants: the value is a
// stable name, Error gives the words for people, and neither holds any part of
// the number.
type Reason string

// The reasons.
const (
	ErrEmpty       Reason = "empty"        // no digit
	ErrOverlong    Reason = "overlong"     // more text than a number needs
	ErrCharacter   Reason = "character"    // broken UTF-8, a control character, a sign that numbers do not have
	ErrDirection   Reason = "direction"    // a control that turns the order of what is shown around
	ErrMixedDigits Reason = "mixed-digits" // digits of two scripts
	ErrLetters     Reason = "letters"      // 1-800-FLOWERS, "Tel."
	ErrExtension   Reason = "extension"    // an extension, a pause, something to dial later
	ErrSeveral     Reason = "several"      // more than one number
	ErrServiceCode Reason = "service-code" // *31#
	ErrEmergency   Reason = "emergency"    // 112
	ErrShortCode   Reason = "short-code"   // 1818; of one network or country only
	ErrRegion      Reason = "region"       // an unknown region was given
	ErrNoRegion    Reason = "no-region"    // no "+", and no region was given
	ErrAmbiguous   Reason = "ambiguous"    // national, or international without its "+"
	ErrAreaCode    Reason = "area-code"    // possible only within one area
	ErrLength      Reason = "length"       // no number of that country is so long or so short
	ErrCountryCode Reason = "country-code" // no country has this code
)

// Error is the reason in words, with what to do next.
func (r Reason) Error() string {
	switch r {
	case ErrEmpty:
		return "telephone number: there are no digits: write the number"
	case ErrOverlong:
		return "telephone number: too long: check for pasted text around it"
	case ErrCharacter:
		return "telephone number: contains a sign that numbers do not have: type it by hand"
	case ErrDirection:
		return "telephone number: contains invisible signs that turn its order around: type it by hand"
	case ErrMixedDigits:
		return "telephone number: mixes digits of two scripts: type it by hand"
	case ErrLetters:
		return "telephone number: contains letters: write digits only"
	case ErrExtension:
		return "telephone number: has an extension or a pause: give a number that rings the person directly"
	case ErrSeveral:
		return "telephone number: looks like more than one: give one number at a time"
	case ErrServiceCode:
		return "telephone number: is a service code: give the number without * and #"
	case ErrEmergency:
		return "telephone number: is an emergency number: give a person's number"
	case ErrShortCode:
		return "telephone number: is a short code, or only a part: give the whole number with its country code"
	case ErrRegion:
		return "telephone number: no such region: give a country as two letters, such as CH"
	case ErrNoRegion:
		return "telephone number: has no country: begin with + and the country code, or name the region that it is written for"
	case ErrAmbiguous:
		return "telephone number: may be national or lack its +: begin with + and the country code"
	case ErrAreaCode:
		return "telephone number: has no area code: write it in front"
	case ErrLength:
		return "telephone number: has the wrong number of digits for its country: check it, or write tel:+ and all digits if you are sure"
	case ErrCountryCode:
		return "telephone number: begins with no country code: check the digits after +"
	}
	return "telephone number: refused: check the spelling"
}

// or is r, or other if r is none.
func (r Reason) or(other Reason) Reason {
	if r == "" {
		return other
	}
	return r
}

// reasonOf translates the library's errors.
func reasonOf(err error) Reason {
	if errors.Is(err, phonenumbers.ErrInvalidCountryCode) {
		return ErrCountryCode
	}
	return ErrLength
}
