package engine

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// canonical puts the names of a filter into the form that mailboxes have.
func canonical(f wire.MailboxFilter) wire.MailboxFilter {
	names := make([]string, len(f.Names))
	for i, n := range f.Names {
		names[i] = string(newPattern("", strings.TrimSuffix(n, string(index.Delimiter))))
	}
	f.Names = names
	return f
}

// covers reports whether a filter, which is canonical and not of the selected mailbox, names m. Sieve
// and addresses with a detail deliver to any mailbox, so that INBOXES are all of the account (RFC 5465,
// section 6.3). What others share is neither personal nor an inbox.
func covers(f wire.MailboxFilter, m *index.Mailbox) bool {
	switch f.Kind {
	case wire.FilterInboxes, wire.FilterPersonal:
		return m.Owner == 0
	case wire.FilterSubscribed:
		return m.Subscribed
	}
	for _, name := range f.Names {
		if m.Name == name {
			return true
		}
		below, ok := strings.CutPrefix(m.Name, name+string(index.Delimiter))
		if ok && (f.Kind == wire.FilterSubtree || f.Kind == wire.FilterSubtreeOne && !strings.Contains(below, string(index.Delimiter))) {
			return true
		}
	}
	return false
}

// belowOthers reports whether a name is otherUsers or below.
func belowOthers(name string) bool {
	_, _, shared := splitShared(name)
	return shared
}

// coversOthers reports whether a filter, which is canonical, may name what others share; own are one's own
// mailboxes and the names that are subscribed.
func coversOthers(f wire.MailboxFilter, own []index.Mailbox) bool {
	if f.Kind == wire.FilterSubscribed {
		return slices.ContainsFunc(own, func(m index.Mailbox) bool { return m.ID == 0 && belowOthers(m.Name) })
	}
	return slices.ContainsFunc(f.Names, belowOthers)
}

// namesOthers reports whether a filter names what is no mailbox of the account's own, but would be another's.
func (n *notification) namesOthers(own []index.Mailbox) bool {
	foreign := func(name string) bool {
		return belowOthers(name) && !slices.ContainsFunc(own, func(m index.Mailbox) bool { return m.ID != 0 && m.Name == name })
	}
	return slices.ContainsFunc(n.groups, func(g wire.NotifyGroup) bool { return slices.ContainsFunc(g.Filter.Names, foreign) })
}

// sortedKeys gives the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
