package scenario

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/bench/site"
)

// turnsOfPair is how many turns each site of a pair gets. A turn takes a second or two: what disturbs the machine
// for longer meets both.
const turnsOfPair = 8

// pair delivers to two sites in turns, A B B A and so on, while both run. CPU and fsyncs are read over all turns, those of
// the other site included: what a site puts off into them is its own work.
func (d delivery) pair(ctx context.Context, sites [2]site.Site, first int, o Options) (out [2]Result, err error) {
	var both [2]*inbound
	for i, s := range sites {
		if both[i], err = d.prepare(ctx, s, o); err != nil {
			return out, err
		}
		defer both[i].close()
	}
	if err := errors.Join(both[0].begin(ctx), both[1].begin(ctx)); err != nil {
		return out, err
	}
	total := both[0].load.Messages
	turns := min(turnsOfPair, total)
	for turn := range turns {
		from, to := total*turn/turns, total*(turn+1)/turns
		for i := range both {
			if err := both[(first+turn+i)%2].deliver(ctx, from, to-from); err != nil {
				return out, err
			}
		}
	}
	err = errors.Join(both[0].finish(ctx), both[1].finish(ctx))
	for i := range both {
		both[i].result.note("in %d turns", turns)
		out[i] = both[i].result
	}
	return out, err
}
