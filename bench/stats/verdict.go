package stats

import (
	"math"
	"slices"
)

// Verdict is what a comparison of two builds says about one figure.
type Verdict string

// The verdicts.
const (
	Better  Verdict = "better"
	Worse   Verdict = "worse"
	Same    Verdict = "same"       // a difference beyond the threshold is ruled out
	Unknown Verdict = "no verdict" // the noise could hide a difference beyond the threshold
)

// Question is how two sets of samples are to be judged.
type Question struct {
	HigherIsBetter bool
	Alpha          float64 // probability of a false alarm that is accepted, such as 0.05
	Threshold      float64 // part of A below which a difference does not matter, such as 0.1
}

// Answer is the verdict on B against A, and what it rests on.
type Answer struct {
	Verdict Verdict `json:"verdict"`
	P       float64 `json:"p"`
	// Change is the typical ratio of B to A less one (the median over all pairs, Hodges and Lehmann's
	// estimate); Low and High bound it with 95 % confidence. NaN-free: without samples all are 0.
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Judge compares B with A. Samples must not be negative.
func (q Question) Judge(a, b []float64) Answer {
	if len(a) == 0 || len(b) == 0 {
		return Answer{Verdict: Unknown, P: 1}
	}
	out := Answer{P: MannWhitney(a, b)}
	out.Change, out.Low, out.High = shift(a, b)
	switch {
	case out.P < q.Alpha && math.Abs(out.Change) > q.Threshold:
		out.Verdict = Worse
		if (out.Change > 0) == q.HigherIsBetter {
			out.Verdict = Better
		}
	case out.Low >= -q.Threshold && out.High <= q.Threshold && len(a) >= 4 && len(b) >= 4:
		out.Verdict = Same
	default:
		out.Verdict = Unknown
	}
	return out
}

// shift is the median over all pairs of b/a - 1, and its bounds, which are those ranks that the test of
// Mann and Whitney would just accept.
func shift(a, b []float64) (mid, low, high float64) {
	pairs := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			pairs = append(pairs, ratio(x, y))
		}
	}
	slices.Sort(pairs)
	n, m := float64(len(a)), float64(len(b))
	k := int(n*m/2 - 1.96*math.Sqrt(n*m*(n+m+1)/12))
	k = max(0, min(k, (len(pairs)-1)/2))
	return median(pairs), pairs[k], pairs[len(pairs)-1-k]
}

// ratio is y/x - 1. Nothing against nothing is no change; something against nothing is a hundredfold,
// which keeps JSON free of infinities.
func ratio(x, y float64) float64 {
	switch {
	case x == 0 && y == 0:
		return 0
	case x == 0:
		return 100
	}
	return y/x - 1
}
