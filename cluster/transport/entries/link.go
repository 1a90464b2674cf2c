package entries

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// readBuffer is how many bytes one read of a link takes at most.
const readBuffer = 64 << 10

// call is an append that waits for its answer.
type call struct {
	group cluster.GroupID
	args  *raft.AppendEntriesRequest
	resp  *raft.AppendEntriesResponse // filled before settle
	at    time.Time
	// settle is called once, with what became of the append. It does not wait.
	settle func(error)
}

// link carries this node's appends to one peer. It fails once and for all; the next append
// begins another one.
//
// Invariant: a call that was added is in sent until it is settled.
type link struct {
	x     *Exchange
	peer  cluster.NodeID
	ready chan struct{} // closed when the peer has answered with its version, or the link has failed
	out   *outbox

	adding sync.Mutex // held while a call gets its number and its place in out, which are in the same order

	mu    sync.Mutex // guards what follows
	conn  net.Conn   // nil until ready
	err   error      // why the link failed
	sent  map[uint64]*call
	seq   uint64    // the last one that was used
	heard time.Time // when the last answer came
}

func newLink(x *Exchange, peer cluster.NodeID) *link {
	return &link{x: x, peer: peer, ready: make(chan struct{}), out: newOutbox(), sent: map[uint64]*call{}}
}

// Run opens the link, and reads and writes until it fails.
func (l *link) Run() {
	conn, err := l.x.links.Open(l.peer)
	if err != nil {
		l.Fail(err)
		close(l.ready)
		return
	}
	defer conn.Close()
	l.mu.Lock()
	l.conn = conn
	over := l.err != nil
	l.mu.Unlock()
	close(l.ready)
	if over {
		return
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		if err := l.out.write(conn, l.x.cfg.Timeout); err != nil {
			l.Fail(fmt.Errorf("send entries to node %s: %w", l.peer, err))
		}
	})
	l.Fail(l.read(conn))
	writing.Wait()
}

// failure is why the link failed, nil if it has not.
func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Fail ends the link and all its calls. In which order does not matter: none has an answer.
func (l *link) Fail(err error) {
	l.x.links.Drop(l.peer, l, err)
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	if l.conn != nil {
		_ = l.conn.Close()
	}
	sent := l.sent
	l.sent = nil
	l.mu.Unlock()
	l.out.end()
	for _, c := range sent {
		c.settle(err)
	}
}

// add sends a call. The link is ready.
func (l *link) add(c *call) {
	l.adding.Lock()
	defer l.adding.Unlock()
	l.mu.Lock()
	if err := l.err; err != nil {
		l.mu.Unlock()
		c.settle(err)
		return
	}
	l.seq++
	seq := l.seq
	l.sent[seq] = c
	l.mu.Unlock()
	l.out.add(Append{Seq: seq, Group: c.group, Args: c.args}.append)
}

// suspect fails the link if nothing came from the peer since a call was sent, so that it is not one group
// that is slow.
func (l *link) suspect(at time.Time) {
	l.mu.Lock()
	silent := l.heard.Before(at)
	l.mu.Unlock()
	if silent {
		l.Fail(fmt.Errorf("node %s: %w", l.peer, ErrLate))
	}
}

// read gives answers to their calls until the connection ends.
func (l *link) read(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, readBuffer)
	for {
		a, err := readAnswer(r)
		if err != nil {
			return fmt.Errorf("entries to node %s: %w", l.peer, err)
		}
		l.mu.Lock()
		c, ok := l.sent[a.Seq]
		delete(l.sent, a.Seq)
		if l.heard = time.Now(); !ok {
			l.mu.Unlock()
			continue // made up
		}
		l.mu.Unlock()
		c.settle(l.outcome(c, a))
	}
}

// outcome fills in the response of a call, or says why there is none.
func (l *link) outcome(c *call, a Answer) error {
	switch a.Status {
	case StatusAnswered:
		*c.resp = raft.AppendEntriesResponse{Term: a.Term, LastLog: a.LastLog, Success: a.Success, NoRetryBackoff: a.NoRetryBackoff}
		return nil
	case StatusNotHere:
		return fmt.Errorf("node %s, %v: %w", l.peer, c.group, ErrNotHere)
	default:
		return fmt.Errorf("node %s, %v: %s", l.peer, c.group, a.Text)
	}
}
