package stats

import (
	"math"
	"slices"
)

// exactLimit is the number of samples of a side up to which the distribution of U is counted out; beyond
// it, and with ties, the normal approximation is exact enough.
const exactLimit = 50

// MannWhitney is the two-sided probability that samples as different as a and b come from one
// distribution. 1 when a side has no samples.
func MannWhitney(a, b []float64) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	u, ties := rankSum(a, b)
	if ties == 0 && len(a) <= exactLimit && len(b) <= exactLimit {
		return exactP(u, len(a), len(b))
	}
	return normalP(u, len(a), len(b), ties)
}

// rankSum is U of a, and the tie correction: the sum of t³-t over groups of equal samples.
func rankSum(a, b []float64) (u, ties float64) {
	type sample struct {
		value float64
		of    int
	}
	all := make([]sample, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, sample{v, 0})
	}
	for _, v := range b {
		all = append(all, sample{v, 1})
	}
	slices.SortFunc(all, func(x, y sample) int {
		switch {
		case x.value < y.value:
			return -1
		case x.value > y.value:
			return 1
		}
		return 0
	})
	sum := 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		rank := float64(i+j+1) / 2 // ranks i+1 to j, averaged
		for _, s := range all[i:j] {
			if s.of == 0 {
				sum += rank
			}
		}
		if t := float64(j - i); t > 1 {
			ties += t*t*t - t
		}
		i = j
	}
	n := float64(len(a))
	return sum - n*(n+1)/2, ties
}

// counts is the number of orders of n and m samples for each value of U.
func counts(n, m int) []float64 {
	// ways[j][u] after i rounds is the count for i and j samples.
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, n*m+1)
		ways[j][0] = 1
	}
	for range n {
		for j := 1; j <= m; j++ {
			next := make([]float64, n*m+1)
			for u := range next {
				// The largest sample is one of the second set, or one of the first that passes all j.
				next[u] = ways[j-1][u]
				if u >= j {
					next[u] += ways[j][u-j]
				}
			}
			ways[j] = next
		}
	}
	return ways[m]
}

func exactP(u float64, n, m int) float64 {
	c := counts(n, m)
	total, below := 0.0, 0.0
	tail := int(min(u, float64(n*m)-u))
	for i, w := range c {
		total += w
		if i <= tail {
			below += w
		}
	}
	return min(1, 2*below/total)
}

func normalP(u float64, n, m int, ties float64) float64 {
	nm, all := float64(n*m), float64(n+m)
	variance := nm / 12 * (all + 1 - ties/(all*(all-1)))
	if variance <= 0 {
		return 1 // all samples are equal
	}
	z := max(0, math.Abs(u-nm/2)-0.5) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}
