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
// section 6.3).
func covers(f wire.MailboxFilter, m *index.Mailbox) bool {
	switch f.Kind {
	case wire.FilterInboxes, wire.FilterPersonal:
		return true
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

// sortedKeys gives the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
