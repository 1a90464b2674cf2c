package runner

import (
	"math/rand/v2"
	"time"

	"github.com/rookery-mail/rookery/mta/receiver"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// schedule is that of attempts where Config has none (RFC 5321, section 4.5.4.1): soon after the first, since many hosts put
// strangers off once, then ever more rarely.
func schedule() []time.Duration {
	return []time.Duration{2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
}

// retryAfter is when the next attempt is made after so many. What failed together is not to come back together: the time
// is made longer by up to an eighth.
func retryAfter(steps []time.Duration, attempts uint32) time.Duration {
	d := steps[min(int(attempts), len(steps)-1)]
	return d + rand.N(d/8+1)
}

// closedFor is how long a destination is left alone that could not be reached so many times in a row before.
func closedFor(failures uint32) time.Duration {
	return min(time.Minute<<min(failures, 6), 30*time.Minute)
}

// seen is what an attempt tells of the receiver. Mail for mailboxes of ours tells that it was taken.
func seen(results []remote.Result) (o shaping.Outcome) {
	o.Unmade = true
	for _, r := range results {
		if !r.Postponed.IsZero() {
			continue
		}
		o.Unmade = false
		o.Asked = o.Asked || r.Address != ""
		o.Reached = o.Reached || r.Reached
		switch r.Kind {
		case remote.Delivered:
			o.Delivered++
			continue
		case remote.Permanent:
			o.Failed++
		default:
			o.Deferred++
		}
		if m := receiver.Read(r.Reply); m != receiver.Nothing || o.Text == "" {
			o.Means, o.Text = max(o.Means, m), r.Reply.Error()
		}
	}
	if o.Means == receiver.Blocked {
		o.Means = receiver.Nothing // of the address that we came from, which is looked after elsewhere
	}
	return o
}
