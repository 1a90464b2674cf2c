package window

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/rookery-mail/rookery/cluster/kv"
)

// snapshot is a kv.Snapshot that another node holds open.
type snapshot struct {
	window *Window

	mu     sync.Mutex // guards what follows, and orders questions
	stream *stream    // nil before the first use, and after the end
	failed error      // for ever
}

var _ kv.Snapshot = (*snapshot)(nil)

// Get implements kv.Reader.
func (s *snapshot) Get(key []byte) (value []byte, ok bool, err error) {
	err = s.ask(opGet, key, func(answer []byte) error {
		if len(answer) < 1 || answer[0] > 1 {
			return fmt.Errorf("value of %d octets: %w", len(answer), errFrame)
		}
		if ok = answer[0] == 1; ok {
			value = append([]byte{}, answer[1:]...)
		}
		return nil
	})
	return value, ok, err
}

// Scan implements kv.Reader.
func (s *snapshot) Scan(lower, upper []byte) (kv.Iterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return nil, err
	}
	return &iterator{snapshot: s, lower: bytes.Clone(lower), upper: bytes.Clone(upper), want: firstWant}, nil
}

// begin takes the snapshot, if that was not done. The caller holds mu.
func (s *snapshot) begin() error {
	if s.stream == nil && s.failed == nil {
		s.stream, s.failed = s.window.begin()
	}
	return s.failed
}

// ask asks the node, and calls read with the answer, which is valid until read returns.
func (s *snapshot) ask(op byte, question []byte, read func(answer []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err
	}
	answer, err := s.stream.ask(op, question)
	if err == nil {
		err = read(answer)
	}
	if err == nil {
		return nil
	}
	if _, answered := errors.AsType[*answerError](err); answered {
		return err
	}
	// The node is gone, and with it the snapshot: the reader takes one of another node.
	s.stream.close()
	s.stream, s.failed = nil, fmt.Errorf("%w: %v", kv.ErrRestored, err)
	return s.failed
}

// Close implements kv.Snapshot.
func (s *snapshot) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		return nil
	}
	stream := s.stream
	s.stream, s.failed = nil, errClosed
	if stream.tell(opEnd, nil) != nil {
		stream.close() // the other side closes the snapshot with it
		return nil
	}
	s.window.all.give(stream)
	return nil
}

// errClosed says that a snapshot was used after its end.
var errClosed = errors.New("the snapshot was closed")
