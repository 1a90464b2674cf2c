package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// fakeDirectory knows the accounts of example.org by number.
type fakeDirectory struct{ bounds Bounds }

func (d fakeDirectory) Bounds() Bounds { return d.bounds }

func (d fakeDirectory) Owns(id index.AccountID, address string) (bool, error) {
	r, err := d.Resolve(address)
	for _, target := range r.Accounts {
		if target.Account.ID == id {
			return true, nil
		}
	}
	if errors.Is(err, cluster.ErrUnavailable) {
		return false, err
	}
	return false, nil
}

func (fakeDirectory) Resolve(address string) (directory.Resolution, error) {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	if domain != "example.org" && local != "postmaster" {
		return directory.Resolution{}, directory.ErrNoDomain
	}
	one := func(ids ...index.AccountID) (r directory.Resolution, err error) {
		for _, id := range ids {
			r.Accounts = append(r.Accounts, directory.Target{Account: directory.Account{ID: id}})
		}
		return r, nil
	}
	local, _, _ = strings.Cut(local, "+")
	known := map[string]index.AccountID{
		"alice": 1, "postmaster": 1, "sales": 1, "bob": 2, "ünal": 2, "full": 3,
		"small":    4, // room for 100 octets
		"cutoff":   5, // its partition has no majority
		"filling":  6, // becomes full between RCPT and the delivery
		"broken":   7, // the store fails
		"vanished": 8, // deleted between RCPT and the delivery
	}
	switch id := known[local]; {
	case id != 0:
		return one(id)
	case local == "team":
		return one(1, 2)
	case local == "disabled":
		r, err := one(10)
		r.Accounts[0].Account.Disabled = true
		return r, err
	case local == "forward":
		r, err := one(1)
		r.Remote = []string{"alice@example.net"}
		return r, err
	case local == "away":
		return directory.Resolution{Remote: []string{"alice@example.net", "alice@example.com"}}, nil
	case local == "bracket":
		return directory.Resolution{Remote: []string{"alice@[192.0.2.1]"}}, nil
	case local == "many":
		return directory.Resolution{Remote: make([]string, queue.MaxRecipients+1)}, nil
	case local == "minority":
		return directory.Resolution{}, cluster.ErrUnavailable
	}
	return directory.Resolution{}, directory.ErrNoUser
}

// fakeQueue is one that is ready.
type fakeQueue struct{}

func (fakeQueue) Refuses() *mta.Reply { return nil }

func (fakeQueue) May(a index.AccountID, recipients int) error {
	if recipients > 4 {
		return &queue.OverError{What: "4 recipients a day", Until: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC)}
	}
	return nil
}

func (fakeQueue) Caretaker() (index.AccountID, error) { return 1, nil }

func (fakeQueue) Entry(s queue.Submission) *mailstore.Also {
	s.Expires = s.Expires.Add(120 * time.Hour)
	return s.Also()
}

// message is one that the fake store has.
type message struct {
	queued  *queuepb.NewEntry
	targets []mailstore.Target
	octets  string
}

// fakeStore keeps messages in memory and counts what was not given back.
type fakeStore struct {
	drop bool // forget octets, for benchmarks

	mu       sync.Mutex // guards what follows
	messages []message
	open     int
	deliver  func() error // called before each delivery
}

func (s *fakeStore) Usage(_ context.Context, id index.AccountID) (index.Usage, error) {
	switch id {
	case 3:
		return index.Usage{Bytes: 1000, BytesLimit: 1000}, nil
	case 4:
		return index.Usage{Bytes: 900, BytesLimit: 1000}, nil
	case 5:
		return index.Usage{}, cluster.ErrUnavailable
	}
	return index.Usage{}, nil
}

func (s *fakeStore) NewIncoming(_ context.Context, _ []index.AccountID, trace []byte) Incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	in := &fakeIncoming{s: s}
	in.Write(trace)
	return in
}

type fakeIncoming struct {
	s      *fakeStore
	b      bytes.Buffer
	n      int
	closed bool
}

func (in *fakeIncoming) Write(p []byte) (int, error) {
	if in.n += len(p); !in.s.drop {
		in.b.Write(p)
	}
	return len(p), nil
}

