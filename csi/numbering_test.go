package csi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"whither/csi"
)

func alpha2(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// checkHome wants a sorted set of codes.
func checkHome(t *testing.T, where string, home []string) {
	t.Helper()
	if !slices.IsSorted(home) || len(slices.Compact(slices.Clone(home))) != len(home) {
		t.Errorf("%s: home %v is not a sorted set", where, home)
	}
	for _, c := range home {
		if !alpha2(c) {
			t.Errorf("%s: %q is no alpha-2 code", where, c)
		}
	}
}

func TestCountryCodesAreSound(t *testing.T) {
	n := csi.NumberingTables()
	// 2 codes of one digit, 44 of two, the rest of three: the ITU list of
	// assigned codes, without its reserved and spare ones.
	perLength := map[int]int{}
	for code, home := range n.Countries {
		perLength[len(code)]++
		checkHome(t, "+"+code, strings.Fields(home))
		for i := 1; i < len(code); i++ {
			if _, ok := n.Countries[code[:i]]; ok {
				t.Errorf("+%s begins with +%s: codes must be free of prefixes", code, code[:i])
			}
		}
	}
	if perLength[1] != 2 || perLength[2] != 44 {
		t.Errorf("%d codes of one digit and %d of two; want 2 and 44", perLength[1], perLength[2])
	}
	for _, a := range n.Areas {
		checkHome(t, "+"+a.Code, strings.Fields(a.Home))
		whole := n.Countries[a.Code]
		for _, p := range strings.Fields(a.Prefixes) {
			if strings.Trim(p, "0123456789") != "" || p == "" {
				t.Errorf("+%s: prefix %q", a.Code, p)
			}
		}
		if len(whole) == 0 {
			t.Errorf("areas refine +%s, which has no home of its own", a.Code)
		}
	}
}

// TestPrefixesAreOfOneRow: a prefix in two rows would make the order of rows decide.
func TestPrefixesAreOfOneRow(t *testing.T) {
	n := csi.NumberingTables()
	seen := map[string]bool{}
	once := func(prefix string) {
		if seen[prefix] {
			t.Errorf("+%s is in two rows", prefix)
		}
		seen[prefix] = true
	}
	for _, a := range n.Areas {
		for _, p := range strings.Fields(a.Prefixes) {
			once(a.Code + p)
		}
	}
	for home, codes := range n.NANP {
		checkHome(t, "+1", []string{home})
		for _, c := range strings.Split(codes, " ") {
			if len(c) != 3 || c[0] < '2' || c[1:] == "11" || c[1] == '9' {
				t.Errorf("%s: %q is no area code (N11 and N9X are not assigned)", home, c)
			}
			once("1" + c)
		}
	}
}

// TestCountryCodesDecide asks the parser about every possible code.
func TestCountryCodesDecide(t *testing.T) {
	n := csi.NumberingTables()
	for c := range 1000 {
		digits := fmt.Sprintf("%03d", c)
		assigned := false
		for i := 1; i <= 3; i++ {
			if _, ok := n.Countries[digits[:i]]; ok {
				assigned = true
			}
		}
		id, err := csi.Parse("tel:+" + digits + "5550123")
		switch {
		case assigned && err != nil:
			t.Errorf("+%s: %v", digits, err)
		case !assigned && !isReason(err, csi.ErrCountryCode):
			t.Errorf("+%s: %v, want country-code", digits, err)
		}
		checkHome(t, "+"+digits, id.Home())
	}
}

// TestSharedCodesAreNoJurisdiction: the code alone names no home under +1.
func TestSharedCodesAreNoJurisdiction(t *testing.T) {
	homes := map[string]bool{}
	for npa := 200; npa < 1000; npa++ {
		id := mustParse(t, fmt.Sprintf("tel:+1%d5550123", npa))
		if h := id.Home(); len(h) > 1 {
			t.Errorf("+1 %d has homes %v", npa, h)
		} else if len(h) == 1 {
			homes[h[0]] = true
		}
	}
	if len(homes) != 25 { // the members of the plan, Puerto Rico and the other US territories apart
		t.Errorf("%d homes under +1, want 25", len(homes))
	}
}
