package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/group"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// methodStatus asks a node for its report.
const methodStatus = "node.status"

// report is what a node says of itself to others.
type report struct {
	Version string            `json:"version"`
	Level   command.Level     `json:"level"` // absent from a node of 0.1
	Groups  []group.Status    `json:"groups"`
	Failed  map[string]string `json:"failed"`          // replicas that could not be opened
	Full    string            `json:"full"`            // why writes are refused, if they are
	Store   string            `json:"store"`           // why object storage does not answer, if it does not
	Staged  uint64            `json:"staged"`          // octets that wait for object storage
	Staging uint64            `json:"staging"`         // octets that may; 0 without object storage
	Lists   []string          `json:"lists,omitempty"` // in DNS that do not answer it
	MailKey string            `json:"mail_key"`        // SHA-256 of the public key of its mail doors' certificate, in hexadecimal digits; empty before they open
}

// report describes this node.
func (n *Node) report() report {
	r := report{Version: n.opts.Version, Level: command.Latest, Failed: map[string]string{}, MailKey: n.mailKey()}
	for _, replica := range n.host.all() {
		r.Groups = append(r.Groups, replica.Status())
	}
	for g, err := range n.host.failures() {
		r.Failed[g.String()] = err.Error()
	}
	if err := n.logs.Full(); err != nil {
		r.Full = err.Error()
	}
	r.Lists = n.refusingLists(time.Now())
	bound, err := n.blobs.Problem()
	if err != nil {
		r.Store = err.Error()
	}
	if bound > 0 {
		r.Staged, r.Staging = n.staged(), uint64(bound)
	}
	return r
}

func (n *Node) serveStatus(context.Context, cluster.NodeID, []byte) ([]byte, error) {
	return json.Marshal(n.report())
}

// reports asks all nodes at once. A node that does not answer in time is missing from the result.
func (n *Node) reports(ctx context.Context, nodes []directory.Node) map[cluster.NodeID]report {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		out = map[cluster.NodeID]report{n.id: n.report()}
	)
	for _, member := range nodes {
		if member.ID == n.id || member.State == directory.NodeRemoved {
			continue
		}
		wg.Go(func() {
			data, err := n.calls.Call(ctx, member.ID, methodStatus, nil)
			var r report
			if err != nil || json.Unmarshal(data, &r) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out[member.ID] = r
		})
	}
	wg.Wait()
	return out
}

// Status describes the cluster as this node can see it now.
func (n *Node) Status(ctx context.Context) (adminapi.Status, error) {
	s := adminapi.Status{Cluster: n.record.Cluster, Node: string(n.id), Version: n.opts.Version,
		Nodes: []adminapi.NodeStatus{}, Groups: []adminapi.GroupStatus{}, Problems: []adminapi.Problem{}}
	nodes, pm, err := n.membersAndMap()
	if err != nil {
		return s, err
	}
	reports := n.reports(ctx, nodes)
	for _, member := range nodes {
		if member.State == directory.NodeRemoved {
			continue
		}
		r, alive := reports[member.ID]
		gossip := n.heard(member.ID)
		s.Nodes = append(s.Nodes, adminapi.NodeStatus{ID: string(member.ID), Region: member.Region,
			Address: member.ClusterAddress, State: member.State.String(), Alive: alive, Gossip: gossip, Version: r.Version})
		s.Problems = append(s.Problems, nodeProblems(member, r, alive)...)
		if alive && gossip == membership.Dead.String() {
			s.Problems = append(s.Problems, adminapi.Problem{
				What: fmt.Sprintf("node %s answers calls but not gossip at %s", member.ID, member.GossipAddress),
				Do:   "open the gossip port between the nodes, for TCP and UDP",
			})
		}
	}
	for _, g := range n.groupIDs(pm) {
		status := n.groupStatus(g, pm, reports)
		s.Groups = append(s.Groups, status)
		s.Problems = append(s.Problems, groupProblems(status, s.Nodes)...)
	}
	s.Healthy = len(s.Problems) == 0
	return s, nil
}

