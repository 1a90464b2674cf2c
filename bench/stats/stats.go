// Package stats says what samples of a measurement tell: percentiles, medians with their confidence, and
// whether two builds differ. The test is Wilcoxon's signed-rank test over ratios of samples that were taken together,
// the sister for pairs of what benchstat uses (Mann and Whitney's test): it assumes nothing of the distribution, as
// timings are never normal, and what a busy machine does to both samples of a pair cancels out. It does not measure.
package stats

import (
	"math"
	"slices"
)

// Percentile is the q-th quantile (0 to 1) of ascending samples by the nearest rank; NaN of none.
func Percentile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// Summary is what a set of samples says about one figure.
type Summary struct {
	N      int     `json:"n"`
	Median float64 `json:"median"`
	// Low and High bound the median with 95 % confidence; of fewer than six samples, which cannot say
	// that, they are the least and the greatest.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Summarize sorts nothing of the caller's. Of no samples all but N is NaN.
func Summarize(samples []float64) Summary {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	if n == 0 {
		return Summary{Median: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	k := medianRank(n)
	return Summary{N: n, Median: median(s), Low: s[k], High: s[n-1-k]}
}

// Spread is the larger distance of the bounds from the median, as a part of the median; 0 of one sample.
func (s Summary) Spread() float64 {
	if s.Median == 0 || s.N < 2 {
		return 0
	}
	return max(s.High-s.Median, s.Median-s.Low) / math.Abs(s.Median)
}

func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// medianRank is the index of the order statistic that lies below the median with 97.5 % probability:
// the median's place among n samples is binomial. 0 where no rank is that sure.
func medianRank(n int) int {
	p, cumulated, k := math.Pow(0.5, float64(n)), 0.0, 0
	for i := 0; i < n/2; i++ {
		cumulated += p
		if cumulated > 0.025 {
			break
		}
		k = i
		p *= float64(n-i) / float64(i+1)
	}
	return k
}
