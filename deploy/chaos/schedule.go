package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// The kinds of faults.
const (
	kindKill    = "kill"    // SIGKILL, and a start after the hold
	kindCut     = "cut"     // a node's links to the others are closed
	kindSilence = "silence" // a node's links to the others lose everything
	kindLink    = "link"    // one link between two nodes loses everything
	kindFreeze  = "freeze"  // SIGSTOP, and SIGCONT after the hold
	kindStop    = "stop"    // SIGTERM, and a start after the hold
	kindOutage  = "outage"  // SIGKILL to all nodes at once, and a start after the hold
)

// The mixes of load.
const (
	mixMailboxes = "mailboxes" // mail in by SMTP, and mailboxes changed by IMAP
	mixOutbound  = "outbound"  // submissions for other domains
)

// allKinds are the faults that are drawn from when nothing else is said. Kills and cuts of one node
// are what happens most.
const allKinds = "kill,kill,cut,cut,silence,link,freeze,stop,outage"

// What happens to the object store beside a fault.
const (
	storeKill   = "killed" // SIGKILL, and a start after the hold
	storeFreeze = "frozen" // SIGSTOP, and SIGCONT after the hold
)

// fault is one thing that goes wrong for a while.
type fault struct {
	kind        string
	node, other string // no node for an outage, another one only for a link
	hold        time.Duration
	store       string // what happens to the object store meanwhile, "" for nothing
}

// String describes the fault.
func (f fault) String() string {
	what := strings.TrimSpace(f.kind + " " + f.node)
	if f.other != "" {
		what += "–" + f.other
	}
	if f.store != "" {
		what += ", store " + f.store
	}
	return fmt.Sprintf("%s for %.1f s", what, f.hold.Seconds())
}

// schedule plans the faults: the same for the same options.
func schedule(o options) ([]fault, error) {
	kinds := strings.Split(o.kinds, ",")
	for _, k := range kinds {
		if !slices.Contains(strings.Split(allKinds, ","), k) {
			return nil, fmt.Errorf("no kind of fault is called %q", k)
		}
	}
	if o.nodes < 2 || o.cycles < 0 || o.seconds <= 0 || o.accounts < 1 || o.senders < 1 {
		return nil, fmt.Errorf("chaos needs two nodes, an account, a sender and time")
	}
	if o.store != "" && o.store != "s3" {
		return nil, fmt.Errorf("no object store is called %q: use s3", o.store)
	}
	if o.mix != "" && o.mix != mixMailboxes && o.mix != mixOutbound {
		return nil, fmt.Errorf("no mix is called %q: use %s or %s", o.mix, mixMailboxes, mixOutbound)
	}
	r := rand.New(rand.NewPCG(o.seed, 0))
	outages := rand.New(rand.NewPCG(o.seed, 1)) // apart, so that a store changes nothing in the rest
	plan := make([]fault, 0, o.cycles)
	for range o.cycles {
		node := 1 + r.IntN(o.nodes)
		f := fault{kind: kinds[r.IntN(len(kinds))], node: fmt.Sprintf("n%d", node)}
		switch f.kind {
		case kindLink:
			f.other = fmt.Sprintf("n%d", 1+(node+r.IntN(o.nodes-1))%o.nodes)
		case kindOutage:
			f.node = ""
		}
		// 30 to 60 % of the cycle, so that most cycles see the recovery as well.
		f.hold = time.Duration((0.3 + 0.3*r.Float64()) * o.seconds * float64(time.Second)).Round(time.Millisecond)
		if o.store != "" {
			f.store = []string{"", storeKill, storeFreeze}[outages.IntN(3)]
		}
		plan = append(plan, f)
	}
	return plan, nil
}
