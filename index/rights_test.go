package index

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestRightsTexts(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "l": "l", "rl": "lr", "lrswipkxtea": "lrswipkxteacd", "k": "kc", "x": "xc", "c": "kxc", "d": "ted", "et": "ted",
		"lrswida": "lrswitead", "ll": "l",
	} {
		r, err := ParseRights(in)
		if err != nil || r.String() != want {
			t.Errorf("%q is %q, %v; want %q", in, r, err, want)
		}
	}
	for _, in := range []string{"L", "q", "lrQ", "l r", "0", "+l", "\xff", "\x00"} {
		if r, err := ParseRights(in); !errors.Is(err, ErrRights) || r != 0 {
			t.Errorf("%q is %q, %v", in, r, err)
		}
	}
	if AllRights.String() != "lrswipkxteacd" {
		t.Error(AllRights.String())
	}
}

// TestRightsModel holds the bits against sets of letters.
func TestRightsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rights(rapid.Uint32Range(0, uint32(AllRights)).Draw(t, "rights"))
		back, err := ParseRights(r.String())
		// c and d may bring their other member along, which is why clients ignore them.
		if err != nil || back&^(virtualCreate|virtualDelete) != r&^(virtualCreate|virtualDelete) || !back.Has(r) {
			t.Fatalf("%b became %b by %q, %v", r, back, r, err)
		}
		grants := []Grant{{7, r}, {Anyone, RightLookup}, {8, RightRead}}
		if RightsOf(grants, 7) != r|RightLookup || RightsOf(grants, 9) != RightLookup || RightsOf(grants[:1], 9) != 0 {
			t.Fatalf("rights by %v: %v, %v", grants, RightsOf(grants, 7), RightsOf(grants, 9))
		}
	})
}
