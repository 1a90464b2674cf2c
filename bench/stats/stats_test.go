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

// TestMannWhitney holds the test against values of R's wilcox.test.
func TestMannWhitney(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"apart", []float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{"interleaved", []float64{1, 3, 5}, []float64{2, 4, 6}, 0.7},
		{"one value", []float64{5, 5, 5, 5}, []float64{5, 5, 5, 5}, 1},
		{"empty", nil, []float64{1}, 1},
	} {
		if got := MannWhitney(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: p = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestExactAndNormalAgree(t *testing.T) {
	for u := 30.0; u <= 170; u += 10 {
		exact, normal := exactP(u, 14, 14), normalP(u, 14, 14, 0)
		if math.Abs(exact-normal) > 0.01 {
			t.Errorf("U=%v: exact %v, normal %v", u, exact, normal)
		}
	}
}

func noisy(r *rand.Rand, centre, noise float64) []float64 {
	out := make([]float64, 10)
	for i := range out {
		out[i] = centre * math.Exp(noise*r.NormFloat64())
	}
	return out
}

// TestJudge draws many comparisons: a slowdown of 20 % is caught, equal builds raise no alarm, and where
// the noise is as large as the difference there is no verdict.
func TestJudge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := Question{Alpha: 0.005, Threshold: 0.1}
	const rounds = 400
	caught, alarms, same, unknown := 0, 0, 0, 0
	for range rounds {
		if q.Judge(noisy(r, 1, 0.04), noisy(r, 1.2, 0.04)).Verdict == Worse {
			caught++
		}
		switch q.Judge(noisy(r, 1, 0.04), noisy(r, 1, 0.04)).Verdict {
		case Worse, Better:
			alarms++
		case Same:
			same++
		}
		if q.Judge(noisy(r, 1, 0.5), noisy(r, 1.1, 0.5)).Verdict == Unknown {
			unknown++
		}
	}
	if caught < rounds*98/100 || alarms > rounds/200 || same < rounds*95/100 || unknown < rounds*95/100 {
		t.Errorf("of %d: caught %d, false alarms %d, same %d, unknown %d", rounds, caught, alarms, same, unknown)
	}
	if v := (Question{HigherIsBetter: true, Alpha: 0.05, Threshold: 0.1}).Judge([]float64{1, 1.1, 1.2, 1.3}, []float64{2, 2.1, 2.2, 2.3}); v.Verdict != Better || v.Change < 0.6 {
		t.Errorf("twice as much: %+v", v)
	}
	if v := q.Judge(nil, []float64{1}); v.Verdict != Unknown {
		t.Errorf("without samples: %+v", v)
	}
}
