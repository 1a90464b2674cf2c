package node

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// courier brings a message to all that an address leads to: mailboxes here, and the queue for what is elsewhere.
type courier struct {
	store smtpd.Store
	queue smtpd.Queue
	told  func(queue.Arrival) *mailstore.Around // nil: there are no stories
}

// parcel is a message on its way to one recipient.
type parcel struct {
	id      mta.ID
	env     mta.Envelope // without recipients
	to      mta.Recipient
	account index.AccountID // who answers for what is queued; 0: somebody the address leads to
	forward bool            // it came from elsewhere
	text    io.Reader
	client  string // where it comes from, for its story
}

// carry delivers to the accounts and queues for the addresses that who has, in one step for each partition. Carrying the same
// again within mailbox.DedupWindow changes nothing for those who have the message.
func (c courier) carry(ctx context.Context, p parcel, who directory.Resolution) error {
	accounts, d := []index.AccountID{}, mailstore.Delivery{}
	for _, t := range who.Accounts {
		accounts = append(accounts, t.Account.ID)
		target := mailstore.Target{Account: t.Account.ID, Address: p.to.Address}
		if p.to.Owed.Key != "" {
			target.DedupKey = []byte(p.to.Owed.Key)
		}
		d.Targets = append(d.Targets, target)
	}
	if len(who.Remote) > 0 {
		if refused := c.queue.Refuses(); refused != nil {
			return refused
		}
		owner, err := c.owner(p, who)
		if err != nil {
			return err
		}
		accounts = append(accounts, owner)
		d.Also = append(d.Also, c.queue.Entry(c.submission(p, owner, who.Remote)))
	}
	if len(accounts) == 0 {
		return fmt.Errorf("nobody is behind <%s>: %w", p.to.Address, directory.ErrNoUser)
	}
	return c.deliver(ctx, p, accounts, d)
}

// owner is the account in whose partition a parcel is queued.
func (c courier) owner(p parcel, who directory.Resolution) (index.AccountID, error) {
	switch {
	case p.account != 0:
		return p.account, nil
	case len(who.Accounts) > 0:
		return who.Accounts[0].Account.ID, nil
	}
	return c.queue.Caretaker()
}

// submission is what goes to addresses elsewhere.
func (c courier) submission(p parcel, owner index.AccountID, remote []string) queue.Submission {
	s := queue.Submission{Account: owner, ID: p.id, Envelope: p.env, Forward: p.forward}
	for _, address := range remote {
		s.Recipients = append(s.Recipients, p.to.For(address))
	}
	return s
}

func (c courier) deliver(ctx context.Context, p parcel, accounts []index.AccountID, d mailstore.Delivery) error {
	in := c.store.NewIncoming(ctx, accounts, mta.ReturnPath(p.env.From))
	defer in.Discard()
	if _, err := io.Copy(in, p.text); err != nil {
		return err
	}
	if c.told != nil {
		d.Around = c.told(queue.Arrival{ID: p.id, Sender: p.env.From, Client: p.client})
	}
	outcomes, err := in.Deliver(ctx, d)
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}
