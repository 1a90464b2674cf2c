package harness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// The patience of a sender: longer than the 10 seconds for which a server tries to commit.
const (
	connectPatience = 5 * time.Second
	commandPatience = 15 * time.Second
	dataPatience    = 20 * time.Second
	retryPause      = 50 * time.Millisecond
)

// Sender is one SMTP client that sends message after message over one connection, with STARTTLS. When
// its node fails, or answers 4xx, it goes on with the next of its nodes. It is for one goroutine.
type Sender struct {
	nodes  []*Node
	at     int
	client *smtp.Client
	conn   net.Conn
	// Account has it submit as that user, who logs in with Password. Empty: it is another server, at the MX door.
	Account, Password string
	// Options are the parameters of MAIL; nil is none.
	Options *smtp.MailOptions
	// Trouble is told of every attempt that failed; nil is silence.
	Trouble func(node *Node, err error)
}

// NewSender makes a sender that starts with nodes[first]. It connects when it has something to send.
func NewSender(nodes []*Node, first int) *Sender {
	return &Sender{nodes: nodes, at: first % len(nodes)}
}

// Refused says that a server does not take a message, now or ever (5xx).
type Refused struct {
	Node  string
	Reply error
}

// Error implements error.
func (r *Refused) Error() string { return fmt.Sprintf("%s refused: %v", r.Node, r.Reply) }

// Unwrap gives the reply.
func (r *Refused) Unwrap() error { return r.Reply }

// Send sends until a server acknowledges, and says which. Errors are *Refused, or ctx's.
func (s *Sender) Send(ctx context.Context, m Message, to ...string) (*Node, error) {
	for {
		node := s.nodes[s.at]
		err := s.try(ctx, node, m, to)
		if err == nil {
			return node, nil
		}
		var reply *smtp.SMTPError
		answered := errors.As(err, &reply)
		if answered && reply.Code >= 500 {
			s.Close()
			return nil, &Refused{Node: node.Name, Reply: err}
		}
		if ctx.Err() != nil {
			s.Close()
			return nil, fmt.Errorf("send %s: %w", m.ID, ctx.Err())
		}
		if s.Trouble != nil {
			s.Trouble(node, err)
		}
		s.Close()
		s.at = (s.at + 1) % len(s.nodes)
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// Once makes one attempt, at the node whose turn it is, and says at which. Where it fails the next one is at another
// node, and the message may have been accepted all the same. What a server says is an *smtp.SMTPError.
func (s *Sender) Once(ctx context.Context, m Message, to ...string) (*Node, error) {
	node := s.nodes[s.at]
	err := s.try(ctx, node, m, to)
	if err != nil {
		s.Close()
		s.at = (s.at + 1) % len(s.nodes)
	}
	return node, err
}

// try makes one attempt.
func (s *Sender) try(ctx context.Context, node *Node, m Message, to []string) error {
	if s.client == nil {
		if err := s.connect(ctx, node); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	if err := s.client.Mail(m.From, s.Options); err != nil {
		return fmt.Errorf("MAIL: %w", err)
	}
	for _, recipient := range to {
		if err := s.client.Rcpt(recipient, nil); err != nil {
			return fmt.Errorf("RCPT: %w", err)
		}
	}
	w, err := s.client.Data()
	if err != nil {
		return fmt.Errorf("DATA: %w", err)
	}
	if _, err := w.Write(m.Raw); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end of DATA: %w", err)
	}
	return nil
}

func (s *Sender) connect(ctx context.Context, node *Node) error {
	config, err := node.TLS()
	if err != nil {
		return err
	}
	dialer := net.Dialer{Timeout: connectPatience}
	door := node.MX()
	if s.Account != "" {
		door = node.Submission()
	}
	conn, err := dialer.DialContext(ctx, "tcp", door)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	// The library has no patience to set before the greeting.
	timer := time.AfterFunc(connectPatience, func() { _ = conn.Close() })
	defer timer.Stop()
	client, err := smtp.NewClientStartTLS(conn, config)
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("STARTTLS: %w", err)
	}
	client.CommandTimeout, client.SubmissionTimeout = commandPatience, dataPatience
	if s.Account != "" {
		if err := client.Auth(sasl.NewPlainClient("", s.Account, s.Password)); err != nil {
			_ = conn.Close()
			return fmt.Errorf("log in as %s: %w", s.Account, err)
		}
	}
	s.client, s.conn = client, conn
	return nil
}

// Close ends the connection, if there is one. The sender may be used again.
func (s *Sender) Close() {
	if s.client != nil {
		_ = s.conn.Close()
		s.client = nil
	}
}
