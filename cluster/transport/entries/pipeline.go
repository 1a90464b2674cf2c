package entries

import (
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// inFlight is how many appends of a pipeline have no answer at most. More would make smaller batches, and so
// cost more and take longer under load; it is what hashicorp/raft's own pipeline has.
const inFlight = 2

// setAside is how many responses may wait for a reader. Raft's sender notices the end of its reader after each
// append, with even odds against another one: it never gets near. A pipeline that gets there ends.
const setAside = 64

// Hooks are what a pipeline asks of its owner.
type Hooks struct {
	// Bulk sends an append that is too large for the link, and waits for the answer.
	Bulk func(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error
	// Confirmed is told of each append that the follower has confirmed. It does not wait.
	Confirmed func(args *raft.AppendEntriesRequest)
}

// Pipeline is a raft.AppendPipeline over the link to one peer. AppendEntries is called by one goroutine.
type Pipeline struct {
	port  *Port
	link  *link
	hooks Hooks

	responses chan raft.AppendFuture
	fewer     chan struct{} // one element: waiting has become less
	done      chan struct{}
	once      sync.Once

	mu      sync.Mutex
	waiting int // guarded by mu: appends without an answer
}

var _ raft.AppendPipeline = (*Pipeline)(nil)

// Pipeline opens a pipeline to a peer, with ErrOldPeer where that takes none.
func (p *Port) Pipeline(peer cluster.NodeID, hooks Hooks) (*Pipeline, error) {
	l, err := p.x.links.To(peer)
	if err != nil {
		return nil, err
	}
	select {
	case <-l.ready:
	case <-p.closed:
		return nil, cluster.ErrStopped
	}
	if err := l.failure(); err != nil {
		return nil, err
	}
	return &Pipeline{port: p, link: l, hooks: hooks, responses: make(chan raft.AppendFuture, setAside),
		fewer: make(chan struct{}, 1), done: make(chan struct{})}, nil
}

// AppendEntries implements raft.AppendPipeline. It returns when another append may be sent.
func (p *Pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	f := &future{args: args, resp: resp, start: time.Now(), done: make(chan struct{})}
	if Size(args) > Bulk {
		return f, p.bulk(f)
	}
	p.begin()
	p.link.add(&call{group: p.port.group, args: args, resp: resp, at: f.start, settle: func(err error) { p.settle(f, err) }})
	return f, p.await(inFlight - 1)
}

// bulk sends an append past the link. It follows those on the link, so their answers come first.
func (p *Pipeline) bulk(f *future) error {
	if err := p.await(0); err != nil {
		return err
	}
	p.begin()
	err := p.hooks.Bulk(f.args, f.resp)
	p.settle(f, err)
	return err
}

func (p *Pipeline) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting++
}

// await waits until at most n appends have no answer.
func (p *Pipeline) await(n int) error {
	var late <-chan time.Time
	start := time.Now()
	for {
		p.mu.Lock()
		waiting := p.waiting
		p.mu.Unlock()
		if waiting <= n {
			return nil
		}
		if late == nil {
			timer := time.NewTimer(p.port.x.cfg.Timeout)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-p.fewer:
		case <-p.done:
			return raft.ErrPipelineShutdown
		case <-p.port.closed:
			return raft.ErrPipelineShutdown
		case <-late:
			p.link.suspect(start)
			return fmt.Errorf("node %s, %v: %w", p.link.peer, p.port.group, ErrLate)
		}
	}
}

// settle gives an append to the consumer with what became of it. Without an answer the response says that
// the follower did not take it, and Raft leaves the pipeline.
func (p *Pipeline) settle(f *future, err error) {
	if err == nil && f.resp.Success {
		p.hooks.Confirmed(f.args)
	}
	f.err = err
	close(f.done)
	select {
	case p.responses <- f: // before the next append is let go, whose answer must not come first
	default:
		p.stop()
	}
	p.mu.Lock()
	p.waiting--
	p.mu.Unlock()
	select {
	case p.fewer <- struct{}{}:
	default:
	}
}

func (p *Pipeline) stop() { p.once.Do(func() { close(p.done) }) }

// Consumer implements raft.AppendPipeline.
func (p *Pipeline) Consumer() <-chan raft.AppendFuture { return p.responses }

// Close implements raft.AppendPipeline. Answers that are still to come are let go.
func (p *Pipeline) Close() error {
	p.stop()
	return nil
}

type future struct {
	args  *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse
	start time.Time
	err   error         // set before done is closed
	done  chan struct{} // closed when it is settled
}

var _ raft.AppendFuture = (*future)(nil)

func (f *future) Error() error                          { <-f.done; return f.err }
func (f *future) Start() time.Time                      { return f.start }
func (f *future) Request() *raft.AppendEntriesRequest   { return f.args }
func (f *future) Response() *raft.AppendEntriesResponse { return f.resp }
