package window

import (
	"bufio"
	"fmt"
	"net"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// stream is a connection to a node's Server, for one goroutine at a time.
type stream struct {
	node  cluster.NodeID
	conn  net.Conn
	r     *bufio.Reader
	out   []byte
	in    []byte
	since time.Time // when it was last used
}

func newStream(node cluster.NodeID, conn net.Conn) *stream {
	return &stream{node: node, conn: conn, r: bufio.NewReaderSize(conn, 4<<10)}
}

func (s *stream) close() { _ = s.conn.Close() } // nothing is owed to the other side

// tell sends a frame.
func (s *stream) tell(op byte, body []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(exchangeTime)); err != nil {
		return fmt.Errorf("ask node %s: %w", s.node, err)
	}
	s.out = appendFrame(s.out[:0], op, body)
	if _, err := s.conn.Write(s.out); err != nil {
		return fmt.Errorf("ask node %s: %w", s.node, err)
	}
	return nil
}

// hear receives a frame that is no error; its body is valid until the next one.
func (s *stream) hear() (status byte, body []byte, err error) {
	if status, body, s.in, err = readFrame(s.r, s.in); err != nil {
		return 0, nil, fmt.Errorf("hear of node %s: %w", s.node, err)
	}
	if status != statusDone && status != statusAlive {
		return 0, nil, &answerError{status, string(body)}
	}
	return status, body, nil
}

// ask asks a question. An *answerError in return is the other node's; after any other error the stream is of
// no use any more.
func (s *stream) ask(op byte, question []byte) (answer []byte, err error) {
	if err := s.tell(op, question); err != nil {
		return nil, err
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(exchangeTime)); err != nil {
		return nil, fmt.Errorf("ask node %s: %w", s.node, err)
	}
	_, answer, err = s.hear()
	return answer, err
}
