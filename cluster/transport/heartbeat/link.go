package heartbeat

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// call is a heartbeat that waits for its answer.
type call struct {
	port   *Port
	header raft.RPCHeader
	leader []byte
	term   uint64
	seq    uint64    // set when it is sent
	sentAt time.Time // zero until it is sent

	answer raft.AppendEntriesResponse // set before done
	done   chan error                 // gets one error, or nil
}

// link carries this node's heartbeats to one peer. It fails once and for all; the next heartbeat
// begins another one.
//
// Invariant: a call is in waiting or in sent until its done has got something.
type link struct {
	x    *Exchange
	peer cluster.NodeID

	writing sync.Mutex // held over a write; taken before mu

	mu         sync.Mutex                    // guards what follows
	conn       net.Conn                      // nil until the peer has answered with its version
	err        error                         // why the link failed
	waiting    []*call                       // for the next tick
	sent       map[uint64]*call              // by sequence number
	seq        uint64                        // the last one that was used
	heard      time.Time                     // when the last frame came
	lastAnswer map[cluster.GroupID]time.Time // when the last answer of a group came
	tick       *time.Timer                   // runs flush
	armed      bool                          // the tick is to come; x.ticks counts it
	due        time.Time                     // of an armed tick
}

func newLink(x *Exchange, peer cluster.NodeID) *link {
	return &link{x: x, peer: peer, sent: map[uint64]*call{}, lastAnswer: map[cluster.GroupID]time.Time{}}
}

// Run opens the link and reads answers until it fails.
func (l *link) Run() {
	conn, err := l.x.links.Open(l.peer)
	if err != nil {
		l.Fail(err)
		return
	}
	defer conn.Close()
	l.mu.Lock()
	ok := l.err == nil
	if ok {
		l.conn = conn
	}
	l.mu.Unlock()
	if ok {
		l.flush()
		l.Fail(l.read(conn))
	}
}

// Fail ends the link and all its calls.
func (l *link) Fail(err error) {
	l.x.links.Drop(l.peer, l, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	if l.conn != nil {
		_ = l.conn.Close()
	}
	if l.armed && l.tick.Stop() {
		l.armed = false
		l.x.ticks.Done()
	}
	for _, c := range l.waiting {
		c.done <- err
	}
	for _, c := range l.sent {
		c.done <- err
	}
	l.waiting, l.sent = nil, nil
}

// add takes a call in: it goes with the next tick, or at once.
func (l *link) add(c *call) {
	l.mu.Lock()
	if l.err != nil {
		c.done <- l.err
		l.mu.Unlock()
		return
	}
	l.waiting = append(l.waiting, c)
	now := l.conn != nil && c.port.hurries.Load() > 0
	if l.conn != nil && !now {
		l.arm(c)
	}
	l.mu.Unlock()
	if now {
		l.flush()
	}
}

// arm sees to it that flush runs at the tick of a call, or before. The caller holds mu.
func (l *link) arm(c *call) {
	now := time.Now()
	d := l.x.wait(now, l.lastAnswer[c.port.group])
	due := now.Add(d)
	switch {
	case !l.armed:
		l.x.ticks.Add(1) // the link has not failed, so that Close is still to come to it
	case !due.Before(l.due) || !l.tick.Stop(): // it comes early enough, or now
		return
	}
	l.armed, l.due = true, due
	if l.tick == nil {
		l.tick = time.AfterFunc(d, l.ticked)
	} else {
		l.tick.Reset(d)
	}
}

func (l *link) ticked() {
	defer l.x.ticks.Done()
	l.mu.Lock()
	l.armed = false
	l.mu.Unlock()
	l.flush()
}

// hurry lets the tick come now if something of a port waits for it. It does not wait for the peer.
func (l *link) hurry(p *Port) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed {
		return
	}
	for _, c := range l.waiting {
		if c.port == p {
			if l.tick.Stop() {
				l.due = time.Time{} // nothing else comes before
				l.tick.Reset(0)
			}
			return
		}
	}
}

// flush sends what waits, in one write.
func (l *link) flush() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	conn, out := l.conn, l.take()
	l.mu.Unlock()
	if len(out) == 0 {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(l.x.cfg.Timeout))
	if _, err := conn.Write(out); err != nil {
		l.Fail(fmt.Errorf("send heartbeats to node %s: %w", l.peer, err))
	}
}

// take encodes what waits and counts it as sent. The caller holds mu.
func (l *link) take() (out []byte) {
	if l.err != nil || l.conn == nil {
		return nil
	}
	now := time.Now()
	f := Frame{Type: TypeBeats}
	for _, c := range l.waiting {
		if len(f.Beats) == maxRecords || len(f.Beats) > 0 && !(sameHeader(f.Header, c.header) && bytes.Equal(f.Leader, c.leader)) {
			out = f.Append(out)
			f.Beats = f.Beats[:0]
		}
		l.seq++
		c.seq, c.sentAt = l.seq, now
		l.sent[c.seq] = c
		f.Header, f.Leader = c.header, c.leader
		f.Beats = append(f.Beats, Beat{Seq: c.seq, Group: c.port.group, Term: c.term})
	}
	if len(f.Beats) > 0 {
		out = f.Append(out)
	}
	clear(l.waiting)
	l.waiting = l.waiting[:0]
	return out
}

// read gives answers to their calls until the connection ends.
func (l *link) read(conn net.Conn) error {
	r := bufio.NewReader(conn)
	for {
		f, err := ReadFrame(r)
		if err == nil && f.Type != TypeAnswers {
			err = fmt.Errorf("frame of type %d: %w", f.Type, ErrFrame)
		}
		if err != nil {
			return fmt.Errorf("heartbeats to node %s: %w", l.peer, err)
		}
		l.answered(f)
	}
}

func (l *link) answered(f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
	for _, a := range f.Answers {
		c, ok := l.sent[a.Seq]
		if !ok {
			continue // given up, or made up
		}
		delete(l.sent, a.Seq)
		l.lastAnswer[c.port.group] = l.heard
		switch a.Status {
		case StatusAnswered:
			c.answer = raft.AppendEntriesResponse{RPCHeader: f.Header, Term: a.Term, LastLog: a.LastLog,
				Success: a.Success, NoRetryBackoff: a.NoRetryBackoff}
			c.done <- nil
		case StatusNotHere:
			c.done <- fmt.Errorf("node %s, %v: %w", l.peer, c.port.group, ErrNotHere)
		default:
			c.done <- fmt.Errorf("node %s, %v: %s", l.peer, c.port.group, a.Text)
		}
	}
}

// giveUp ends a call whose answer has not come in time. The link fails with it, unless others were
// answered since: then it is the one group that is slow.
func (l *link) giveUp(c *call) error {
	err := fmt.Errorf("node %s, %v: %w", l.peer, c.port.group, ErrLate)
	l.mu.Lock()
	if len(c.done) > 0 { // it came at the last moment
		l.mu.Unlock()
		return <-c.done
	}
	alone := l.sent[c.seq] == c && l.heard.After(c.sentAt)
	if alone {
		delete(l.sent, c.seq)
		c.done <- err
	}
	l.mu.Unlock()
	if !alone {
		l.Fail(err)
	}
	return <-c.done
}
