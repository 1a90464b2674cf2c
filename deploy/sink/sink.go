// Package sink is a mail server that takes everything and can be told to answer as no server should. What runs against
// real binaries sends there: the chaos run counts what arrives, the stories of network namespaces have it put off,
// refuse, fall silent and break off. It keeps no mail, and it is not a measure of speed.
package sink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Config says how a Sink behaves.
type Config struct {
	Hostname string      // in the greeting; empty is sink.test
	TLS      *tls.Config // STARTTLS is offered with it; nil: none
	// Answer says what to reply in place of the usual; nil is always the usual. It is called from many goroutines.
	Answer func(Step) Answer
	// Taken is told of each message that the Sink took, before the client is; nil is nobody. It is called from many
	// goroutines. From here on the message is the Sink's, whether or not the client hears of it.
	Taken func(Delivery)
}

// The steps of a conversation that are no commands.
const (
	Connect = "connect" // before the greeting
	Octets  = "octets"  // when the first 512 octets of a message have come
	Dot     = "dot"     // when a message has come whole, and before it counts as taken
)

// Step is a point of a conversation at which a server answers.
type Step struct {
	Verb     string   // of a command, in capitals, or one of the words above
	Line     string   // the command as it came, without its end
	Delivery Delivery // so far
}

// Answer is what a server does at a step. The zero Answer is what a good server does.
type Answer struct {
	Reply string        // lines as they go over the wire, each ending in CRLF by itself
	Wait  time.Duration // before the reply; a client that leaves ends it
	Close bool          // the connection ends behind the reply, or without one where Reply is empty
}

// Delivery is one message on its way in.
type Delivery struct {
	Hello  string // the client's name for itself, in EHLO
	Client string // address and port of the client
	TLS    bool
	From   string   // as in MAIL, with its parameters
	To     []string // addresses that were taken
	Began  time.Time
	Ended  time.Time // when the last octet had come
	Octets []byte    // with dots undone; lines end as they came
}

// Sink is a running server. It may be used from several goroutines.
type Sink struct {
	c        Config
	listener net.Listener
	tasks    sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[*conversation]struct{}
	closed bool
}

// Listen starts a Sink at a TCP address. Close ends it.
func Listen(address string, c Config) (*Sink, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen as a sink: %w", err)
	}
	return Serve(l, c), nil
}

// Serve starts a Sink on a listener, which Close closes.
func Serve(l net.Listener, c Config) *Sink {
	if c.Hostname == "" {
		c.Hostname = "sink.test"
	}
	if c.Answer == nil {
		c.Answer = func(Step) Answer { return Answer{} }
	}
	if c.Taken == nil {
		c.Taken = func(Delivery) {}
	}
	s := &Sink{c: c, listener: l, open: map[*conversation]struct{}{}}
	s.tasks.Go(s.accept)
	return s
}

// Address is where it listens.
func (s *Sink) Address() string { return s.listener.Addr().String() }

// Close ends all conversations and waits for them. It may be called more than once.
func (s *Sink) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.end()
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.tasks.Wait()
}

// Open are the messages that are coming in at this moment: those whose sender is known, and which are not taken yet.
func (s *Sink) Open() (list []Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if c.d.From != "" {
			d := c.d
			d.Octets = nil
			list = append(list, d)
		}
	}
	return list
}

func (s *Sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // too many open files, which passes
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		c := &conversation{sink: s, ctx: ctx, cancel: cancel, d: Delivery{Client: conn.RemoteAddr().String()}}
		c.on(conn)
		s.mu.Lock()
		if s.closed {
			c.end()
		}
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.tasks.Go(func() {
			c.run()
			c.end()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}
