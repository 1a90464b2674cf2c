package main

import (
	"context"
	"fmt"

	"github.com/emersion/go-imap/v2"
)

// flags are those that clients set and clear. \Deleted is for expunges only.
var flags = []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagAnswered, "$Forwarded", "chaos"}

// change does one thing to one message of the selected mailbox. Whatever is not confirmed by the
// server's own words (a FETCH, a COPYUID, an EXPUNGE), may have happened or not.
func (c *client) change(ctx context.Context, l *load, mailbox string, m candidate) error {
	defer c.session.Within(ctx, operationPatience)()
	set := imap.UIDSetNum(imap.UID(m.uid))
	var known bool
	var err error
	switch what := c.random.IntN(100); {
	case what < 55:
		if len(settledFlags(m)) == 0 {
			return nil
		}
		known, err = c.flag(set, m)
	case what < 75:
		known, err = c.move(set, mailbox, m)
	case what < 85:
		if !m.free {
			return nil
		}
		known, err = c.copy(set, m)
	default:
		known, err = c.expunge(set, m)
	}
	l.add(func(n *counts) {
		if known {
			n.changes++
		} else {
			n.unknown++
		}
	})
	return err
}

// settledFlags are the flags of a message that are not in doubt.
func settledFlags(m candidate) (settled []imap.Flag) {
	for _, f := range flags {
		if m.flags[string(f)] != either {
			settled = append(settled, f)
		}
	}
	return settled
}

// flag sets or clears a flag whose state is known.
func (c *client) flag(set imap.UIDSet, m candidate) (known bool, err error) {
	settled := settledFlags(m)
	flag := settled[c.random.IntN(len(settled))]
	op := imap.StoreFlagsAdd
	on := m.flags[string(flag)] == no
	if !on {
		op = imap.StoreFlagsDel
	}
	known, err = c.store(set, m, op, flag)
	c.book.flagged(m.id, string(flag), on, known)
	return known, err
}

// store changes a flag and reports whether the server showed the message with it.
func (c *client) store(set imap.UIDSet, m candidate, op imap.StoreFlagsOp, flag imap.Flag) (known bool, err error) {
	shown, err := c.session.Store(set, &imap.StoreFlags{Op: op, Flags: []imap.Flag{flag}}, nil).Collect()
	if err != nil {
		return false, fmt.Errorf("UID STORE %d: %w", m.uid, err)
	}
	for _, s := range shown {
		if uint32(s.UID) == m.uid {
			return true, nil
		}
	}
	return false, nil
}

func (c *client) move(set imap.UIDSet, from string, m candidate) (known bool, err error) {
	to := work
	if from == work {
		to = inbox
	}
	data, err := c.session.Move(set, to).Wait()
	var uid uint32
	if err == nil && data != nil {
		uid = only(data.DestUIDs)
	}
	c.book.moved(m.id, to, uid, uid != 0)
	if err != nil {
		return false, fmt.Errorf("UID MOVE %d: %w", m.uid, err)
	}
	return uid != 0, nil
}

func (c *client) copy(set imap.UIDSet, m candidate) (known bool, err error) {
	data, err := c.session.Copy(set, copies).Wait()
	known = err == nil && data != nil && only(data.DestUIDs) != 0
	c.book.copiedOnce(m.id, known)
	if err != nil {
		return false, fmt.Errorf("UID COPY %d: %w", m.uid, err)
	}
	return known, nil
}

// only gives the one UID of a set, 0 where there is none or several.
func only(set imap.NumSet) uint32 {
	uids, ok := set.(imap.UIDSet)
	if !ok {
		return 0
	}
	nums, ok := uids.Nums()
	if !ok || len(nums) != 1 {
		return 0
	}
	return uint32(nums[0])
}

// expunge marks a message and expunges it.
func (c *client) expunge(set imap.UIDSet, m candidate) (known bool, err error) {
	known, err = c.store(set, m, imap.StoreFlagsAdd, imap.FlagDeleted)
	c.book.flagged(m.id, string(imap.FlagDeleted), true, known)
	if !known {
		// The mark may come later, but nothing expunges it then.
		c.book.moved(m.id, c.session.Mailbox().Name, 0, false)
		return false, err
	}
	gone, err := c.session.UIDExpunge(set).Collect()
	known = err == nil && len(gone) > 0
	c.book.moved(m.id, nowhere, 0, known)
	if err != nil {
		return false, fmt.Errorf("UID EXPUNGE %d: %w", m.uid, err)
	}
	return known, nil
}

// append puts a new message into a mailbox. One whose reply was lost is not appended again: IMAP has
// no way to tell the two apart.
func (c *client) append(ctx context.Context, l *load) error {
	defer c.session.Within(ctx, operationPatience)()
	m := l.next(c.address)
	c.book.offer(m, work)
	err := c.appendMessage(m.ID, m.Raw)
	l.add(func(n *counts) {
		if err == nil {
			n.changes++
		} else {
			n.unknown++
		}
	})
	return err
}

func (c *client) appendMessage(id string, raw []byte) error {
	cmd := c.session.Append(work, int64(len(raw)), nil)
	if _, err := cmd.Write(raw); err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	if err := cmd.Close(); err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	data, err := cmd.Wait()
	if err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	c.book.acknowledge(id, work, uint32(data.UID))
	return nil
}
