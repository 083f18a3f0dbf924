package tnauth

import (
	"cmp"
	"slices"
	"strings"
)

// Covers reports whether the list names the number itself, alone or in a
// range. What its service provider codes stand for is not in the list.
func (l List) Covers(number string) bool {
	n, isDigits := digits(number)
	return slices.ContainsFunc(l, func(e Entry) bool {
		switch {
		case e.Code != "":
			return false
		case e.Count == 0:
			return e.Number == number && number != ""
		}
		first, ok := digits(e.Number)
		// Ranges hold numbers of one length: 0123 is not in 100 to 199.
		return ok && isDigits && len(e.Number) == len(number) && n >= first && n-first < e.Count
	})
}

// Codes returns the service provider codes of the list, in its order.
func (l List) Codes() []string {
	var codes []string
	for _, e := range l {
		if e.Code != "" {
			codes = append(codes, e.Code)
		}
	}
	return codes
}

// Encompasses reports whether the scope of child lies within that of l, as far
// as the two lists alone can say (RFC 9060 section 4): every code of child is
// one of l's; every number of child is one of l's, or else l has a code, since a
// provider that is known by its code only may delegate the numbers behind it
// (section 4.1). In the last case nothing is shown yet: whoever relies on a
// number asks what the code stands for.
func (l List) Encompasses(child List) bool {
	codes := l.Codes()
	mine := l.spans()
	for _, e := range child {
		switch {
		case e.Code != "":
			if !slices.Contains(codes, e.Code) {
				return false
			}
		case len(codes) > 0:
		case e.Count == 0 && strings.ContainsAny(e.Number, "#*"):
			if !l.Covers(e.Number) {
				return false
			}
		default:
			if !mine.contain(e.span()) {
				return false
			}
		}
	}
	return true
}

// span is the numbers first to last of one length.
type span struct {
	length      int
	first, last uint64
}

type spans []span

// span is only asked of entries that name numbers of digits.
func (e Entry) span() span {
	first, _ := digits(e.Number)
	return span{len(e.Number), first, first + max(e.Count, 1) - 1}
}

// spans returns the numbers of the list, sorted, with what touches joined: a
// child's range may lie across two ranges of its parent.
func (l List) spans() spans {
	var all spans
	for _, e := range l {
		if _, ok := digits(e.Number); e.Code == "" && ok {
			all = append(all, e.span())
		}
	}
	slices.SortFunc(all, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.length, b.length), cmp.Compare(a.first, b.first))
	})
	var joined spans
	for _, s := range all {
		if n := len(joined); n > 0 && joined[n-1].length == s.length && s.first <= joined[n-1].last+1 {
			joined[n-1].last = max(joined[n-1].last, s.last)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// contain finds the last span that begins at or before s, and looks there.
func (all spans) contain(s span) bool {
	i, found := slices.BinarySearchFunc(all, s, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.length, b.length), cmp.Compare(a.first, b.first))
	})
	if !found {
		i--
	}
	return i >= 0 && all[i].length == s.length && s.last <= all[i].last
}
