package wire

// updateOption reads what may follow UPDATE: data items to fetch, or the next option.
func (r *Reader) updateOption(s *Search) {
	if s.Update {
		r.fail("UPDATE is given twice")
		return
	}
	s.Update = true
	if !r.maybe(' ') {
		return
	}
	switch r.peek() {
	case ')':
	case '(':
		s.UpdateFetch = r.fetchItems()
	default:
		r.returnOption(s)
	}
}

// CancelUpdate are the arguments of CANCELUPDATE (RFC 5267, section 4.3.5).
type CancelUpdate struct{ Tags []string }

func (r *Reader) cancelUpdate() *CancelUpdate {
	c := &CancelUpdate{}
	r.sp()
	c.Tags = append(c.Tags, r.str())
	for r.maybe(' ') && r.peek() == '"' {
		c.Tags = append(c.Tags, r.str())
	}
	return c
}
