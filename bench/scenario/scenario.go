// Package scenario holds the loads a mail system is measured with: deliveries, IMAP on large mailboxes, a day
// of an institution, idle clients, the death of a node. A scenario drives a site and returns figures; it neither
// starts sites nor compares them.
package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/bench/corpus"
	"github.com/rookery-mail/rookery/bench/site"
)

// Figure is one measured number.
type Figure struct {
	Unit   string  `json:"unit"` // name and unit in one, as in Go's benchmark format: msg/s, p99-ms
	Value  float64 `json:"value"`
	Higher bool    `json:"higher_is_better"`
	// Judged figures decide a comparison; the others are for reading.
	Judged bool `json:"judged"`
	// Turns are the values of single turns, where Scenario.Pair took them by turns with the other site: those of one
	// index follow each other at once.
	Turns []float64 `json:"turns,omitempty"`
}

// Result is one run of a scenario.
type Result struct {
	Scenario string   `json:"scenario"`
	Site     string   `json:"site"`
	Figures  []Figure `json:"figures"`
	Notes    []string `json:"notes,omitempty"`
	// Broken promises (a message lost or doubled) fail a run whatever its figures are.
	Broken []string `json:"broken,omitempty"`
}

func (r *Result) add(unit string, value float64) {
	r.Figures = append(r.Figures, Figure{Unit: unit, Value: value})
}

func (r *Result) judge(unit string, value float64, higher bool) {
	r.Figures = append(r.Figures, Figure{Unit: unit, Value: value, Higher: higher, Judged: true})
}

// tell adds a figure of which more is better, for reading.
func (r *Result) tell(unit string, value float64) {
	r.Figures = append(r.Figures, Figure{Unit: unit, Value: value, Higher: true})
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Figure finds a figure by its unit.
func (r Result) Figure(unit string) (Figure, bool) {
	i := slices.IndexFunc(r.Figures, func(f Figure) bool { return f.Unit == unit })
	if i < 0 {
		return Figure{}, false
	}
	return r.Figures[i], true
}

// Get is the value of a figure.
func (r Result) Get(unit string) (float64, bool) {
	f, ok := r.Figure(unit)
	return f.Value, ok
}

// Options size a scenario. Zero values are the scenario's own.
type Options struct {
	Messages    int
	Connections int
	Accounts    int
	Levels      []int    // of growth and scale: messages stored
	Kills       int      // of failover
	Own         [][]byte // a user's own messages in place of generated ones
	Run         string   // part of Message-IDs, different in each run against one site
	Quick       bool     // a tenth of everything
	Binary      string   // rehearse: the build that nodes are upgraded to
	// Floor starts bare replicas to compare with.
	Floor func(ctx context.Context, replicas int) (Floor, error)
	// Twin starts a second site like the one under test; nil where that cannot be.
	Twin func(ctx context.Context) (site.Site, error)
	// Store starts an object store; nil where there is none.
	Store    func(ctx context.Context) (Store, error)
	Progress func(format string, args ...any)
}

// messages is how many there are to be, n unless the options say something else.
func (o Options) messages(n int) int {
	switch {
	case o.Messages > 0:
		return o.Messages
	case o.Quick:
		return max(n/10, 1)
	}
	return n
}

func (o Options) connections(n int) int {
	if o.Connections > 0 {
		return o.Connections
	}
	return n
}

func (o Options) accounts(n int) int {
	if o.Accounts > 0 {
		return o.Accounts
	}
	return n
}

// source makes the messages.
func (o Options) source(sizes corpus.Sizes) (corpus.Source, error) {
	if o.Own != nil {
		return corpus.NewOwn(o.Run, o.Own)
	}
	return corpus.NewGenerator(o.Run, sizes), nil
}

// Scenario is one load.
type Scenario struct {
	Name  string
	Brief string
	// Nodes is the least cluster that it makes sense with; 0 for any site.
	Nodes int
	// Peers tells that it runs against any SMTP and IMAP server.
	Peers bool
	Run   func(ctx context.Context, s site.Site, o Options) (Result, error)
	// Pair measures two sites side by side, in short turns; nil where a scenario can only be run as a whole.
	// first is the index of the site that begins.
	Pair func(ctx context.Context, sites [2]site.Site, first int, o Options) ([2]Result, error)
}

// All lists the scenarios.
func All() []Scenario {
	out := slices.Concat(deliveries(), mailboxes(), []Scenario{
		{Name: "floor", Brief: "CPU of a delivery over that of a bare Raft and Pebble commit of the same octets", Peers: true, Run: runFloor},
		{Name: "day", Brief: "a day of an institution: mail in, submissions, IMAP sessions", Peers: true, Run: runDay},
		{Name: "idle", Brief: "many idle IMAP connections: memory, and the reconnect storm after a node dies", Run: runIdle},
		{Name: "rest", Brief: "CPU of a cluster that nobody uses", Run: runRest},
		{Name: "failover", Brief: "leaders are killed: gap until the first accept, accepted versus readable", Nodes: 3, Run: runFailover},
		{Name: "rehearse", Brief: "a rolling upgrade under load: gap, accepted versus readable", Nodes: 3, Run: runRehearse},
		{Name: "growth", Brief: "the same delivery load at growing numbers of stored messages", Peers: true, Run: runGrowth},
		{Name: "scale", Brief: "SELECT, snapshot and restart at growing sizes of one mailbox", Nodes: 1, Run: runScale},
		{Name: "outbound", Brief: "users' mail to a foreign sink with an error mix, until it arrived or came back", Peers: true, Run: runOutbound},
		{Name: "checks", Brief: "signed mail delivered with the checks of what comes in beside a cluster without", Nodes: 1, Run: runChecks},
		{Name: "object-store", Brief: "delivery with an object store beside one without; what the bucket takes; cold reads; the store frozen and away",
			Nodes: 1, Run: runObjectStore},
	})
	return out
}

// Find gives a scenario by name; the error lists the names.
func Find(name string) (Scenario, error) {
	var names []string
	for _, s := range All() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("there is no scenario %q: there are %s", name, strings.Join(names, ", "))
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
