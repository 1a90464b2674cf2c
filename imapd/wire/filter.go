package wire

// FilterKind is a way to name mailboxes.
type FilterKind int

// The ways to name mailboxes (RFC 5465, section 6; FilterSubtreeOne is of RFC 7377, section 2.2).
const (
	FilterSelected        FilterKind = iota // the selected one
	FilterSelectedDelayed                   // as well; EXPUNGE waits for a command
	FilterInboxes                           // those that mail is delivered to
	FilterPersonal                          // those of the account
	FilterSubscribed
	FilterSubtree    // Names and all below them
	FilterSubtreeOne // Names and the level below them
	FilterMailboxes  // Names
)

// MailboxFilter names mailboxes.
type MailboxFilter struct {
	Kind  FilterKind
	Names []string // of FilterSubtree, FilterSubtreeOne and FilterMailboxes
}

// IsSelected reports whether the filter is about the selected mailbox.
func (f MailboxFilter) IsSelected() bool {
	return f.Kind == FilterSelected || f.Kind == FilterSelectedDelayed
}

// maxFilterNames bounds the work that a filter makes for each mailbox.
const maxFilterNames = 1000

// mailboxFilter reads a filter.
func (r *Reader) mailboxFilter() MailboxFilter {
	var f MailboxFilter
	switch w := r.word(); w {
	case "SELECTED":
		f.Kind = FilterSelected
	case "SELECTED-DELAYED":
		f.Kind = FilterSelectedDelayed
	case "INBOXES":
		f.Kind = FilterInboxes
	case "PERSONAL":
		f.Kind = FilterPersonal
	case "SUBSCRIBED":
		f.Kind = FilterSubscribed
	case "SUBTREE":
		f.Kind, f.Names = FilterSubtree, r.filterNames()
	case "SUBTREE-ONE":
		f.Kind, f.Names = FilterSubtreeOne, r.filterNames()
	case "MAILBOXES":
		f.Kind, f.Names = FilterMailboxes, r.filterNames()
	default:
		r.fail("unknown mailbox filter %.30s", w)
	}
	return f
}

// filterNames reads one mailbox name, or some in parentheses.
func (r *Reader) filterNames() []string {
	r.sp()
	if r.peek() != '(' {
		return []string{r.mailbox()}
	}
	var names []string
	r.list(func() {
		if len(names) >= maxFilterNames {
			r.fail("more than %d mailbox names", maxFilterNames)
		}
		names = append(names, r.mailbox())
	})
	if len(names) == 0 {
		r.fail("no mailbox name")
	}
	return names
}
