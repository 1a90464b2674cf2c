package wire

// QResync is what a client knows of a mailbox that it selects again (RFC 7162, section 3.2.5).
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	Known       NumSet // UIDs; without Ranges where not given
	// MatchSeqs and MatchUIDs pair message numbers with their UIDs, so that a server that does not
	// remember all expunges can tell up to where nothing changed (section 3.2.5.2).
	MatchSeqs, MatchUIDs NumSet
}

func (r *Reader) qresync() *QResync {
	q := &QResync{}
	r.sp()
	r.expect('(')
	q.UIDValidity = r.nzNumber32()
	r.sp()
	if q.ModSeq = r.number63(); q.ModSeq == 0 {
		r.fail("0 is no modification sequence")
	}
	if r.maybe(' ') && r.peek() != '(' {
		q.Known = r.knownSet()
		r.maybe(' ')
	}
	if r.maybe('(') {
		q.MatchSeqs = r.knownSet()
		r.sp()
		q.MatchUIDs = r.knownSet()
		r.expect(')')
	}
	r.expect(')')
	return q
}

// knownSet reads a set without "*" and "$".
func (r *Reader) knownSet() NumSet {
	set := r.numSet()
	open := set.Saved
	for _, rg := range set.Ranges {
		open = open || rg.Hi == Star
	}
	if open {
		r.fail("* and $ have no meaning here")
	}
	return set
}
