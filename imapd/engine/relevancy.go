package engine

import (
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// exact is how relevant a message is that no fuzzy text has found (RFC 6203, section 4).
const exact = 100

// relevancy is how relevant messages are, from 1 to 100; those that are not in it are exact. A nil one notes nothing.
type relevancy map[index.UID]uint8

// newRelevancy returns an empty one, or nil where it is not wanted.
func newRelevancy(wanted bool) relevancy {
	if !wanted {
		return nil
	}
	return relevancy{}
}

// note keeps the score of a message; 0 is exact.
func (r relevancy) note(u index.UID, score int) {
	if r != nil && score > 0 {
		r[u] = uint8(score)
	}
}

// of gives how relevant a message is.
func (r relevancy) of(u index.UID) int {
	if score, ok := r[u]; ok {
		return int(score)
	}
	return exact
}

// liking is how well a fuzzy text was found in a candidate.
type liking struct {
	k     *criterion
	score int
}

// liken notes how well the text of k was found, from 0 to 100, and decides it.
func (c *candidate) liken(k *criterion, score int) bool {
	c.likes = append(c.likes, liking{k, score})
	return score > 0
}

// score gives how well the fuzzy texts that made a candidate match were found: the worst of those that are all asked for, the
// best of alternatives. It is 0 where there are none.
func (c *candidate) score(k *criterion) int {
	if len(c.likes) == 0 || k.op == wire.SearchNot {
		return 0
	}
	for _, l := range c.likes {
		if l.k == k {
			return l.score
		}
	}
	score := 0
	for i := range k.keys {
		n := c.score(&k.keys[i])
		if n > 0 && (score == 0 || (n > score) == (k.op == wire.SearchOr)) {
			score = n
		}
	}
	return score
}
