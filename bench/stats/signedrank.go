package stats

import (
	"math"
	"slices"
)

// SignedRank is the two-sided probability that differences as lopsided as these come from a distribution
// that is symmetric about zero: Wilcoxon's signed-rank test. Zeros say nothing and are left out; equal sizes share
// their ranks. It is counted out exactly. 1 when nothing is left.
func SignedRank(differences []float64) float64 {
	ranks, positive := signedRanks(differences)
	if len(ranks) == 0 {
		return 1
	}
	cdf := rankSums(ranks)
	total := len(cdf) - 1
	return min(1, 2*cdf[min(positive, total-positive)])
}

// signedRanks are the doubled ranks of the sizes, which are whole numbers with ties too, and the sum of those
// whose difference is positive.
func signedRanks(differences []float64) (ranks []int, positive int) {
	d := slices.DeleteFunc(slices.Clone(differences), func(v float64) bool { return v == 0 })
	slices.SortFunc(d, func(x, y float64) int {
		switch x, y = math.Abs(x), math.Abs(y); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	ranks = make([]int, len(d))
	for i := 0; i < len(d); {
		j := i
		for j < len(d) && math.Abs(d[j]) == math.Abs(d[i]) {
			j++
		}
		for k := i; k < j; k++ {
			ranks[k] = i + j + 1 // twice the mean of i+1 to j
			if d[k] > 0 {
				positive += ranks[k]
			}
		}
		i = j
	}
	return ranks, positive
}

// rankSums is, for each sum, the probability that the ranks of the positive differences add up to no more,
// when every sign is a throw of a coin.
func rankSums(ranks []int) []float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	p := make([]float64, total+1)
	p[0] = 1
	for _, r := range ranks {
		for sum := total; sum >= 0; sum-- {
			p[sum] /= 2
			if sum >= r {
				p[sum] += p[sum-r] / 2
			}
		}
	}
	for sum := 1; sum <= total; sum++ {
		p[sum] += p[sum-1]
	}
	return p
}

// centre is Hodges and Lehmann's estimate of what the differences lie around, the median of the means of all
// pairs, and its bounds with 95 % confidence, which are those values that the signed-rank test would just
// accept. Fewer than six differences cannot say that: then the bounds are the least and the greatest.
func centre(differences []float64) (mid, low, high float64) {
	n := len(differences)
	means := make([]float64, 0, n*(n+1)/2)
	for i, x := range differences {
		for _, y := range differences[i:] {
			means = append(means, (x+y)/2)
		}
	}
	slices.Sort(means)
	ranks := make([]int, n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	k := 0
	for sum, p := range rankSums(ranks) {
		if p <= 0.025 {
			k = sum
		}
	}
	return median(means), means[k], means[len(means)-1-k]
}
