package bayes

import (
	"math"
	"slices"
)

// Classify says what an account's model and the cluster's make of a message. Either may be nil, and counts only once it has learnt
// least messages of each kind. It is not ok where neither has: then nothing is known.
//
// What the cluster knows of a token is where the account's own observations begin from: the more of them there are,
// the less it counts.
func Classify(account, cluster *Model, t *Tokens, least int) (o Opinion, ok bool) {
	if !account.Knows(least) {
		account = nil
	}
	if !cluster.Knows(least) {
		cluster = nil
	}
	if account == nil && cluster == nil {
		return Opinion{Probability: unknown}, false
	}
	var room [mostTelling]clue
	clues := pick(room[:0], account, cluster, t)
	o = Opinion{Probability: combine(clues), Used: len(clues)}
	o.Score = points(o.Probability)
	o.Tokens = make([]Evidence, min(len(clues), explained))
	for i := range o.Tokens {
		c := weigh(account, cluster, t.ids[clues[i].token]) // again: only these few are told
		o.Tokens[i] = Evidence{Text: t.Text(clues[i].token), Spam: c.count.Spam, Ham: c.count.Ham, Probability: c.p, Of: c.of}
	}
	return o, true
}

// pick weighs the tokens and adds those that say most to clues, the weightiest first, as far as there is room.
func pick(clues []clue, account, cluster *Model, t *Tokens) []clue {
	var probabilities [MaxTokens]float64
	var room [MaxTokens]uint64
	order := room[:0] // by weight, then as they were found
	for i, id := range t.ids {
		p := weigh(account, cluster, id).p
		if weight := math.Abs(p - unknown); weight >= telling {
			probabilities[i] = p
			order = append(order, uint64(^math.Float32bits(float32(weight)))<<32|uint64(i))
		}
	}
	slices.Sort(order)
	for _, o := range order[:min(len(order), cap(clues)-len(clues))] {
		token := int(uint32(o))
		clues = append(clues, clue{token, probabilities[token]})
	}
	return clues
}

// clue is what a token says.
type clue struct {
	token int
	p     float64
}

// weighed is what is known of a token.
type weighed struct {
	p     float64
	count Count
	of    string
}

// weigh is the probability of a token, by both models.
func weigh(account, cluster *Model, id uint64) weighed {
	c := weighed{p: unknown, count: cluster.Count(id), of: OfCluster}
	prior := strength
	if n := observations(c.count); n > 0 {
		c.p = (strength*unknown + n*rate(cluster, c.count)) / (strength + n)
		prior += trust * min(n, trusted)
	}
	own := account.Count(id)
	n := observations(own)
	if n == 0 {
		return c
	}
	c.p = (prior*c.p + n*rate(account, own)) / (prior + n)
	if n >= prior {
		c.count, c.of = own, OfAccount
	}
	return c
}

func observations(c Count) float64 { return float64(c.Spam) + float64(c.Ham) }

// rate is how much more often unwanted messages had a token than wanted ones. The model knows both kinds, and the
// token was observed.
func rate(m *Model, c Count) float64 {
	spam := min(float64(c.Spam)/float64(m.Spam), 1)
	ham := min(float64(c.Ham)/float64(m.Ham), 1)
	return spam / (spam + ham)
}

// combine is Fisher's method both ways: how little like wanted mail the clues are, against how little like unwanted.
func combine(clues []clue) float64 {
	if len(clues) == 0 {
		return unknown
	}
	var spam, ham float64
	for _, c := range clues {
		spam += math.Log(c.p)
		ham += math.Log(1 - c.p)
	}
	n := len(clues)
	return (1 + chiSquare(-2*spam, n) - chiSquare(-2*ham, n)) / 2
}

// chiSquare is the probability that a chi-square variable of 2n degrees of freedom is x or more.
func chiSquare(x float64, n int) float64 {
	half := x / 2
	term := math.Exp(-half)
	sum := term
	for i := 1; i < n; i++ {
		term *= half / float64(i)
		sum += term
	}
	return min(sum, 1)
}

// points is what a probability counts in a verdict: nothing where it is near the middle, and more the nearer it is to an end.
func points(p float64) float64 {
	switch away := 2 * (p - unknown); {
	case math.Abs(p-unknown) <= unsureWithin:
		return 0
	case away > 0:
		return spamPoints * away * away
	default:
		return -hamPoints * away * away
	}
}
