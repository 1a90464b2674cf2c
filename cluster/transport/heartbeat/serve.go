package heartbeat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rookery-mail/rookery/cluster"
)

// grace is how long the answers of a frame wait for the last of them. A Raft answers in microseconds,
// unless it has to write a new term first.
const grace = 5 * time.Millisecond

// maxAsked bounds the heartbeats of a link that their groups have not answered.
const maxAsked = 4096

// server answers one link of a peer.
type server struct {
	x     *Exchange
	conn  net.Conn
	asked sync.WaitGroup
	open  atomic.Int32 // heartbeats that are not answered

	writing sync.Mutex // held over a write
}

// Serve answers the heartbeats of a peer until the connection ends, which the end of ctx is to bring
// about. It returns once no handler runs for it.
func (x *Exchange) Serve(_ context.Context, peer cluster.NodeID, conn net.Conn) {
	s := &server{x: x, conn: conn}
	defer s.asked.Wait()
	if _, err := conn.Write([]byte{Version}); err != nil {
		return
	}
	err := s.serve()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		x.cfg.Logger.Debug("the heartbeats of a peer ended", "peer", string(peer), "error", err)
	}
}

func (s *server) serve() error {
	r := bufio.NewReader(s.conn)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for {
		f, err := ReadFrame(r)
		if err == nil && f.Type != TypeBeats {
			err = fmt.Errorf("frame of type %d: %w", f.Type, ErrFrame)
		}
		if err != nil {
			return err
		}
		if len(f.Beats) == 0 {
			continue
		}
		if s.open.Add(int32(len(f.Beats))) > maxAsked {
			return fmt.Errorf("%d heartbeats are not answered", maxAsked)
		}
		s.write(s.answer(f, timer))
	}
}

// answer asks the groups of a frame and returns the answers that come soon; later ones are written by
// themselves.
func (s *server) answer(f Frame, timer *time.Timer) []answer {
	r := &round{frame: f, beats: f.Beats, missing: len(f.Beats), all: make(chan struct{})}
	for asking := 1; ; asking = r.left() {
		// One goroutine does for all, as long as none has to write a new term: others must not wait for that.
		for range asking {
			s.asked.Go(func() { s.ask(r) })
		}
		timer.Reset(grace)
		select {
		case <-r.all:
			return r.take()
		case <-timer.C:
		}
		if r.left() == 0 {
			return r.take()
		}
	}
}

// ask has heartbeats of a frame answered until there are none left.
func (s *server) ask(r *round) {
	for b, ok := r.next(); ok; b, ok = r.next() {
		a := s.x.ask(r.frame, b)
		s.open.Add(-1)
		if late := r.put(a); late {
			s.write([]answer{a})
		}
	}
}

// round is one frame on its way to being answered.
type round struct {
	frame Frame
	all   chan struct{} // closed when all answers are there

	mu      sync.Mutex // guards what follows
	beats   []Beat     // not asked yet
	missing int        // not answered yet
	taken   bool
	answers []answer
}

// answer is an Answer with the header of the Raft that gave it.
type answer struct {
	Answer
	header raft.RPCHeader
}

// next takes a heartbeat out of those that are to be asked.
func (r *round) next() (b Beat, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.beats) == 0 {
		return Beat{}, false
	}
	b, r.beats = r.beats[0], r.beats[1:]
	return b, true
}

func (r *round) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.beats)
}

// put takes an answer in, or reports that it is too late for that.
func (r *round) put(a answer) (late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken {
		return true
	}
	r.answers = append(r.answers, a)
	if r.missing--; r.missing == 0 {
		close(r.all)
	}
	return false
}

func (r *round) take() []answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken = true
	return r.answers
}

// ask has a heartbeat answered by its group.
func (x *Exchange) ask(f Frame, b Beat) answer {
	x.mu.Lock()
	p := x.ports[b.Group]
	x.mu.Unlock()
	if p == nil {
		return answer{Answer: Answer{Seq: b.Seq, Status: StatusNotHere}}
	}
	handler := p.enter()
	if handler == nil {
		return answer{Answer: Answer{Seq: b.Seq, Status: StatusNotHere}}
	}
	defer p.asked.Done()
	got := make(chan raft.RPCResponse, 1)
	handler(raft.RPC{RespChan: got, Command: &raft.AppendEntriesRequest{RPCHeader: f.Header, Term: b.Term, Leader: f.Leader}})
	select {
	case r := <-got:
		return toAnswer(b.Seq, r)
	default: // raft shuts down
		return answer{Answer: Answer{Seq: b.Seq, Status: StatusNotHere}}
	}
}

// enter returns the handler, to be counted as one that runs, or nil where there is none.
func (p *Port) enter() func(raft.RPC) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.handler == nil {
		return nil
	}
	p.asked.Add(1)
	return p.handler
}

func toAnswer(seq uint64, r raft.RPCResponse) answer {
	resp, ok := r.Response.(*raft.AppendEntriesResponse)
	switch {
	case r.Error != nil:
		return answer{Answer: Answer{Seq: seq, Status: StatusFailed, Text: r.Error.Error()}}
	case !ok || resp == nil:
		return answer{Answer: Answer{Seq: seq, Status: StatusFailed, Text: fmt.Sprintf("answered with a %T", r.Response)}}
	}
	return answer{header: resp.RPCHeader, Answer: Answer{Seq: seq, Status: StatusAnswered, Term: resp.Term, LastLog: resp.LastLog,
		Success: resp.Success, NoRetryBackoff: resp.NoRetryBackoff}}
}

// write sends answers in one write. A connection that does not take them is closed, which ends serve.
func (s *server) write(answers []answer) {
	var out []byte
	f := Frame{Type: TypeAnswers}
	for _, a := range answers {
		if len(f.Answers) == maxRecords || len(f.Answers) > 0 && !sameHeader(f.Header, a.header) {
			out = f.Append(out)
			f.Answers = f.Answers[:0]
		}
		f.Header = a.header
		f.Answers = append(f.Answers, a.Answer)
	}
	if len(f.Answers) == 0 {
		return
	}
	out = f.Append(out)
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.x.cfg.Timeout))
	if _, err := s.conn.Write(out); err != nil {
		_ = s.conn.Close()
	}
}
