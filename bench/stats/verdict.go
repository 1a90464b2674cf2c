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

// Question is how pairs of samples are to be judged.
type Question struct {
	HigherIsBetter bool
	Alpha          float64 // probability of a false alarm that is accepted, such as 0.05
	Threshold      float64 // part of A below which a difference does not matter, such as 0.1
}

// Answer is the verdict on B against A, and what it rests on.
type Answer struct {
	Verdict Verdict `json:"verdict"`
	P       float64 `json:"p"`
	// Change is the typical ratio of B to A less one (Hodges and Lehmann's estimate over the ratios of the
	// pairs); Low and High bound it with 95 % confidence. NaN-free: without samples all are 0.
	Change float64 `json:"change"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// enoughPairs is the least number of pairs that can bound a change with 95 % confidence.
const enoughPairs = 6

// Judge compares B with A by ratios of samples that were taken together (Ratio).
func (q Question) Judge(ratios []float64) Answer {
	n := len(ratios)
	if n == 0 {
		return Answer{Verdict: Unknown, P: 1}
	}
	logs := make([]float64, n)
	for i := range logs {
		logs[i] = math.Log(ratios[i])
	}
	out := Answer{P: SignedRank(logs)}
	mid, low, high := centre(logs)
	out.Change, out.Low, out.High = math.Exp(mid)-1, math.Exp(low)-1, math.Exp(high)-1
	switch {
	case out.P < q.Alpha && math.Abs(out.Change) > q.Threshold:
		out.Verdict = Worse
		if (out.Change > 0) == q.HigherIsBetter {
			out.Verdict = Better
		}
	case out.Low >= -q.Threshold && out.High <= q.Threshold && n >= enoughPairs:
		out.Verdict = Same
	default:
		out.Verdict = Unknown
	}
	return out
}

// Ratio is the middle one of the ratios of b to a, index by index, each within a hundredfold either way: logarithms
// and JSON know no infinities. Samples must not be negative; there must be one of each at least.
func Ratio(a, b []float64) float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = ratio(a[i], b[i])
	}
	slices.Sort(out)
	return median(out)
}

// ratio is y/x. Nothing against nothing is no change.
func ratio(x, y float64) float64 {
	switch {
	case x == 0 && y == 0:
		return 1
	case x == 0:
		return 100
	}
	return max(0.01, min(100, y/x))
}
