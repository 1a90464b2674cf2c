package engine

import (
	"context"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// maxWatched is how many mailboxes an account may have for NOTIFY to tell of those that are not selected. It
// bounds the memory of a session, and the work that a change makes.
const maxWatched = 5000

// folderState is what a client knows of a mailbox that is not selected.
type folderState struct {
	name       string
	valid      uint32
	next       index.UID
	messages   uint32
	unseen     uint32
	modSeq     index.ModSeq
	subscribed bool
}

func stateOf(m *index.Mailbox) folderState {
	return folderState{name: m.Name, valid: m.UIDValidity, next: m.UIDNext, messages: m.Messages,
		unseen: m.Unseen, modSeq: m.HighestModSeq, subscribed: m.Subscribed}
}

// remember keeps how a mailbox is, without the octets it was read from.
func (n *notification) remember(m *index.Mailbox) {
	st := stateOf(m)
	st.name = strings.Clone(st.name)
	n.known[m.ID] = st
}

// events gives what a client wants to hear of a mailbox: what any of its filters says, up to one that
// says NONE (RFC 5465, section 6).
func (n *notification) events(m *index.Mailbox) wire.NotifyEvents {
	var events wire.NotifyEvents
	for i := range n.groups {
		if g := &n.groups[i]; covers(g.Filter, m) {
			if g.Events == 0 {
				break
			}
			events |= g.Events
		}
	}
	return events
}

// eventsBefore is events for a mailbox as it was.
func (n *notification) eventsBefore(st *folderState) wire.NotifyEvents {
	return n.events(&index.Mailbox{Name: st.name, Subscribed: st.subscribed})
}

// watchFolders begins to watch mailboxes; with status it tells how those are of whose messages the client
// wants to hear (RFC 5465, section 3.1).
func (s *Session) watchFolders(ctx context.Context, n *notification, status bool) error {
	if len(n.groups) == 0 {
		return nil
	}
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		return err
	}
	if len(boxes) > maxWatched {
		return errOverflow
	}
	if s.peer.Others != nil && n.namesOthers(boxes) {
		return errNotifyOthers
	}
	n.known, n.names = make(map[index.MailboxID]folderState, len(boxes)), map[string]bool{}
	for i := range boxes {
		m := &boxes[i]
		if m.ID == 0 {
			n.names[strings.Clone(m.Name)] = true
			continue
		}
		n.remember(m)
		if events := n.events(m); status && events&wire.MessageEvents != 0 && !s.isSelected(m) {
			s.tellStatus(*m, statusItems(events, true), 0)
		}
	}
	return s.w.Err()
}

func (s *Session) isSelected(m *index.Mailbox) bool {
	owner := m.Owner
	if owner == 0 {
		owner = s.who.Account
	}
	return s.box != nil && s.at.owner == owner && s.box.Info().ID == m.ID
}

// statusItems are what a STATUS response says of a change: whether the messages are others, or their flags.
func statusItems(events wire.NotifyEvents, messages bool) []wire.StatusItem {
	items := []wire.StatusItem{wire.StatusUIDValidity, wire.StatusUnseen}
	if messages {
		items = []wire.StatusItem{wire.StatusMessages, wire.StatusUIDNext, wire.StatusUIDValidity, wire.StatusUnseen}
	}
	if events&wire.FlagChange != 0 {
		items = append(items, wire.StatusHighestModSeq)
	}
	return items
}

// tellFolders tells what became of other mailboxes. The cost is that of listing the account's.
func (s *Session) tellFolders(ctx context.Context) error {
	n := s.notify
	s.lookForChange()
	if n == nil || len(n.groups) == 0 || !n.stale {
		return nil
	}
	n.stale = false
	boxes, err := s.account.Mailboxes(ctx)
	if err != nil {
		n.stale = true
		return err
	}
	if len(boxes) > maxWatched { // RFC 5465, section 3.1: as after NOTIFY NONE
		s.notify = &notification{}
		s.w.StatusLine("*", wire.OK, "NOTIFICATIONOVERFLOW", "too many mailboxes to tell of")
		return s.w.Err()
	}
	d := folderDiff{Session: s, n: n, boxes: boxes}
	d.gone()
	for i := range boxes {
		if boxes[i].ID != 0 {
			d.changed(&boxes[i])
		}
	}
	d.subscriptions()
	return s.w.Err()
}

