package window

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/kv"
)

const (
	// behindTime is how long a snapshot waits for the replica to apply what it has to show.
	behindTime = 2 * time.Second
	// silence is how long a stream may ask nothing, with a snapshot held open: what is read is passed on to
	// clients that may be slow.
	silence = 10 * time.Minute
	// aliveEvery is how often a watch is told that nothing changed, and looks whether the replica is here.
	aliveEvery = 5 * time.Second
	// maxPage bounds what a scan can want, in octets.
	maxPage = 256 << 10
)

// Source is a replica of this node.
type Source interface {
	Snapshot() kv.Snapshot
	// WaitApplied waits until Snapshot shows every command up to an index.
	WaitApplied(ctx context.Context, at cluster.LogIndex) error
	// Applied is the highest index whose effect Snapshot shows.
	Applied() cluster.LogIndex
	// Watch returns a channel of capacity one that gets a token when something of the account changed, and
	// the function that ends it.
	Watch(a cluster.AccountID) (changed <-chan struct{}, stop func())
}

// Server shows the groups of which this node has replicas.
type Server struct {
	// Find gives a replica of this node that may be read, or cluster.ErrNoReplica.
	Find   func(g cluster.GroupID) (Source, error)
	Logger *slog.Logger
}

// Serve answers what comes over a stream until that or ctx ends. The caller closes conn.
func (s *Server) Serve(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read
	defer stop()
	v := &visit{server: s, conn: conn, r: bufio.NewReaderSize(conn, 4<<10)}
	err := v.run(ctx)
	if v.snap != nil {
		err = errors.Join(err, v.snap.Close())
	}
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		s.Logger.Debug("a stream that reads this node's replicas ended", "error", err)
	}
}

// visit is one stream.
type visit struct {
	server *Server
	conn   net.Conn
	r      *bufio.Reader
	in     []byte
	body   []byte      // of the answer
	out    []byte      // the answer
	snap   kv.Snapshot // nil where none is open
}

func (v *visit) run(ctx context.Context) error {
	for {
		if err := v.conn.SetDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		var op byte
		var question []byte
		var err error
		if op, question, v.in, err = readFrame(v.r, v.in); err != nil {
			return err
		}
		v.body = v.body[:0]
		switch op {
		case opBegin:
			err = v.begin(ctx, question)
		case opEnd:
			if err := v.end(); err != nil {
				return err
			}
			continue
		case opGet:
			err = v.get(question)
		case opScan:
			err = v.scan(question)
		case opWatch:
			return v.watch(ctx, question)
		default:
			err = fmt.Errorf("question %d: %w", op, errFrame)
		}
		if err := v.answer(err); err != nil {
			return err
		}
	}
}

// answer sends body, or an error. One about the stream itself ends it.
func (v *visit) answer(err error) error {
	status, body := statusDone, v.body
	if err != nil {
		status, body = statusOf(err), []byte(err.Error())
	}
	v.out = appendFrame(v.out[:0], status, body)
	if _, failed := v.conn.Write(v.out); failed != nil {
		return failed
	}
	if errors.Is(err, errFrame) {
		return err
	}
	return nil
}

func (v *visit) begin(ctx context.Context, question []byte) error {
	g, floor, err := parseBegin(question)
	if err == nil && v.snap != nil {
		err = fmt.Errorf("a snapshot in a snapshot: %w", errFrame)
	}
	if err != nil {
		return err
	}
	source, err := v.server.Find(g)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, behindTime)
	defer cancel()
	if err := source.WaitApplied(ctx, cluster.LogIndex(floor)); err != nil {
		return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err)
	}
	v.snap = source.Snapshot()
	// After the snapshot: the next one, wherever, must not show less.
	v.body = binary.BigEndian.AppendUint64(v.body, uint64(source.Applied()))
	return nil
}

func (v *visit) end() error {
	if v.snap == nil {
		return fmt.Errorf("the end of no snapshot: %w", errFrame)
	}
	snap := v.snap
	v.snap = nil
	return snap.Close()
}

func (v *visit) get(key []byte) error {
	if v.snap == nil {
		return fmt.Errorf("a key of no snapshot: %w", errFrame)
	}
	value, ok, err := v.snap.Get(key)
	if err != nil {
		return err
	}
	if !ok {
		v.body = append(v.body, 0)
		return nil
	}
	v.body = append(append(v.body, 1), value...)
	return nil
}

func (v *visit) scan(question []byte) (err error) {
	s, err := parseScan(question)
	if err == nil && v.snap == nil {
		err = fmt.Errorf("keys of no snapshot: %w", errFrame)
	}
	if err != nil {
		return err
	}
	it, err := v.snap.Scan(s.lower, s.upper)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	begin, step := it.First, it.Next
	if s.backward {
		begin, step = it.Last, it.Prev
	}
	v.body = append(v.body, 0)
	want := min(s.want, maxPage)
	for more := begin(); more; more = step() {
		if len(v.body) > 1 && len(v.body) >= want {
			v.body[0] = 1
			break
		}
		value, err := it.Value()
		if err != nil {
			return err
		}
		v.body = entry{it.Key(), value}.append(v.body)
	}
	return it.Error()
}

// watch tells of changes of an account until the other side closes the stream, or the replica is not here any
// more.
func (v *visit) watch(ctx context.Context, question []byte) error {
	g, account, err := parseBegin(question)
	var source Source
	if err == nil {
		source, err = v.server.Find(g)
	}
	if err != nil {
		return errors.Join(v.answer(err), err)
	}
	changed, stop := source.Watch(cluster.AccountID(account))
	defer stop()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = v.r.ReadByte() // nothing more is asked: it returns when the stream ends
	}()
	defer func() {
		_ = v.conn.Close() // ends the read
		<-gone
	}()
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for status := statusDone; ; {
		v.body = v.body[:0]
		if status == statusDone {
			v.body = binary.BigEndian.AppendUint64(v.body, uint64(source.Applied()))
		}
		if err := v.conn.SetDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		v.out = appendFrame(v.out[:0], status, v.body)
		if _, err := v.conn.Write(v.out); err != nil {
			return err
		}
		select {
		case <-changed:
			status = statusDone
		case <-tick.C:
			status = statusAlive
			if _, err := v.server.Find(g); err != nil {
				return errors.Join(v.answer(err), err)
			}
		case <-gone:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
