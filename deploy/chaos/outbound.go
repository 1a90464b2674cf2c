package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/sink"
)

// The domains that users write to, all at one host, and the users there who are none.
const (
	sinkDomains = 24
	sinkDomain  = "d%02d.sink.test"
	nobody      = "nobody"
)

// sinkPause is how long the host takes between having a message and saying so: what is in flight when a fault
// strikes is to be more than nothing.
const sinkPause = 30 * time.Millisecond

// outbound is mail to other domains: the host that takes it, what was promised, and what came.
type outbound struct {
	sink    *sink.Sink
	mail    *harness.Ledger // that is to arrive
	refused *harness.Ledger // that is to be reported

	mu       sync.Mutex // guards what follows
	copies   map[harness.Copy][]arrival
	accounts map[string]string // who submitted, by Message-ID
	strikes  []strike
	reports  map[string][]harness.Found // by the node through which they were read
}

// arrival is one copy of a message that the host took.
type arrival struct {
	node         string // that sent it
	began, ended time.Time
	digest       harness.Digest
}

// strike is a fault as it happened.
type strike struct {
	fault
	began, ended time.Time
	inFlight     int // messages on their way from nodes that it hit
}

// newOutbound starts the host.
func newOutbound() (*outbound, error) {
	o := &outbound{mail: harness.NewLedger(), refused: harness.NewLedger(), copies: map[harness.Copy][]arrival{}, accounts: map[string]string{},
		reports: map[string][]harness.Found{}}
	var err error
	o.sink, err = sink.Listen("127.0.0.1:0", sink.Config{Taken: o.take, Answer: func(s sink.Step) sink.Answer {
		if s.Verb == "RCPT" && strings.Contains(s.Line, "<"+nobody) {
			return sink.Answer{Reply: "550 5.1.1 Nobody is here"}
		}
		return sink.Answer{}
	}})
	return o, err
}

// configuration is what nodes need to send all mail there, in front of the tables of a rookery.toml.
func (o *outbound) configuration() string {
	return fmt.Sprintf("outbound.enabled = true\noutbound.relay = %q\noutbound.resolvers = [\"127.0.0.1\"]", o.sink.Address())
}

// unbound takes the bounds away from what accounts may send: these write as no person does.
func (c *chaos) unbound(ctx context.Context, n *harness.Node) error {
	for _, name := range []string{"send_messages_hour", "send_recipients_day", "send_rejections_day", "send_strangers_day"} {
		if _, err := n.Run(ctx, "", "setting", "set", name, "0"); err != nil {
			return err
		}
	}
	return nil
}

// take notes what the host took.
func (o *outbound) take(d sink.Delivery) {
	id, digest := harness.ReadDigest(d.Octets)
	o.mu.Lock()
	for _, to := range d.To {
		key := harness.Copy{Recipient: to, ID: id}
		o.copies[key] = append(o.copies[key], arrival{node: nodeOf(d.Hello), began: d.Began, ended: d.Ended, digest: digest})
	}
	o.mu.Unlock()
	time.Sleep(rand.N(sinkPause))
}

// nodeOf is the node behind a host name of the harness: "n2" of "mx2.example.org".
func nodeOf(hello string) string {
	first, _, _ := strings.Cut(hello, ".")
	return "n" + strings.TrimPrefix(first, "mx")
}

// hits reports whether a fault touches a node.
func (f fault) hits(node string) bool {
	return f.kind == kindOutage || f.node == node || f.other == node
}

