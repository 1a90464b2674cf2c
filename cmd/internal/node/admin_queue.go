package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/queue/filter"
)

var _ adminapi.Queue = (*Node)(nil)

// The bounds of what the admin API says of the queue.
const (
	queueRows         = 100    // listed, where nothing else is asked for
	queueMostRows     = 10_000 // listed at most
	queueMostIDs      = 1000   // named of what was edited
	queueMostSummed   = 1000   // destinations of a summary
	queuesAtOnce      = 8      // partitions that are asked at a time
	queueMostProblems = 20
)

// queueSearch walks the queues of all partitions that a filter may match in.
type queueSearch struct {
	n      *Node
	spec   filter.Spec
	groups map[cluster.GroupID][]uint64 // with the entries that are named; none are all

	mu       sync.Mutex // guards what follows
	problems []string
}

// searchQueue makes a search of a filter: directory.ErrInvalid, directory.ErrNotFound.
func (n *Node) searchQueue(f adminapi.QueueFilter) (*queueSearch, error) {
	now := time.Now()
	s := &queueSearch{n: n, groups: map[cluster.GroupID][]uint64{}, spec: filter.Spec{Sender: f.Sender, Recipient: f.Recipient, Domain: f.Domain,
		Error: f.Error, Held: f.Held, Header: f.Header, Body: f.Body}}
	if f.OlderThan > 0 {
		s.spec.Before = now.Add(-seconds(f.OlderThan)).UnixMilli()
	}
	if f.NewerThan > 0 {
		s.spec.Since = now.Add(-seconds(f.NewerThan)).UnixMilli()
	}
	if _, err := s.spec.Compile(); err != nil {
		return nil, fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	if f.Account != "" {
		a, err := n.account(f.Account)
		if err != nil {
			return nil, err
		}
		s.spec.Account = a.ID
	}
	for _, text := range f.IDs {
		g, id, err := readEntryID(text)
		if err != nil {
			return nil, err
		}
		s.groups[g] = append(s.groups[g], id)
	}
	all, err := n.partitions()
	if err != nil {
		return nil, err
	}
	for g := range s.groups {
		if !slices.Contains(all, uint16(g)) {
			return nil, fmt.Errorf("%w: there is no partition %d", directory.ErrNotFound, g)
		}
	}
	if len(f.IDs) == 0 {
		for _, g := range all { // what an account sends by forwarding may be in the partition of another
			s.groups[cluster.GroupID(g)] = nil
		}
	}
	return s, nil
}

func seconds(n float64) time.Duration {
	return time.Duration(min(n, 100*365*24*3600) * float64(time.Second))
}

// readEntryID reads PARTITION-ENTRY.
func readEntryID(text string) (cluster.GroupID, uint64, error) {
	partition, entry, _ := strings.Cut(text, "-")
	g, err := strconv.ParseUint(partition, 10, 16)
	id, err2 := strconv.ParseUint(entry, 10, 64)
	if err != nil || err2 != nil || g == 0 || id == 0 {
		return 0, 0, fmt.Errorf("%w: %q is no id of an entry: `rookery queue list` shows them", directory.ErrInvalid, text)
	}
	return cluster.GroupID(g), id, nil
}

func entryID(g cluster.GroupID, id uint64) string { return fmt.Sprintf("%d-%d", g, id) }

// walk asks each partition's leader for page after page and calls fn with each, one at a time; fn says how many rows the next
// page of that partition may have. What keeps a partition from answering is a problem, and the others go on.
func (s *queueSearch) walk(ctx context.Context, mode queueMode, rows int, fn func(cluster.GroupID, queuePage) int) {
	var group errgroup.Group
	group.SetLimit(queuesAtOnce)
	for g, entries := range s.groups {
		group.Go(func() error {
			ask := queueWalk{Group: g, Spec: s.spec, Mode: mode, Rows: rows}
			ask.Spec.Entries = entries
			for more := true; more; {
				var page queuePage
				if err := s.n.askLeader(ctx, g, methodQueueWalk, ask, &page); err != nil {
					s.problem(fmt.Sprintf("partition %d: %v", g, err))
					return nil
				}
				s.mu.Lock()
				ask.Rows = fn(g, page)
				s.mu.Unlock()
				for _, p := range page.Problems {
					s.problem(fmt.Sprintf("partition %d: %s", g, p))
				}
				ask.After, more = page.After, page.More
			}
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
	slices.Sort(s.problems)
}

func (s *queueSearch) problem(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.problems) < queueMostProblems {
		s.problems = append(s.problems, text)
	}
}

// askLeader calls a method at the leader of a group with JSON.
func (n *Node) askLeader(ctx context.Context, g cluster.GroupID, method string, in, out any) error {
	request, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode a question: %w", err)
	}
	data, err := n.router.CallLeader(ctx, g, method, request)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// QueueList lists entries of all partitions.
func (n *Node) QueueList(ctx context.Context, q adminapi.QueueQuery) (out adminapi.QueueListing, err error) {
	limit := cmp.Or(q.Limit, queueRows)
	if limit < 0 || limit > queueMostRows {
		return out, fmt.Errorf("%w: at most %d entries are listed", directory.ErrInvalid, queueMostRows)
	}
	s, err := n.searchQueue(q.Filter)
	if err != nil {
		return out, err
	}
	out.Entries = []adminapi.QueueEntry{}
	rows := map[cluster.GroupID]int{}
	s.walk(ctx, queueByRows, limit, func(g cluster.GroupID, p queuePage) int {
		out.Matched += p.Matched
		out.Entries = append(out.Entries, p.Rows...)
		rows[g] += len(p.Rows)
		return limit - rows[g]
	})
	slices.SortFunc(out.Entries, func(a, b adminapi.QueueEntry) int {
		return cmp.Or(a.Received.Compare(b.Received), cmp.Compare(a.ID, b.ID))
	})
	out.Entries = out.Entries[:min(len(out.Entries), limit)]
	out.Problems = s.problems
	return out, ctx.Err()
}

// QueueEntry shows one entry.
func (n *Node) QueueEntry(ctx context.Context, text string) (e adminapi.QueueEntry, err error) {
	g, id, err := readEntryID(text)
	if err != nil {
		return e, err
	}
	if _, err := n.searchQueue(adminapi.QueueFilter{IDs: []string{text}}); err != nil {
		return e, err
	}
	var page queuePage
	if err := n.askLeader(ctx, g, methodQueueWalk, queueWalk{Group: g, Spec: filter.Spec{Entries: []uint64{id}}, Mode: queueInFull, Rows: 1}, &page); err != nil {
		return e, err
	}
	if len(page.Rows) == 0 {
		return e, fmt.Errorf("entry %s: it was delivered or given up, see `rookery trace`: %w", text, directory.ErrNotFound)
	}
	return page.Rows[0], nil
}

// QueueSummary adds up what waits by destination.
func (n *Node) QueueSummary(ctx context.Context, f adminapi.QueueFilter) (out adminapi.QueueSummary, err error) {
	s, err := n.searchQueue(f)
	if err != nil {
		return out, err
	}
	sums := map[string]*adminapi.QueueDestination{}
	s.walk(ctx, queueByDestination, 0, func(_ cluster.GroupID, p queuePage) int {
		out.Entries += p.Matched
		out.Held += p.Held
		for _, d := range p.Destinations {
			addDestination(sums, d)
		}
		return 0
	})
	out.Destinations, out.Problems = []adminapi.QueueDestination{}, s.problems
	for _, d := range sums {
		out.Destinations = append(out.Destinations, *d)
	}
	slices.SortFunc(out.Destinations, func(a, b adminapi.QueueDestination) int {
		return cmp.Or(cmp.Compare(b.Waiting+b.Held, a.Waiting+a.Held), cmp.Compare(a.Destination, b.Destination))
	})
	out.Destinations = out.Destinations[:min(len(out.Destinations), queueMostSummed)]
	return out, ctx.Err()
}

func addDestination(sums map[string]*adminapi.QueueDestination, d adminapi.QueueDestination) {
	sum := sums[d.Destination]
	if sum == nil {
		sums[d.Destination] = &d
		return
	}
	sum.Waiting += d.Waiting
	sum.Held += d.Held
	for i := range d.Ages {
		sum.Ages[i] += d.Ages[i]
	}
	if d.Oldest.Before(sum.Oldest) {
		sum.Oldest = d.Oldest
	}
	if d.ClosedUntil.After(sum.ClosedUntil) {
		sum.ClosedUntil = d.ClosedUntil
	}
	sum.Failures = max(sum.Failures, d.Failures)
	sum.LastError = cmp.Or(sum.LastError, d.LastError)
}