func (n *Node) groupIDs(pm directory.PartitionMap) []cluster.GroupID {
	ids := []cluster.GroupID{cluster.DirectoryGroup}
	for _, r := range pm.Groups {
		if r.Group != cluster.DirectoryGroup {
			ids = append(ids, r.Group)
		}
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

// groupStatus takes the leader's word for a group, or the most advanced replica's where none leads.
func (n *Node) groupStatus(g cluster.GroupID, pm directory.PartitionMap, reports map[cluster.NodeID]report) adminapi.GroupStatus {
	out := adminapi.GroupStatus{Group: g.String(), Lag: map[string]uint64{},
		Voters: []string{}, Nonvoters: []string{}, Wanted: []string{}}
	for _, id := range pm.Of(g) {
		out.Wanted = append(out.Wanted, string(id))
	}
	replicas := map[cluster.NodeID]group.Status{}
	var best *group.Status
	for id, r := range reports {
		for _, s := range r.Groups {
			if s.Group != g {
				continue
			}
			replicas[id] = s
			out.Local = out.Local || id == n.id
			if s.State == "leader" {
				out.Leader = string(id)
			}
			if best == nil || better(s, *best) {
				best = &s
			}
		}
	}
	if best == nil {
		return out
	}
	out.Term, out.Last, out.Commit = best.Term, uint64(best.LastIndex), uint64(best.Commit)
	out.Applied, out.LogBytes = uint64(best.Applied), best.LogBytes
	for _, m := range best.Members {
		if m.Voter {
			out.Voters = append(out.Voters, string(m.ID))
		} else {
			out.Nonvoters = append(out.Nonvoters, string(m.ID))
		}
		if s, ok := replicas[m.ID]; ok && s.Applied < best.Applied {
			out.Lag[string(m.ID)] = uint64(best.Applied - s.Applied)
		}
	}
	sort.Strings(out.Voters)
	sort.Strings(out.Nonvoters)
	return out
}

// better reports whether a knows more of its group than b.
func better(a, b group.Status) bool {
	if (a.State == "leader") != (b.State == "leader") {
		return a.State == "leader"
	}
	if a.Term != b.Term {
		return a.Term > b.Term
	}
	return a.Commit > b.Commit
}

func nodeProblems(member directory.Node, r report, alive bool) (out []adminapi.Problem) {
	if !alive {
		return []adminapi.Problem{{
			What: fmt.Sprintf("node %s does not answer at %s", member.ID, member.ClusterAddress),
			Do: "see whether it runs (`systemctl status rookery` there) and whether its cluster port can be reached; " +
				"mail goes on while each group has a majority. If it is gone for good: `rookery node remove " + string(member.ID) + "`",
		}}
	}
	for g, why := range r.Failed {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("node %s does not run its replica of %s: %s", member.ID, g, why),
			Do:   fmt.Sprintf("on %s: stop the node, `rookery node rebuild --group %s --yes`, start it again", member.ID, g),
		})
	}
	for _, s := range r.Groups {
		if s.Failure != "" {
			out = append(out, adminapi.Problem{
				What: fmt.Sprintf("the replica of %v on node %s stopped: %s", s.Group, member.ID, s.Failure),
				Do:   fmt.Sprintf("read the log of %s; restart the node, and rebuild the replica if it stops again", member.ID),
			})
		}
	}
	if r.Full != "" {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("node %s accepts no writes: %s", member.ID, r.Full),
			Do:   "make room on the disk of its data_dir; it goes on by itself then",
		})
	}
	if len(r.Lists) > 0 {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("these lists in DNS do not answer node %s: %s", member.ID, strings.Join(r.Lists, " ")),
			Do: "mail goes on without them; see what `rookery dnsbl test 127.0.0.2` says there: most refuse who asks by way of a public resolver (outbound.resolvers) or too often. " +
				"One that has ended: `rookery dnsbl remove`",
		})
	}
	return append(out, storeProblems(member, r)...)
}

// stagingWarn is the part of the staging bound, in hundredths, from which on the operator is told.
const stagingWarn = 80

// storeProblems are those of object storage.
func storeProblems(member directory.Node, r report) (out []adminapi.Problem) {
	if r.Store != "" {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("node %s does not get through to the object store: %s", member.ID, r.Store),
			Do: "see whether the store is up and its credentials are good (`rookery blob status`); mail goes on being accepted " +
				"until the staging bound is reached, old mail that is not in the cache cannot be read",
		})
	}
	if r.Staging > 0 && r.Staged >= r.Staging/100*stagingWarn {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("on node %s %d of %d octets that may wait for the object store do", member.ID, r.Staged, r.Staging),
			Do:   "see whether the object store takes what it is given; `rookery blob set --staging` raises the bound where the disk has room; above it mail is put off (452)",
		})
	}
	return out
}

func groupProblems(g adminapi.GroupStatus, nodes []adminapi.NodeStatus) (out []adminapi.Problem) {
	if g.Leader == "" {
		return []adminapi.Problem{{
			What: fmt.Sprintf("group %s has no leader: its accounts can be read but not written", g.Group),
			Do:   "bring back enough of its nodes for a majority: " + fmt.Sprint(g.Voters),
		}}
	}
	wanted := len(g.Wanted)
	if g.Group == cluster.DirectoryGroup.String() {
		return nil
	}
	if len(g.Voters) < wanted {
		out = append(out, adminapi.Problem{
			What: fmt.Sprintf("group %s has %d of %d voters", g.Group, len(g.Voters), wanted),
			Do:   "wait: a replica is being filled; if this stays, see whether all wanted nodes answer",
		})
	}
	alive := map[string]bool{}
	for _, n := range nodes {
		alive[n.ID] = n.Alive
	}
	for _, id := range g.Voters {
		if n := g.Lag[id]; alive[id] && n > 10_000 {
			out = append(out, adminapi.Problem{
				What: fmt.Sprintf("the replica of %s on node %s is %d entries behind", g.Group, id, n),
				Do:   "see whether its disk or the network to it is slow; it catches up by itself",
			})
		}
	}
	return out
}

// Ready returns nil when every replica that belongs here runs, has a leader and is caught up.
func (n *Node) Ready(context.Context) error {
	if err := n.serving(); err != nil {
		return err
	}
	_, pm, err := n.membersAndMap()
	if err != nil {
		return err
	}
	for _, g := range n.groupIDs(pm) {
		if g != cluster.DirectoryGroup && !slices.Contains(pm.Of(g), n.id) {
			continue
		}
		r, err := n.host.get(g)
		if err != nil {
			return err
		}
		s := r.Status()
		if !r.isFresh() {
			return fmt.Errorf("%v is catching up", g)
		}
		if s.Leader == "" {
			return fmt.Errorf("%v has no leader", g)
		}
		if s.Commit > s.Applied+1000 {
			return fmt.Errorf("%v is %d entries behind", g, s.Commit-s.Applied)
		}
	}
	return nil
}

// Hashes hashes the replicas of this node.
func (n *Node) Hashes(context.Context) (adminapi.Hashes, error) {
	out := adminapi.Hashes{Node: string(n.id), Groups: []adminapi.GroupHash{}}
	for _, r := range n.host.all() {
		sum, applied, err := n.state.Group(r.ID()).Hash()
		if err != nil {
			return out, err
		}
		out.Groups = append(out.Groups, adminapi.GroupHash{Group: r.ID().String(), Applied: uint64(applied), Hash: fmt.Sprintf("%x", sum)})
	}
	return out, nil
}