// struck notes that a fault is about to happen, and what is in flight. What was taken a moment ago may not be
// settled yet.
func (o *outbound) struck(f fault) {
	s := strike{fault: f, began: time.Now()}
	for _, d := range o.sink.Open() {
		if f.hits(nodeOf(d.Hello)) {
			s.inFlight += max(1, len(d.To))
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, list := range o.copies {
		for _, a := range list {
			if f.hits(a.node) && s.began.Sub(a.ended) < settling {
				s.inFlight++
			}
		}
	}
	o.strikes = append(o.strikes, s)
}

// mended notes that the last fault is over.
func (o *outbound) mended() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.strikes[len(o.strikes)-1].ended = time.Now()
}

// submit has one user write until the load stops, mostly to other domains. A message whose reply was lost may have been
// accepted, and another one is written then.
func (l *load) submit(ctx context.Context, number int) {
	o := l.chaos.out
	r := rand.New(rand.NewPCG(l.chaos.seed, uint64(3000+number)))
	from := l.chaos.clients[number%len(l.chaos.clients)]
	s := harness.NewSender(l.chaos.cluster.Nodes(), number)
	s.Account, s.Password = from.address, from.password
	defer s.Close()
	for l.stopping.Err() == nil && ctx.Err() == nil {
		var to []string
		for range 1 + r.IntN(3) {
			local := fmt.Sprintf("user%d", r.IntN(1000))
			if r.IntN(20) == 0 {
				local = nobody + fmt.Sprint(r.IntN(1000))
			}
			to = append(to, local+"@"+fmt.Sprintf(sinkDomain, r.IntN(sinkDomains)))
		}
		slices.Sort(to)
		to = slices.Compact(to)
		m := l.next(to[0])
		m.From = from.address
		var here *client
		if r.IntN(4) == 0 {
			here = l.chaos.clients[r.IntN(len(l.chaos.clients))]
			here.book.offer(m, inbox)
		}
		o.offer(m, to)
		all := slices.Clone(to)
		if here != nil {
			all = append(all, here.address)
		}
		if node, err := s.Once(ctx, m, all...); err != nil {
			l.trouble("submission at "+node.Name, err)
			l.add(func(n *counts) { n.unknown++ })
			_ = rest(l.stopping, 10*senderPause) // as below
		} else {
			o.acknowledge(m, to)
			if here != nil {
				here.book.acknowledge(m.ID, inbox, 0)
			}
			l.accept()
		}
		_ = rest(l.stopping, senderPause) // the loop's condition tells
	}
}

// ledger is the one that a recipient is in, and m as it is there: of a report only the names are compared.
func (o *outbound) ledger(m harness.Message, recipient string) (*harness.Ledger, harness.Message) {
	if strings.HasPrefix(recipient, nobody) {
		m.Digest = harness.Digest{}
		return o.refused, m
	}
	return o.mail, m
}

func (o *outbound) offer(m harness.Message, to []string) {
	o.mu.Lock()
	o.accounts[m.ID] = m.From
	o.mu.Unlock()
	for _, recipient := range to {
		l, m := o.ledger(m, recipient)
		l.Offer(m, recipient)
	}
}

func (o *outbound) acknowledge(m harness.Message, to []string) {
	for _, recipient := range to {
		l, m := o.ledger(m, recipient)
		l.Acknowledge(m, recipient)
	}
}

// arrived is what the host has, each copy once.
func (o *outbound) arrived() (found []harness.Found) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, list := range o.copies {
		for _, a := range list {
			found = append(found, harness.Found{Recipient: key.Recipient, Mailbox: "the sink", ID: key.ID, Digest: a.digest})
		}
	}
	return found
}

// reported takes the reports out of what was read of an account through a node.
func (o *outbound) reported(node string, found []harness.Found) (rest []harness.Found) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, f := range found {
		if f.Reports == nil {
			rest = append(rest, f)
			continue
		}
		for _, recipient := range f.Reports.Failed {
			o.reports[node] = append(o.reports[node], harness.Found{Recipient: recipient, Mailbox: f.Recipient + " " + f.Mailbox, UID: f.UID, ID: f.Reports.ID})
		}
	}
	return rest
}

// drainPatience is how long the queue may take to be empty once everything is whole: longer than the first pauses
// between attempts together.
const drainPatience = 10 * time.Minute

// drain waits until everything that was acknowledged has arrived, and nothing is in the queue.
func (c *chaos) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		err := c.drained(ctx)
		if err == nil {
			c.say("the host has all that was acknowledged and the queue is empty, %.1f s after the last submission", time.Since(began).Seconds())
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// drained says what is missing.
func (c *chaos) drained(ctx context.Context) error {
	q, err := c.cluster.Nodes()[0].Queue(ctx)
	if err != nil {
		return err
	}
	if q.Matched > 0 || len(q.Problems) > 0 {
		return fmt.Errorf("%d messages are in the queue: %+v", q.Matched, q)
	}
	if report := c.out.mail.Compare(c.out.arrived()); report.Lost > 0 {
		return fmt.Errorf("%d messages did not arrive, and the queue is empty:\n%s", report.Lost, report.Explain(20))
	}
	return nil
}
