package transport

import (
	"sync"

	"github.com/hashicorp/raft"
)

// RaftTransport is raft.NetworkTransport with pipelines that cannot lock up.
//
// In raft v1.8.0 the reader of a pipeline's responses leaves when a follower refuses an append or
// knows a newer term; with few requests in flight the sender may then wait for a place in the
// pipeline that only the reader would have made, for ever: the follower gets no entries any more,
// and a shutdown waits for the sender. Keeping many in flight would hide that at the cost of commit
// latency; instead, responses that nobody reads are set aside here.
type RaftTransport struct{ *raft.NetworkTransport }

var (
	_ raft.Transport   = RaftTransport{}
	_ raft.WithPreVote = RaftTransport{}
	_ raft.WithClose   = RaftTransport{}
)

// setAside is how many responses may wait for a reader. The sender notices the end of the reader
// after each request, with even odds against another request: it never gets near.
const setAside = 64

// AppendEntriesPipeline implements raft.Transport.
func (t RaftTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := &pipeline{AppendPipeline: inner, responses: make(chan raft.AppendFuture, setAside), done: make(chan struct{})}
	p.pumping.Go(p.pump)
	return p, nil
}

type pipeline struct {
	raft.AppendPipeline
	responses chan raft.AppendFuture
	once      sync.Once
	done      chan struct{}
	pumping   sync.WaitGroup
}

// pump takes responses off the wire whether or not anyone reads them.
func (p *pipeline) pump() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			select {
			case p.responses <- f:
			case <-p.done:
				return
			}
		case <-p.done:
			return
		}
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.responses }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.done) })
	p.pumping.Wait()
	return p.AppendPipeline.Close()
}
