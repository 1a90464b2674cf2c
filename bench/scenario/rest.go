package scenario

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/bench/site"
)

// runRest reads the CPU of a site that nobody uses.
func runRest(ctx context.Context, s site.Site, o Options) (Result, error) {
	r := Result{Scenario: "rest", Site: s.Name()}
	if _, err := s.Accounts(ctx, 1); err != nil {
		return r, err
	}
	length := 30 * time.Second
	if o.Quick {
		length /= 3
	}
	if err := settle(ctx, s); err != nil {
		return r, err
	}
	before, err := s.Usage(ctx)
	if err != nil {
		return r, err
	}
	if err := sleep(ctx, length); err != nil {
		return r, err
	}
	after, err := s.Usage(ctx)
	if err != nil {
		return r, err
	}
	used := after.Sub(before)
	nodes := float64(max(1, len(s.IMAP())))
	r.judge("cpu-%/node", used.CPU.Seconds()/length.Seconds()/nodes*100, false)
	r.add("written-B/s", float64(used.Written)/length.Seconds())
	r.add("MiB/node", float64(after.Memory)/(1<<20)/nodes)
	r.note("%v of rest, in %% of one core", length)
	return r, nil
}
