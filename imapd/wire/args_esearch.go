package wire

// MultiSearch are the arguments of ESEARCH (RFC 7377, section 2.1).
type MultiSearch struct {
	Search
	In []MailboxFilter // empty is the selected mailbox
}

// maxSources bounds the filters of one ESEARCH.
const maxSources = 64

func (r *Reader) multiSearch() *MultiSearch {
	m := &MultiSearch{}
	r.sp()
	first := r.maybeWord()
	if first == "IN" {
		r.sp()
		r.expect('(')
		m.In = append(m.In, r.source())
		for r.maybe(' ') {
			m.In = append(m.In, r.source())
			if len(m.In) > maxSources {
				r.fail("more than %d mailbox filters", maxSources)
			}
		}
		r.expect(')')
		r.sp()
		first = r.maybeWord()
	}
	r.searchFrom(&m.Search, first)
	return m
}

// source reads one filter. SELECTED-DELAYED is only of NOTIFY (RFC 7377, section 2.2).
func (r *Reader) source() MailboxFilter {
	f := r.mailboxFilter()
	if f.Kind == FilterSelectedDelayed {
		r.fail("SELECTED-DELAYED is not for ESEARCH")
	}
	return f
}
