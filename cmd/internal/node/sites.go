package node

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// methodSites asks a node for the receivers that it sends to.
const methodSites = "outbound.sites"

func (n *Node) serveSites(context.Context, cluster.NodeID, []byte) ([]byte, error) {
	return json.Marshal(n.sites())
}

// sites are the receivers that this node sends to.
func (n *Node) sites() []adminapi.Site {
	out := []adminapi.Site{}
	if n.outbound == nil {
		return out
	}
	waiting := n.waiting().bySite
	for _, s := range n.outbound.lanes.States() {
		w := waiting[s.Site]
		delete(waiting, s.Site)
		out = append(out, adminapi.Site{Site: s.Site, Node: string(n.id), Attempts: s.Attempts, Most: s.Most, Rate: s.Rate, ClosedUntil: s.ClosedUntil,
			Failures: s.Failures, Last: s.Last, Delivered: s.Counts.Delivered, Deferred: s.Counts.Deferred, Failed: s.Counts.Failed, Waiting: w})
	}
	for name, w := range waiting {
		out = append(out, adminapi.Site{Site: name, Node: string(n.id), Waiting: w})
	}
	return out
}

// waits is what waits in the partitions that this node leads, in recipients.
type waits struct {
	bySite  map[string]uint64
	byGroup map[cluster.GroupID]uint64
	oldest  map[cluster.GroupID]time.Time // when the oldest message came
}

// destinationsLooked is how many destinations of a partition are looked at for figures.
const destinationsLooked = 20_000

// waiting counts what waits, by receiver as far as it is known who takes a domain's mail.
func (n *Node) waiting() waits {
	w := waits{bySite: map[string]uint64{}, byGroup: map[cluster.GroupID]uint64{}, oldest: map[cluster.GroupID]time.Time{}}
	for _, r := range n.host.all() {
		if r.queue == nil || r.Status().State != "leader" {
			continue
		}
		if err := n.waitingIn(r, w); err != nil {
			n.log.Warn("what waits in a queue cannot be counted", "group", r.ID().String(), "error", err)
		}
	}
	return w
}

func (n *Node) waitingIn(r *replica, w waits) error {
	s := r.Snapshot()
	defer s.Close()
	w.byGroup[r.ID()] = 0
	err := queue.Destinations(s, destinationsLooked, func(name string, rec *queuepb.DestinationRecord) error {
		w.bySite[n.outbound.lanes.SiteOf(name)] += rec.Waiting
		w.byGroup[r.ID()] += rec.Waiting
		return nil
	})
	if err != nil {
		return err
	}
	return queue.Entries(s, 0, func(_ queue.EntryID, e *queuepb.EntryRecord) (bool, error) {
		w.oldest[r.ID()] = time.UnixMilli(e.Received)
		return false, nil
	})
}

// Sites lists the receivers that the cluster sends to, those first that have most waiting.
func (n *Node) Sites(ctx context.Context) ([]adminapi.Site, error) {
	nodes, _, err := n.membersAndMap()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out := n.sites()
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, member := range nodes {
		if member.ID == n.id || member.State == directory.NodeRemoved {
			continue
		}
		asked.Go(func() {
			data, err := n.calls.Call(ctx, member.ID, methodSites, nil)
			var list []adminapi.Site
			if err != nil || json.Unmarshal(data, &list) != nil {
				return // a node that is away leads nothing
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, list...)
		})
	}
	asked.Wait()
	slices.SortFunc(out, func(a, b adminapi.Site) int {
		return cmp.Or(cmp.Compare(b.Waiting, a.Waiting), cmp.Compare(b.Delivered, a.Delivered), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Node, b.Node))
	})
	return out, nil
}