func (in *fakeIncoming) Deliver(_ context.Context, d mailstore.Delivery) ([]mailstore.Outcome, error) {
	in.s.mu.Lock()
	hook := in.s.deliver
	in.s.mu.Unlock()
	if hook != nil {
		if err := hook(); err != nil {
			return nil, err
		}
	}
	outcomes := make([]mailstore.Outcome, len(d.Targets))
	var stored []mailstore.Target
	for i, t := range d.Targets {
		outcomes[i].Err = map[index.AccountID]error{
			5: cluster.ErrUnavailable, 6: index.ErrOverQuota, 7: errors.New("disk on fire"), 8: index.ErrNoAccount,
		}[t.Account]
		if outcomes[i].Err == nil {
			stored = append(stored, t)
		}
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	var entry *queuepb.NewEntry
	if len(d.Also) > 0 {
		_, cmd := d.Also[0].Wrap(command.Deliver, &indexpb.DeliverCommand{Summary: &indexpb.Summary{}}, "")
		entry = cmd.(*queuepb.SubmitCommand).Entry
		outcome := mailstore.Outcome{}
		if until, over := map[string]int64{"over@example.net": 1_772_370_000_000, "never@example.net": 0}[entry.Recipients[0].Address]; over {
			outcome.Err = refusedBy(d.Also[0], until)
			entry = nil
		}
		outcomes = append(outcomes, outcome)
		for range d.Also[1:] {
			outcomes = append(outcomes, mailstore.Outcome{})
		}
	}
	if !in.s.drop && (len(stored) > 0 || entry != nil) {
		in.s.messages = append(in.s.messages, message{entry, stored, in.b.String()})
	}
	return outcomes, nil
}

// refusedBy is what the store makes of a result that says the account is over a bound.
func refusedBy(a *mailstore.Also, until int64) error {
	result, err := (&queuepb.Result{Refusal: &queuepb.Refusal{What: "4 recipients a day", Until: until}}).MarshalVT()
	if err == nil {
		_, err = a.Unwrap(result)
	}
	return fmt.Errorf("deliver: %w", err)
}

func (in *fakeIncoming) Discard() {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if !in.closed {
		in.closed = true
		in.s.open--
	}
}

// take gives the messages since the last call.
func (s *fakeStore) take() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages
	s.messages = nil
	return m
}

// fakeAuth knows alice, with the password "secret".
type fakeAuth struct{ needTLS bool }

func (a fakeAuth) Mechanisms(conn login.Conn) []string {
	if a.needTLS && conn.TLS == nil {
		return nil
	}
	return []string{"PLAIN", "LOGIN"}
}

func (a fakeAuth) Begin(mechanism string, _ login.Conn) (Exchange, error) {
	check := func(_, user, password string) error {
		switch {
		case user == "throttled@example.org":
			return login.ErrThrottled
		case user != "alice@example.org" || password != "secret":
			return login.ErrBadCredentials
		}
		return nil
	}
	if mechanism == "LOGIN" {
		return &fakeExchange{Server: &loginServer{check: check}}, nil
	}
	return &fakeExchange{Server: sasl.NewPlainServer(check)}, nil
}

type fakeExchange struct{ sasl.Server }

func (*fakeExchange) Identity() login.Identity {
	return login.Identity{Account: 1, Address: "alice@example.org"}
}

// loginServer is the server side of LOGIN.
type loginServer struct {
	check func(_, user, password string) error
	user  *string
	asked bool
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch {
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		user := string(response)
		l.user = &user
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check("", *l.user, string(response))
}

// scripted is a client's end of a connection in memory. The server sees block after block; what it
// has written by the time it waits for another one is the answer to the block before.
type scripted struct {
	blocks <-chan []byte
	idle   chan<- struct{} // a token each time that the server waits
	rest   []byte
	mu     sync.Mutex
	out    bytes.Buffer
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		s.idle <- struct{}{}
		block, ok := <-s.blocks
		if !ok {
			return 0, io.EOF
		}
		s.rest = block
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(p)
}

// answer gives what was written since the last call.
func (s *scripted) answer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.out.Reset()
	return s.out.String()
}

func (*scripted) Close() error                     { return nil }
func (*scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*scripted) SetDeadline(time.Time) error      { return nil }
func (*scripted) SetReadDeadline(time.Time) error  { return nil }
func (*scripted) SetWriteDeadline(time.Time) error { return nil }
func (*scripted) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}
}

// converse runs a connection over blocks and calls after with each answer: that to the greeting
// first.
func converse(s *Server, kind Kind, blocks [][]byte, after func(i int, answer string)) {
	queue, idle, ended := make(chan []byte), make(chan struct{}), make(chan struct{})
	nc := &scripted{blocks: queue, idle: idle}
	c := newConn(s, nc, kind)
	go func() {
		defer close(ended)
		c.serve(s.ctx)
	}()
	for i := 0; ; i++ {
		select {
		case <-idle:
			after(i, nc.answer())
		case <-ended:
			after(i, nc.answer())
			close(queue)
			return
		}
		if i == len(blocks) {
			close(queue)
			select {
			case <-idle: // a read for what is left behind an error
			case <-ended:
				return
			}
			<-ended
			return
		}
		queue <- blocks[i]
	}
}

// newServer is a server over fakes with a clock that stands still and ids that count.
func newServer(store *fakeStore, change func(*Config)) *Server {
	var mu sync.Mutex
	n := 0
	c := Config{
		Hostname:  "mx.example.org",
		Directory: fakeDirectory{Bounds{MaxMessage: 100_000, MaxRecipients: 1000}},
		Store:     store,
		Auth:      fakeAuth{},
		Clock:     func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
		NewID: func() mta.ID {
			mu.Lock()
			defer mu.Unlock()
			n++
			return mta.ID(fmt.Sprintf("Q%03d", n))
		},
	}
	if change != nil {
		change(&c)
	}
	return New(c)
}
