package directory

import "testing"

// TestParseScore: points are between their bounds, and have two places.
func TestParseScore(t *testing.T) {
	for text, want := range map[string]float64{"0": 0, "5": 5, "7.5": 7.5, "0.333": 0.33, "1e1": 10} {
		if got, err := ParseScore(text, 0, 10); err != nil || got != want {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "NaN", "Inf", "-1", "10.1", "1e400"} {
		if got, err := ParseScore(text, 0, 10); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
