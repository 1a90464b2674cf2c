package scrub

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Finding is something that is wrong.
type Finding struct {
	Group    uint16
	Pack     uint64 // number of the pack
	Object   string // name of its object
	Body     uint64 // number of the body; 0: no body that a message uses is concerned
	Messages []Message
	Problem  string
}

// Message is a message that cannot be read for a Finding.
type Message struct {
	Account uint64
	Address string // empty where it is not known
	Mailbox string
	UID     uint32
	Kept    bool // expunged already, kept for undelete
}

// String gives the finding as a line.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "partition %d, pack %d (%s): ", f.Group, f.Pack, f.Object)
	if f.Body == 0 {
		fmt.Fprintf(&b, "%s; no message is concerned", f.Problem)
		return b.String()
	}
	fmt.Fprintf(&b, "body %d: %s", f.Body, f.Problem)
	for i, m := range f.Messages {
		if i == 8 {
			fmt.Fprintf(&b, ", and %d more messages", len(f.Messages)-i)
			break
		}
		who := m.Address
		if who == "" {
			who = fmt.Sprintf("account %d", m.Account)
		}
		fmt.Fprintf(&b, ", message %d of %q of %s", m.UID, m.Mailbox, who)
		if m.Kept {
			b.WriteString(" (expunged)")
		}
	}
	return b.String()
}

// tell reports what is wrong, by body.
func (s *scrub) tell(ctx context.Context, found func(Finding)) error {
	base := Finding{Group: s.info.Group, Pack: s.info.Number, Object: s.info.Object()}
	if len(s.bad) == 0 {
		base.Problem = s.other
		found(base)
		return nil
	}
	ids := make([]uint64, 0, len(s.bad))
	for id := range s.bad {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	m, err := s.part.Describe(ctx, s.info.Number, ids)
	if err != nil {
		return err
	}
	users := map[uint64][]Message{}
	for _, b := range m.Bodies {
		for _, u := range b.Users {
			box := m.Mailboxes[u.Mailbox]
			account := m.Accounts[box.Account]
			users[b.Entry.Body] = append(users[b.Entry.Body], Message{account.ID, account.Address, box.Name, u.UID, box.Kept})
		}
	}
	for _, id := range ids {
		f := base
		f.Body, f.Messages, f.Problem = id, users[id], s.bad[id]
		found(f)
	}
	return nil
}
