package mailstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/uidset"
)

// KeptQuery chooses among the kept messages of an account; zero fields choose all.
type KeptQuery struct {
	Mailbox      string    // they were expunged from
	Since, Until time.Time // they were expunged at Since or later, and before Until
	MessageID    string    // the Message-ID field, with or without angle brackets
	Most         int       // how many; the first ones
}

// KeptMessage is a message that was expunged and can come back.
type KeptMessage struct {
	Mailbox   string // it was expunged from
	Expunged  time.Time
	Size      uint64 // octets
	MessageID string // as the Message-ID field has it
	Subject   string // as the Subject field has it
}

// chosen are messages of one mailbox of kept mail.
type chosen struct {
	mailbox  index.Mailbox
	uids     *uidset.Set
	messages []KeptMessage
}

// Kept returns the messages of the account that Undelete would bring back, by mailbox and in the order
// they were expunged in. It needs a local replica.
func (a *Account) Kept(ctx context.Context, q KeptQuery) (all []KeptMessage, err error) {
	found, err := a.kept(ctx, q)
	for _, c := range found {
		all = append(all, c.messages...)
	}
	return all, err
}

// Undelete brings the chosen messages back as new ones, with their flags but \Deleted, into the mailbox to,
// or where that is empty each into the mailbox of the name that it was expunged from; a mailbox that is
// missing is made. It returns how many came back, up to mailbox.MaxMessages in one step; after an error
// those stay. Errors are index.ErrOverQuota, index.ErrInvalidName and those of proposing.
func (a *Account) Undelete(ctx context.Context, q KeptQuery, to string) (n int, err error) {
	if to != "" {
		if to, err = mailbox.NewName(to); err != nil {
			return 0, err
		}
	}
	found, err := a.kept(ctx, q)
	if err != nil {
		return 0, err
	}
	g, err := a.group()
	if err != nil {
		return 0, err
	}
	for _, c := range found {
		m := &Mailbox{account: a.store.Account(mailbox.KeptOf(a.id)), group: g, info: c.mailbox}
		cmd := &indexpb.CopyCommand{Account: uint64(a.id), MailboxId: uint32(c.mailbox.ID), UidValidity: c.mailbox.UIDValidity,
			To: to, Limits: a.store.limits(a.id)}
		if to == "" {
			cmd.To = c.mailbox.Name
		}
		err := m.inSteps(ctx, c.uids, func(step []*indexpb.UIDRange) error {
			cmd.Uids = step
			res, err := a.store.change(ctx, g, command.Undelete, cmd)
			if err != nil {
				return err
			}
			for _, r := range res.To {
				n += int(r.Hi-r.Lo) + 1
			}
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("undelete into %q: %w", cmd.To, err)
		}
	}
	return n, nil
}

// kept finds kept messages. Deleted mailboxes that wait to be filed are filed first.
func (a *Account) kept(ctx context.Context, q KeptQuery) (found []chosen, err error) {
	if q.Mailbox != "" {
		if q.Mailbox, err = mailbox.CanonicalName(q.Mailbox); err != nil {
			return nil, err
		}
	}
	g, err := a.group()
	if err != nil {
		return nil, err
	}
	if err := a.store.DrainKept(ctx, g); err != nil {
		return nil, err
	}
	_, err = a.store.Account(mailbox.KeptOf(a.id)).readOnce(func(r kv.Reader) error {
		found, err = choose(r, mailbox.KeptOf(a.id), q)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find kept mail of account %d: %w", a.id, err)
	}
	return found, nil
}

func choose(r kv.Reader, a index.AccountID, q KeptQuery) (found []chosen, err error) {
	all, err := mailbox.List(r, a)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, m := range all {
		if m.ID == 0 || m.Messages == 0 || q.Mailbox != "" && q.Mailbox != m.Name {
			continue
		}
		c := chosen{mailbox: m, uids: uidset.New()}
		uids, err := mailbox.UIDs(r, a, m.ID)
		if err != nil {
			return nil, err
		}
		err = mailbox.WalkMessages(r, a, m.ID, uids, func(u index.UID, _ *indexpb.FlagRecord, s *indexpb.Summary) error {
			if q.Most > 0 && total == q.Most {
				return nil
			}
			if k := keptMessage(m.Name, s); q.chooses(k) {
				total++
				c.uids.Add(u)
				c.messages = append(c.messages, k)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if c.uids.Len() > 0 {
			found = append(found, c)
		}
	}
	return found, nil
}

func keptMessage(name string, s *indexpb.Summary) KeptMessage {
	m := newMessage(0, index.FlagState{}, s)
	envelope := m.Envelope()
	return KeptMessage{Mailbox: name, Expunged: m.SaveDate, Size: s.Size,
		MessageID: string(envelope.GetMessageId()), Subject: string(envelope.GetSubject())}
}

// chooses reports whether k is one of those that q asks for, but for the mailbox.
func (q KeptQuery) chooses(k KeptMessage) bool {
	bare := func(id string) string { return strings.Trim(strings.TrimSpace(id), "<>") }
	return (q.Since.IsZero() || !k.Expunged.Before(q.Since)) && (q.Until.IsZero() || k.Expunged.Before(q.Until)) &&
		(q.MessageID == "" || bare(q.MessageID) == bare(k.MessageID))
}