// folderDiff tells how mailboxes differ from what the client knows.
type folderDiff struct {
	*Session
	n     *notification
	boxes []index.Mailbox
}

// gone tells of mailboxes that were deleted.
func (d *folderDiff) gone() {
	there := make(map[index.MailboxID]bool, len(d.boxes))
	left := len(d.n.known)
	for i := range d.boxes {
		there[d.boxes[i].ID] = true
		if _, known := d.n.known[d.boxes[i].ID]; known {
			left--
		}
	}
	if left == 0 {
		return
	}
	for _, id := range sortedKeys(d.n.known) {
		if there[id] {
			continue
		}
		st := d.n.known[id]
		delete(d.n.known, id)
		if d.n.eventsBefore(&st)&wire.MailboxName != 0 && st.name != index.Inbox {
			d.w.List(wire.ListLine{Name: "LIST", Attributes: []string{`\NonExistent`}, Delimiter: index.Delimiter, Mailbox: st.name})
		}
	}
}

// changed tells of a mailbox what is new.
func (d *folderDiff) changed(m *index.Mailbox) {
	events := d.n.events(m)
	was, known := d.n.known[m.ID]
	now := stateOf(m)
	if known && now == was {
		return
	}
	d.n.remember(m)
	switch {
	case !known && events&wire.MailboxName != 0:
		d.tellName(m, "")
	case !known:
	case was.name != now.name && (events|d.n.eventsBefore(&was))&wire.MailboxName != 0:
		old := was.name
		if old == index.Inbox {
			old = "" // INBOX is still there, and empty (RFC 9051, section 6.3.6)
		}
		d.tellName(m, old)
	case was.subscribed != now.subscribed && (events|d.n.eventsBefore(&was))&wire.SubscriptionChange != 0:
		d.tellName(m, "")
	}
	if !d.isSelected(m) {
		d.tellMessages(m, events, was, now)
	}
}

// tellMessages tells that messages came or went, or that flags are others (RFC 5465, sections 5.1 to 5.3).
func (d *folderDiff) tellMessages(m *index.Mailbox, events wire.NotifyEvents, was, now folderState) {
	others := was.valid != now.valid || was.next != now.next || was.messages != now.messages
	if was.valid == 0 {
		others = now.next > 1 || now.name == index.Inbox // a mailbox that is new
	}
	switch {
	case others && events&wire.MessageNew != 0:
		d.tellStatus(*m, statusItems(events, true), 0)
	case !others && was.valid != 0 && was.modSeq != now.modSeq && events&wire.FlagChange != 0:
		d.tellStatus(*m, statusItems(events, false), 0)
	}
}

// subscriptions tells of names that are no mailboxes (RFC 5465, section 5.5).
func (d *folderDiff) subscriptions() {
	now := map[string]bool{}
	for i := range d.boxes {
		m := &d.boxes[i]
		if m.ID != 0 {
			continue
		}
		now[strings.Clone(m.Name)] = true
		if !d.n.names[m.Name] && d.n.events(m)&wire.SubscriptionChange != 0 {
			d.tellName(m, "")
		}
	}
	for _, name := range sortedKeys(d.n.names) {
		m := index.Mailbox{Name: name, Subscribed: true}
		if !now[name] && d.n.events(&m)&wire.SubscriptionChange != 0 && !d.exists(name) {
			m.Subscribed = false
			d.tellName(&m, "")
		}
	}
	d.n.names = now
}

func (d *folderDiff) exists(name string) bool {
	for i := range d.boxes {
		if d.boxes[i].Name == name && d.boxes[i].ID != 0 {
			return true
		}
	}
	return false
}

// tellName writes a LIST response.
func (d *folderDiff) tellName(m *index.Mailbox, old string) {
	f := folder{Mailbox: *m}
	for i := range d.boxes {
		if d.boxes[i].ID != 0 && strings.HasPrefix(d.boxes[i].Name, m.Name+string(index.Delimiter)) {
			f.children = true
		}
	}
	d.w.List(wire.ListLine{Name: "LIST", Attributes: attributes(&f, true), Delimiter: index.Delimiter, Mailbox: m.Name, OldName: old})
}
