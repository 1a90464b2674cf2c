package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

var _ adminapi.Tracer = (*Node)(nil)

// The bounds of what is told of messages.
const (
	traceMessages     = 20
	traceMostMessages = 500
	traceMostName     = 1000 // octets
)

// Trace asks all partitions for the stories of messages, and puts together what they know of the same one.
func (n *Node) Trace(ctx context.Context, q adminapi.TraceQuery) (out adminapi.Traces, err error) {
	limit := cmp.Or(q.Limit, traceMessages)
	name := strings.TrimSpace(q.Name)
	switch {
	case limit < 0 || limit > traceMostMessages:
		return out, fmt.Errorf("%w: at most %d messages are told of", directory.ErrInvalid, traceMostMessages)
	case name == "" || len(name) > traceMostName:
		return out, fmt.Errorf("%w: say which message: an address, a Message-ID, or an id as in Received fields", directory.ErrInvalid)
	case n.traceDays() == 0:
		return out, fmt.Errorf("%w: no stories are kept: see the setting trace_days", directory.ErrConflict)
	}
	ask := storyQuestion{Name: name, To: story.DayOf(time.Now().AddDate(0, 0, 1).UnixMilli()), Most: limit}
	if !q.Since.IsZero() {
		ask.From = story.DayOf(q.Since.UnixMilli())
	}
	parts, problems, err := n.askStories(ctx, ask)
	if err != nil {
		return out, err
	}
	out.Messages, out.Problems = merged(parts, q.Since), problems
	out.Messages = out.Messages[:min(len(out.Messages), limit)]
	return out, ctx.Err()
}

// askStories asks all partitions.
func (n *Node) askStories(ctx context.Context, ask storyQuestion) (parts []adminapi.Trace, problems []string, err error) {
	groups, err := n.partitions()
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex // guards parts and problems
	var asking errgroup.Group
	asking.SetLimit(queuesAtOnce)
	for _, g := range groups {
		asking.Go(func() error {
			ask := ask
			ask.Group = cluster.GroupID(g)
			var some []adminapi.Trace
			err := n.askLeader(ctx, ask.Group, methodStories, ask, &some)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				problems = append(problems, fmt.Sprintf("partition %d: %v", g, err))
			}
			parts = append(parts, some...)
			return nil
		})
	}
	_ = asking.Wait() // no function returns an error
	slices.Sort(problems)
	return parts, problems, nil
}

// merged puts together what several partitions, or several days, know of the same message, the latest first.
func merged(parts []adminapi.Trace, since time.Time) []adminapi.Trace {
	byID := map[string]*adminapi.Trace{}
	var order []*adminapi.Trace
	for _, p := range parts {
		m := byID[p.Transaction]
		if m == nil || p.Transaction == "" {
			m = &adminapi.Trace{Transaction: p.Transaction, Sender: p.Sender, Recipients: []string{}, Events: []adminapi.TraceEvent{}}
			byID[p.Transaction] = m
			order = append(order, m)
		}
		m.MessageID = cmp.Or(m.MessageID, p.MessageID)
		m.Sender = cmp.Or(m.Sender, p.Sender)
		m.More = m.More || p.More
		m.Events = append(m.Events, p.Events...)
		for _, to := range p.Recipients {
			if !slices.Contains(m.Recipients, to) {
				m.Recipients = append(m.Recipients, to)
			}
		}
	}
	out := []adminapi.Trace{}
	for _, m := range order {
		slices.SortStableFunc(m.Events, func(a, b adminapi.TraceEvent) int {
			return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Partition, b.Partition))
		})
		if len(m.Events) > 0 && !m.Events[0].At.Before(since) {
			out = append(out, *m)
		}
	}
	slices.SortStableFunc(out, func(a, b adminapi.Trace) int {
		return cmp.Or(b.Events[0].At.Compare(a.Events[0].At), cmp.Compare(a.Transaction, b.Transaction))
	})
	return out
}
