package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestPercentile(t *testing.T) {
	s := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for q, want := range map[float64]float64{0: 1, 0.5: 5, 0.9: 9, 0.99: 10, 1: 10} {
		if got := Percentile(s, q); got != want {
			t.Errorf("Percentile(%v) = %v, want %v", q, got, want)
		}
	}
	if !math.IsNaN(Percentile(nil, 0.5)) {
		t.Error("a percentile of nothing is a number")
	}
}

func TestSummarize(t *testing.T) {
	s := Summarize([]float64{3, 1, 2})
	if s.Median != 2 || s.Low != 1 || s.High != 3 || s.N != 3 {
		t.Errorf("of three: %+v", s)
	}
	// For ten samples the bounds with 95 % confidence are the second and the ninth.
	s = Summarize([]float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1})
	if s.Median != 5.5 || s.Low != 2 || s.High != 9 {
		t.Errorf("of ten: %+v", s)
	}
}

// TestSignedRank holds the test against values of R's wilcox.test and against counting by hand.
func TestSignedRank(t *testing.T) {
	for _, c := range []struct {
		name string
		d    []float64
		want float64
	}{
		{"ten on one side", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 2.0 / 1024},
		{"and on the other", []float64{-1, -2, -3, -4, -5, -6, -7, -8, -9, -10}, 2.0 / 1024},
		{"the least is against it", []float64{-1, 2, 3, 4, 5}, 4.0 / 32},
		{"ties and a zero", []float64{0, 1, 1, 1, 1, -1}, 12.0 / 32},
		{"balanced", []float64{1, -1, 2, -2}, 1},
		{"zeros", []float64{0, 0}, 1},
		{"Wilcoxon's depression scores", []float64{.952, -.147, 1.022, .430, .620, .590, .490, -.080, .010}, 0.0390625},
	} {
		if got := SignedRank(c.d); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
	}
}

// TestCentre: with ten differences, the bounds are the ninth of the 55 means from either end.
func TestCentre(t *testing.T) {
	mid, low, high := centre([]float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if mid != 5.5 || low != 3 || high != 8 {
		t.Errorf("%v, %v to %v", mid, low, high)
	}
	if _, low, high := centre([]float64{1, 2, 9}); low != 1 || high != 9 {
		t.Errorf("of three: %v to %v", low, high)
	}
}

// pairs draws samples of two builds and gives their ratios; weather is what the machine does to both samples of a pair.
func pairs(r *rand.Rand, slowdown, weather, noise float64) (ratios []float64) {
	for range 10 {
		w := math.Exp(weather * r.NormFloat64())
		a, b := w*math.Exp(noise*r.NormFloat64()), slowdown*w*math.Exp(noise*r.NormFloat64())
		ratios = append(ratios, Ratio([]float64{a}, []float64{b}))
	}
	return ratios
}

func TestRatio(t *testing.T) {
	if got := Ratio([]float64{1, 1, 4}, []float64{2, 9, 4}); got != 2 {
		t.Errorf("the middle of 2, 9 and 1 is %v", got)
	}
	if a, b, c := Ratio([]float64{0}, []float64{0}), Ratio([]float64{0}, []float64{1}), Ratio([]float64{1}, []float64{0}); a != 1 || b != 100 || c != 0.01 {
		t.Errorf("of zeros: %v, %v, %v", a, b, c)
	}
}

// TestJudge draws many comparisons on a machine whose speed doubles and halves: a slowdown of 20 % is caught, equal
// builds raise no alarm, and where the noise within pairs is as large as the difference there is no verdict.
func TestJudge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := Question{Alpha: 0.05 / 3, Threshold: 0.1}
	const rounds = 400
	caught, alarms, same, unknown := 0, 0, 0, 0
	for range rounds {
		if q.Judge(pairs(r, 1.2, 0.7, 0.04)).Verdict == Worse {
			caught++
		}
		switch q.Judge(pairs(r, 1, 0.7, 0.04)).Verdict {
		case Worse, Better:
			alarms++
		case Same:
			same++
		}
		if q.Judge(pairs(r, 1.1, 0, 0.5)).Verdict == Unknown {
			unknown++
		}
	}
	if caught < rounds*98/100 || alarms > rounds/200 || same < rounds*95/100 || unknown < rounds*95/100 {
		t.Errorf("of %d: caught %d, false alarms %d, same %d, unknown %d", rounds, caught, alarms, same, unknown)
	}
	if v := (Question{HigherIsBetter: true, Alpha: 0.05, Threshold: 0.1}).Judge([]float64{1.9, 1.8, 2.1, 1.7, 1.9, 2}); v.Verdict != Better || v.Change < 0.6 {
		t.Errorf("twice as much: %+v", v)
	}
	if v := q.Judge(nil); v.Verdict != Unknown {
		t.Errorf("without samples: %+v", v)
	}
}
