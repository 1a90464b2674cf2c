package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/spool"
)

// courier brings a message to all that an address leads to: mailboxes here, and the queue for what is elsewhere.
type courier struct {
	store smtpd.Store
	queue smtpd.Queue
	told  func(queue.Arrival) *mailstore.Around // nil: there are no stories

	scripts *scripts // of accounts; nil: none is run
	spool   spool.Config
}

// parcel is a message on its way to one recipient.
type parcel struct {
	id      mta.ID
	env     mta.Envelope // without recipients
	to      mta.Recipient
	account index.AccountID // who answers for what is queued; 0: somebody the address leads to
	forward bool            // it came from elsewhere
	text    io.Reader
	client  string            // where it comes from, for its story
	checked []inbound.Finding // of scripts, for its story
}

// carry delivers to the accounts and queues for the addresses that who has, in one step for each partition. Carrying the same
// again within mailbox.DedupWindow changes nothing for those who have the message. The scripts of accounts are run.
func (c courier) carry(ctx context.Context, p parcel, who directory.Resolution) error {
	plans, text, err := c.plans(ctx, &p, who)
	if err != nil {
		return err
	}
	if text != nil {
		defer text.Discard()
	}
	accounts, d := []index.AccountID{}, mailstore.Delivery{}
	for _, t := range who.Accounts {
		accounts = append(accounts, t.Account.ID)
		if err := c.planned(ctx, p, t.Account.ID, plans[t.Account.ID], &d); err != nil {
			return err
		}
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

// plans runs the scripts of the accounts that have any, for which the text is read whole: p has it from then on, until it is discarded.
func (c courier) plans(ctx context.Context, p *parcel, who directory.Resolution) (map[index.AccountID]*plan.Plan, *spool.Text, error) {
	if c.scripts == nil || !slices.ContainsFunc(who.Accounts, func(t directory.Target) bool { return c.scripts.runs(t.Account.ID) }) {
		return nil, nil, nil
	}
	text := c.spool.New()
	if _, err := io.Copy(text, p.text); err != nil {
		text.Discard()
		return nil, nil, err
	}
	header, err := readHeader(text, text.Size())
	if err != nil {
		text.Discard()
		return nil, nil, err
	}
	plans := map[index.AccountID]*plan.Plan{}
	for _, t := range who.Accounts {
		var found []inbound.Finding
		plans[t.Account.ID], found = c.scripts.sort(ctx, sortable{account: t.Account.ID, to: p.to, id: p.id, envelope: p.env, text: text, size: text.Size(),
			header: header, answers: p.env.From != ""})
		p.checked = append(p.checked, found...)
	}
	p.text = text.Reader()
	return plans, text, nil
}

// planned adds to d what an account is to get, and delivers other texts of it at once: what fails then comes again as a whole.
func (c courier) planned(ctx context.Context, p parcel, id index.AccountID, planned *plan.Plan, d *mailstore.Delivery) error {
	if planned == nil {
		planned = &plan.Plan{Copies: []plan.Copy{{}}}
	}
	for _, o := range planned.Others {
		other := mailstore.Delivery{Also: o.Also, Targets: c.targets(p, id, o.Copies)}
		p.text = o.Text()
		if err := c.deliver(ctx, p, []index.AccountID{id}, other); err != nil {
			return err
		}
	}
	d.Targets = append(d.Targets, c.targets(p, id, planned.Copies)...)
	d.Also = append(d.Also, planned.Also...)
	return nil
}

// targets are the copies that an account keeps. The first has the key under which the account is owed the message, if it is.
func (c courier) targets(p parcel, id index.AccountID, copies []plan.Copy) (list []mailstore.Target) {
	for _, k := range copies {
		t := mailstore.Target{Account: id, Address: p.to.Address, Mailbox: k.Mailbox, Flags: k.Flags, Keywords: k.Keywords, DedupKey: k.DedupKey}
		if t.DedupKey == nil && p.to.Owed.Key != "" {
			t.DedupKey = []byte(p.to.Owed.Key)
		}
		list = append(list, t)
	}
	return list
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
		d.Around = c.told(queue.Arrival{ID: p.id, Sender: p.env.From, Client: p.client, Checked: storyOf(inbound.Verdict{Findings: p.checked})})
	}
	outcomes, err := in.Deliver(ctx, d)
	for _, o := range outcomes {
		err = errors.Join(err, o.Err)
	}
	return err
}
