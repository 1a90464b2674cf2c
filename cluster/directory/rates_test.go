package directory

import "testing"

func TestRatesSetting(t *testing.T) {
	for _, c := range []struct {
		connections bool
		text, want  string
		rates       Rates
	}{
		{true, " 1/ 20/0300", "1/20/300", Rates{1, 20, 300}},
		{true, "0/0/0", "0/0/0", Rates{}},
		{false, "20/300", "20/300", Rates{0, 20, 300}},
		{true, "20/300", "", Rates{}},
		{false, "1/20/300", "", Rates{}},
		{true, "1/2/x", "", Rates{}},
		{true, "1/2/-3", "", Rates{}},
		{true, "1/2/10000001", "", Rates{}},
		{true, "", "", Rates{}},
	} {
		var s Settings
		got, err := ratesSetting(c.connections, func(s *Settings) *Rates { return &s.RateAddress })(&s, c.text)
		if got != c.want || (err == nil) != (c.want != "") || s.RateAddress != c.rates {
			t.Errorf("%q: %q, %v, %+v", c.text, got, err, s.RateAddress)
		}
	}
}
