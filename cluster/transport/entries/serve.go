package entries

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// maxWaiting bounds the appends of a group on one link that its Raft has not taken. A leader has a few in
// flight; there are more only after it has given up on earlier ones.
const maxWaiting = 64

// server answers one link of a peer.
type server struct {
	x    *Exchange
	conn net.Conn
	out  *outbox
	over chan struct{} // closed when the connection has ended
	work sync.WaitGroup

	mu     sync.Mutex
	queues map[cluster.GroupID]*queue // guarded by mu
}

// queue holds a group's appends in their order.
type queue struct {
	waiting []Append // guarded by the server's mu
	busy    bool     // guarded by the server's mu: a goroutine takes them
}

// Serve answers the appends of a peer until the connection ends, which the end of ctx is to bring
// about.
func (x *Exchange) Serve(_ context.Context, peer cluster.NodeID, conn net.Conn) {
	if _, err := conn.Write([]byte{Version}); err != nil {
		return
	}
	s := &server{x: x, conn: conn, out: newOutbox(), over: make(chan struct{}), queues: map[cluster.GroupID]*queue{}}
	s.work.Go(func() {
		if err := s.out.write(conn, x.cfg.Timeout); err != nil {
			_ = conn.Close() // ends read
			s.out.end()
		}
	})
	err := s.read()
	close(s.over)
	s.out.end()
	_ = conn.Close() // ends a write
	s.work.Wait()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		x.cfg.Logger.Debug("the entries of a peer ended", "peer", string(peer), "error", err)
	}
}

func (s *server) read() error {
	r := bufio.NewReaderSize(s.conn, readBuffer)
	for {
		a, err := readAppend(r)
		if err != nil {
			return err
		}
		if !s.enqueue(a) {
			s.reply(Answer{Seq: a.Seq, Status: StatusFailed, Text: "too many appends are waiting"})
		}
	}
}

// enqueue puts an append behind those of its group; it reports false where there are too many.
func (s *server) enqueue(a Append) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[a.Group]
	if q == nil {
		q = &queue{}
		s.queues[a.Group] = q
	}
	if len(q.waiting) == maxWaiting {
		return false
	}
	q.waiting = append(q.waiting, a)
	if !q.busy {
		q.busy = true
		s.work.Go(func() { s.serve(q) })
	}
	return true
}

// serve has the appends of a queue answered until there are none.
func (s *server) serve(q *queue) {
	for a, ok := s.next(q); ok; a, ok = s.next(q) {
		answer, ok := s.ask(a)
		if !ok {
			return // and the queue remains busy
		}
		s.reply(answer)
	}
}

func (s *server) next(q *queue) (a Append, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(q.waiting) == 0 {
		q.busy = false
		return Append{}, false
	}
	a = q.waiting[0]
	n := copy(q.waiting, q.waiting[1:])
	q.waiting[n] = Append{}
	q.waiting = q.waiting[:n]
	return a, true
}

// ask has an append answered by its group, ok false where the connection ended first.
func (s *server) ask(a Append) (answer Answer, ok bool) {
	s.x.mu.Lock()
	p := s.x.ports[a.Group]
	s.x.mu.Unlock()
	notHere := Answer{Seq: a.Seq, Status: StatusNotHere}
	if p == nil {
		return notHere, true
	}
	got := make(chan raft.RPCResponse, 1)
	select {
	case p.consumer <- raft.RPC{Command: a.Args, RespChan: got}:
	case <-p.closed:
		return notHere, true
	case <-s.over:
		return Answer{}, false
	}
	select {
	case r := <-got:
		return toAnswer(a.Seq, r), true
	case <-p.closed:
		return notHere, true
	case <-s.over:
		return Answer{}, false
	}
}

func toAnswer(seq uint64, r raft.RPCResponse) Answer {
	resp, ok := r.Response.(*raft.AppendEntriesResponse)
	switch {
	case r.Error != nil:
		return Answer{Seq: seq, Status: StatusFailed, Text: r.Error.Error()}
	case !ok || resp == nil:
		return Answer{Seq: seq, Status: StatusFailed, Text: fmt.Sprintf("answered with a %T", r.Response)}
	}
	return Answer{Seq: seq, Status: StatusAnswered, Term: resp.Term, LastLog: resp.LastLog,
		Success: resp.Success, NoRetryBackoff: resp.NoRetryBackoff}
}

func (s *server) reply(a Answer) { s.out.add(a.append) }
