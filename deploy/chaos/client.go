package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// operationPatience is how long a client waits for a reply: longer than the 10 seconds for which a
// server tries to commit.
const operationPatience = 15 * time.Second

// client changes the mailboxes of one account by IMAP, now through this node and now through that,
// and writes into the account's book what was acknowledged.
type client struct {
	chaos    *chaos
	address  string
	password string
	book     *book
	random   *rand.Rand

	session  *harness.Session
	made     bool              // the mailboxes are there
	listedTo map[string]uint32 // the highest UID listed, by mailbox
	validity map[string]uint32 // UIDVALIDITY, by mailbox
}

func newClient(c *chaos, number int) *client {
	address := fmt.Sprintf("user%02d@%s", number+1, domain)
	return &client{chaos: c, address: address, password: fmt.Sprintf("chaos-password-%d", number), book: newBook(address),
		random: rand.New(rand.NewPCG(c.seed, uint64(2000+number))), listedTo: map[string]uint32{}, validity: map[string]uint32{}}
}

// errBroken says that the server broke a promise: no fault explains it.
var errBroken = errors.New("a broken promise")

// run works in turns until the load stops. A turn that fails goes on with another node.
func (c *client) run(ctx context.Context, l *load) {
	defer c.leave()
	for l.stopping.Err() == nil {
		err := c.turn(ctx, l)
		if errors.Is(err, errBroken) {
			l.fail(fmt.Errorf("%s at %s: %w", c.address, c.session.Node.Name, err))
			return
		}
		if err != nil {
			l.trouble(c.address, err)
		}
		if err != nil || c.random.IntN(10) == 0 {
			c.leave()
		}
		_ = rest(l.stopping, clientPause) // the loop's condition tells
	}
}

func (c *client) leave() {
	if c.session != nil {
		c.session.End()
		c.session = nil
	}
}

// enter connects to some node and makes the mailboxes that the client uses.
func (c *client) enter(ctx context.Context) error {
	if c.session != nil {
		return nil
	}
	nodes := c.chaos.cluster.Nodes()
	s, err := nodes[c.random.IntN(len(nodes))].DialIMAP(ctx, c.address, c.password)
	if err != nil {
		return err
	}
	c.session = s
	if c.made {
		return nil
	}
	defer s.Within(ctx, operationPatience)()
	for _, name := range []string{work, copies} {
		var no *imap.Error
		err := s.Create(name, nil).Wait()
		if errors.As(err, &no) && no.Code == imap.ResponseCodeAlreadyExists {
			err = nil // made before, but the reply was lost
		}
		if err != nil {
			return fmt.Errorf("CREATE %s: %w", name, err)
		}
	}
	c.made = true
	return nil
}

// turn opens a mailbox, lists what is new, and changes some of what is there.
func (c *client) turn(ctx context.Context, l *load) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	mailbox := inbox
	if c.random.IntN(3) == 0 {
		mailbox = work
	}
	visible, err := c.look(ctx, mailbox)
	if err != nil {
		return err
	}
	var free []candidate
	for _, m := range c.book.candidates(mailbox) {
		if visible.Contains(imap.UID(m.uid)) { // a replica may be behind
			free = append(free, m)
		}
	}
	for range min(8, len(free)) {
		if l.stopping.Err() != nil {
			return nil
		}
		at := c.random.IntN(len(free))
		m := free[at]
		free = append(free[:at], free[at+1:]...)
		if err := c.change(ctx, l, mailbox, m); err != nil {
			return err
		}
		_ = rest(l.stopping, clientPause) // the loop's condition tells
	}
	if c.random.IntN(2) == 0 {
		return c.append(ctx, l)
	}
	return nil
}

// look selects a mailbox, lists its new messages and gives all UIDs in it.
func (c *client) look(ctx context.Context, mailbox string) (imap.UIDSet, error) {
	defer c.session.Within(ctx, operationPatience)()
	selected, err := c.session.Select(mailbox, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("SELECT %s: %w", mailbox, err)
	}
	if was := c.validity[mailbox]; was != 0 && was != selected.UIDValidity {
		return nil, fmt.Errorf("%w: UIDVALIDITY of %s was %d and is %d", errBroken, mailbox, was, selected.UIDValidity)
	}
	c.validity[mailbox] = selected.UIDValidity
	if err := c.list(mailbox); err != nil {
		return nil, err
	}
	found, err := c.session.UIDSearch(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnAll: true}).Wait()
	if err != nil {
		return nil, fmt.Errorf("UID SEARCH in %s: %w", mailbox, err)
	}
	set, ok := found.All.(imap.UIDSet)
	if !ok && found.All != nil {
		return nil, fmt.Errorf("%w: UID SEARCH gave %T", errBroken, found.All)
	}
	return set, nil
}

// list reads the Message-IDs of messages above the highest UID listed so far. A replica applies in
// order, so that no lower one can come later.
func (c *client) list(mailbox string) error {
	var fresh imap.UIDSet
	fresh.AddRange(imap.UID(c.listedTo[mailbox]+1), 0)
	messages, err := c.session.Fetch(fresh, &imap.FetchOptions{UID: true, Envelope: true}).Collect()
	if err != nil {
		return fmt.Errorf("UID FETCH in %s: %w", mailbox, err)
	}
	for _, m := range messages {
		if uint32(m.UID) <= c.listedTo[mailbox] {
			continue // n:* gives the last message even if it is below n
		}
		if m.Envelope == nil || !c.book.listed("<"+strings.Trim(m.Envelope.MessageID, "<>")+">", mailbox, uint32(m.UID)) {
			return fmt.Errorf("%w: UID %d in %s was never sent", errBroken, m.UID, mailbox)
		}
	}
	for _, m := range messages {
		c.listedTo[mailbox] = max(c.listedTo[mailbox], uint32(m.UID))
	}
	return nil
}
