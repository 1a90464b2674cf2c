package wire

// NotifyEvents is a set of events that NOTIFY tells of, as bits.
type NotifyEvents uint8

// The events that are known (RFC 5465, section 5).
const (
	MessageNew NotifyEvents = 1 << iota
	MessageExpunge
	FlagChange
	MailboxName
	SubscriptionChange
	MailboxMetadataChange
	ServerMetadataChange

	// MessageEvents are those of a mailbox's messages, which alone the selected mailbox can have.
	MessageEvents = MessageNew | MessageExpunge | FlagChange
)

// NotifyGroup is what a client wants to hear of some mailboxes.
type NotifyGroup struct {
	Filter MailboxFilter
	Events NotifyEvents // 0 for NONE
	Fetch  []FetchItem  // what to tell of new messages of the selected mailbox
}

// Notify are the arguments of NOTIFY (RFC 5465, section 3.1).
type Notify struct {
	Groups  []NotifyGroup // none for NOTIFY NONE
	Status  bool
	Unknown bool // there are events that are not known
}

// maxNotifyGroups bounds the work that NOTIFY makes for each mailbox.
const maxNotifyGroups = 64

func (r *Reader) notify() *Notify {
	n := &Notify{}
	r.sp()
	switch w := r.word(); w {
	case "NONE":
		return n
	case "SET":
	default:
		r.fail("expected SET or NONE, got %.30s", w)
	}
	r.sp()
	if isLetter(r.peek()) {
		if w := r.word(); w != "STATUS" {
			r.fail("expected STATUS or an event group, got %.30s", w)
		}
		n.Status = true
		r.sp()
	}
	for selected := false; ; {
		g := r.notifyGroup(n)
		if g.Filter.IsSelected() && selected {
			r.fail("the selected mailbox is named twice")
		}
		selected = selected || g.Filter.IsSelected()
		n.Groups = append(n.Groups, g)
		if len(n.Groups) > maxNotifyGroups {
			r.fail("more than %d event groups", maxNotifyGroups)
		}
		if r.err != nil || !r.maybe(' ') {
			return n
		}
		if c := r.peek(); c == '\r' || c == '\n' {
			return n
		}
	}
}

// notifyGroup reads a filter with its events.
func (r *Reader) notifyGroup(n *Notify) NotifyGroup {
	var g NotifyGroup
	r.expect('(')
	g.Filter = r.mailboxFilter()
	r.sp()
	if r.peek() == '(' {
		r.notifyEvents(n, &g)
		g.check(r)
	} else if w := r.word(); w != "NONE" {
		r.fail("expected events or NONE, got %.30s", w)
	}
	r.expect(')')
	return g
}

// check holds a group against RFC 5465, section 8.
func (g *NotifyGroup) check(r *Reader) {
	news := g.Events & (MessageNew | MessageExpunge)
	switch {
	case news != 0 && news != MessageNew|MessageExpunge:
		r.fail("MessageNew and MessageExpunge go together")
	case g.Events&FlagChange != 0 && news == 0:
		r.fail("FlagChange needs MessageNew and MessageExpunge")
	case g.Filter.IsSelected() && g.Events&^MessageEvents != 0:
		r.fail("the selected mailbox only has events of messages")
	case !g.Filter.IsSelected() && g.Fetch != nil:
		r.fail("only new messages of the selected mailbox can be fetched")
	}
}

// notifyEvents reads events in parentheses.
func (r *Reader) notifyEvents(n *Notify, g *NotifyGroup) {
	r.expect('(')
	for r.err == nil {
		name := r.word()
		g.Events |= r.notifyEvent(n, name)
		more := r.maybe(' ')
		if more && name == "MESSAGENEW" && r.peek() == '(' {
			g.Fetch = r.fetchItems()
			more = r.maybe(' ')
		}
		if !more {
			break
		}
	}
	r.expect(')')
}

func (r *Reader) notifyEvent(n *Notify, name string) NotifyEvents {
	switch name {
	case "MESSAGENEW":
		return MessageNew
	case "MESSAGEEXPUNGE":
		return MessageExpunge
	case "FLAGCHANGE":
		return FlagChange
	case "MAILBOXNAME":
		return MailboxName
	case "SUBSCRIPTIONCHANGE":
		return SubscriptionChange
	case "MAILBOXMETADATACHANGE":
		return MailboxMetadataChange
	case "SERVERMETADATACHANGE":
		return ServerMetadataChange
	}
	n.Unknown = true // an event-ext, which the session refuses
	return 0
}
