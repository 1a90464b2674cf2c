package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A message may arrive twice for one reason: its leader changed while it was on its way, and the next one could not know
// that it had arrived. Everything else is a broken promise.

// settling is how long an attempt may take, from the last octet of the message on, until it is settled. On a machine
// that is busy with elections, a commit takes its time.
const settling = 2 * time.Second

// leadership is a node's becoming leader of a group.
type leadership struct {
	group, node string
	at          time.Time
}

// twice counts what came more than once.
type twice struct {
	fault       int // the node that sent it was hit while it was on its way, and another leader sent it again
	handover    int // the same, without a fault: leadership moved
	unexplained int
	details     []string
}

// explain holds each second copy against the faults, and the changes of leaders of its group.
func (o *outbound) explain(changes []leadership, groups map[string]string) (t twice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, list := range o.copies {
		slices.SortFunc(list, func(a, b arrival) int { return a.ended.Compare(b.ended) })
		for i := 1; i < len(list); i++ {
			first, second := list[i-1], list[i]
			group := groups[o.accounts[key.ID]]
			led, changed := between(changes, group, first.began, second.began)
			switch {
			case changed && o.hurt(first):
				t.fault++
			case changed && led.Sub(first.ended) < settling:
				t.handover++
			default:
				t.unexplained++
				t.details = append(t.details, fmt.Sprintf("%s to %s of %s came by %s at %s and by %s at %s; the leader changed in between: %v",
					key.ID, key.Recipient, group, first.node, clock(first.ended), second.node, clock(second.ended), changed))
			}
		}
	}
	slices.Sort(t.details)
	return t
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// between is the first change of a group's leader in a span of time.
func between(changes []leadership, group string, from, to time.Time) (at time.Time, ok bool) {
	for _, c := range changes {
		if c.group == group && c.at.After(from) && c.at.Before(to) && (!ok || c.at.Before(at)) {
			at, ok = c.at, true
		}
	}
	return at, ok
}

// hurt reports whether a fault hit the node that sent a copy while it was on its way.
func (o *outbound) hurt(a arrival) bool {
	return slices.ContainsFunc(o.strikes, func(s strike) bool {
		return s.hits(a.node) && a.ended.Add(settling).After(s.began) && a.began.Before(s.ended)
	})
}

// leads is the line that a node logs when it begins to lead a group.
var leads = regexp.MustCompile(`^time=(\S+) .*msg="this node leads the group" .*\bgroup=(\S+)`)

// leaderships reads from the logs of all nodes who led what, and since when.
func (c *chaos) leaderships() (all []leadership, err error) {
	for _, n := range c.cluster.Nodes() {
		f, err := os.Open(n.LogPath())
		if err != nil {
			return nil, fmt.Errorf("read who led: %w", err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			m := leads.FindStringSubmatch(lines.Text())
			if m == nil {
				continue
			}
			at, err := time.Parse(time.RFC3339Nano, m[1])
			if err != nil {
				return nil, errors.Join(fmt.Errorf("read who led: %w", err), f.Close())
			}
			all = append(all, leadership{group: m[2], node: n.Name, at: at})
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, fmt.Errorf("read who led: %w", err)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("no log says who led a group")
	}
	return all, nil
}

// verifyOutbound holds what arrived, and what was reported, against what was acknowledged, and prints what it found.
func (c *chaos) verifyOutbound(ctx context.Context) error {
	changes, err := c.leaderships()
	if err != nil {
		return err
	}
	accounts, err := c.cluster.Nodes()[0].Accounts(ctx)
	if err != nil {
		return err
	}
	groups := map[string]string{}
	for _, a := range accounts {
		groups[a.Address] = a.Partition
	}
	arrived := c.out.mail.Compare(c.out.arrived())
	second := c.out.explain(changes, groups)
	inFlight := 0
	for _, s := range c.out.strikes {
		inFlight += s.inFlight
	}
	fmt.Printf("outbound: acknowledged=%d arrived=%d lost=%d unpromised=%d twice=%d of which by_fault=%d by_handover=%d unexplained=%d; in_flight_at_faults=%d\n",
		arrived.Acknowledged, arrived.Readable, arrived.Lost, arrived.Unpromised, arrived.Duplicated, second.fault, second.handover, second.unexplained, inFlight)
	var bad []string
	if arrived.Lost+arrived.Strange > 0 || arrived.Acknowledged == 0 {
		bad = append(bad, fmt.Sprintf("%d lost, %d strange:\n%s", arrived.Lost, arrived.Strange, arrived.Explain(20)))
	}
	if second.unexplained > 0 {
		bad = append(bad, fmt.Sprintf("%d came twice for no reason:\n%s", second.unexplained, strings.Join(second.details[:min(20, len(second.details))], "\n")))
	}
	for _, n := range c.cluster.Nodes() {
		r := c.out.refused.Compare(c.out.reports[n.Name])
		fmt.Printf("reports through %s: refused=%d reported=%d lost=%d duplicated=%d\n", n.Name, r.Acknowledged, r.Readable, r.Lost, r.Duplicated)
		if !r.Good() || r.Acknowledged == 0 {
			bad = append(bad, "reports through "+n.Name+":\n"+r.Explain(20))
		}
	}
	if len(bad) > 0 {
		return errors.New("mail to other domains:\n" + strings.Join(bad, "\n"))
	}
	return nil
}
