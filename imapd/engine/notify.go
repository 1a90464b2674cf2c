package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// notification is what NOTIFY asked for (RFC 5465). The zero notification is NOTIFY NONE.
type notification struct {
	selected wire.NotifyEvents // of the selected mailbox
	delayed  bool              // its expunges wait for a command
	fetch    *fetchPlan        // of its new messages; nil where nothing is to be told of them
	fetched  index.UID         // up to which that was done

	groups []wire.NotifyGroup // of other mailboxes
	known  map[index.MailboxID]folderState
	names  map[string]bool // subscribed, and no mailboxes
	stale  bool            // there may be changes that known has not
}

// notify is NOTIFY (RFC 5465, section 3.1).
func (s *Session) notifyCommand(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Notify)
	if a.Unknown {
		return reply{}, errBadEvent
	}
	if s.box != nil { // what came before is told as it was asked for then
		if err := s.tellNews(ctx, true, false); err != nil {
			return reply{}, err
		}
	}
	n := &notification{}
	for _, g := range a.Groups {
		if !g.Filter.IsSelected() {
			g.Filter = canonical(g.Filter)
			n.groups = append(n.groups, g)
			continue
		}
		n.selected, n.delayed = g.Events, g.Filter.Kind == wire.FilterSelectedDelayed
		if g.Fetch != nil {
			plan := newFetchPlan(&wire.Fetch{Items: g.Fetch}, false)
			plan.seen = false // the client has not asked for the message yet
			n.fetch = &plan
		}
	}
	if s.view != nil {
		n.fetched = s.view.Top()
	}
	if err := s.watchFolders(ctx, n, a.Status); err != nil {
		return reply{}, err
	}
	if err := s.watchMetadata(ctx, n); err != nil {
		return reply{}, err
	}
	s.notify = n
	return reply{}, nil
}

// listens reports whether the client is told of changes while no command is carried out.
func (n *notification) listens() bool { return n != nil && (n.selected != 0 || len(n.groups) > 0) }

// silent reports whether the client wants to know nothing of the selected mailbox.
func (n *notification) silent() bool { return n != nil && n.selected == 0 }

// tellNews tells what changed since the client was told last, as far as it wants to know: in the
// selected mailbox, and with NOTIFY in others.
func (s *Session) tellNews(ctx context.Context, expunges, uid bool) error {
	if s.box != nil {
		if s.notify == nil {
			return s.sync(ctx, expunges, uid)
		}
		if err := s.tellSelected(ctx, expunges, uid); err != nil {
			return err
		}
	}
	return s.tellFolders(ctx)
}

// tellSelected tells what NOTIFY asked for of the selected mailbox.
func (s *Session) tellSelected(ctx context.Context, expunges, uid bool) error {
	n := s.notify
	if n.silent() {
		return nil
	}
	s.quiet = n.selected&wire.FlagChange == 0
	err := s.sync(ctx, expunges, uid)
	s.quiet = false
	top := s.view.Top()
	if err != nil || n.fetch == nil || n.fetched >= top {
		return err
	}
	fresh := above(s.view.UIDs(), n.fetched)
	n.fetched = top
	return s.fetchFresh(ctx, n.fetch, fresh)
}

// await waits for a command. With NOTIFY it tells what changes meanwhile.
func (s *Session) await(ctx context.Context) error {
	for {
		if s.notify.listens() {
			if err := s.survives(s.tellNews(ctx, !s.notify.delayed, false), "notify"); err != nil {
				return err
			}
			if err := s.survives(s.syncMetadata(ctx), "notify of metadata"); err != nil {
				return err
			}
		}
		if err := s.w.Flush(); err != nil {
			return err
		}
		s.w.Release()
		s.peer.Conn.Within(false)
		if !s.notify.listens() {
			return s.r.Await()
		}
		input, err := s.peer.Conn.Wait(ctx, s.news())
		if err != nil {
			return err
		}
		if input {
			return s.r.Await()
		}
		s.noteChange()
	}
}

// noteChange remembers that something of the account changed.
func (s *Session) noteChange() {
	s.dirty = true
	if s.notify != nil {
		s.notify.stale = true
	}
}

// survives gives back an error that ends the session; others are told to Events.
func (s *Session) survives(err error, what string) error {
	if err == nil {
		return nil
	}
	if _, ok := replyTo(err); !ok {
		return err
	}
	s.c.Events.Unexpected(what, err)
	return nil
}
