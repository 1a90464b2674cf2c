package wire

import "strconv"

// Partial is a window of results (RFC 9394, section 3.1): the First to the Last of them, counted from 1,
// or from the end where FromEnd is set.
type Partial struct {
	First, Last uint32
	FromEnd     bool
}

func (r *Reader) partial() *Partial {
	r.sp()
	p := &Partial{FromEnd: r.maybe('-')}
	p.First = r.nzNumber32()
	r.expect(':')
	if p.FromEnd {
		r.expect('-')
	}
	p.Last = r.nzNumber32()
	return p
}

// UIDBatches are the arguments of UIDBATCHES (RFC 10022): the messages of a batch, and which batches are asked for,
// counted from 1; From and To are 0 for all.
type UIDBatches struct{ Size, From, To uint32 }

func (r *Reader) uidBatches() *UIDBatches {
	b := &UIDBatches{}
	r.sp()
	b.Size = r.nzNumber32()
	if r.maybe(' ') {
		b.From = r.nzNumber32()
		r.expect(':')
		b.To = r.nzNumber32()
	}
	return b
}

// Append appends the window as a command gives it.
func (p *Partial) Append(b []byte) []byte {
	sign := ""
	if p.FromEnd {
		sign = "-"
	}
	b = strconv.AppendUint(append(b, sign...), uint64(p.First), 10)
	return strconv.AppendUint(append(append(b, ':'), sign...), uint64(p.Last), 10)
}

// Of gives the window of n results as positions from 1, both included; from is above to where it is empty.
func (p *Partial) Of(n int) (from, to int) {
	from, to = int(min(p.First, p.Last)), int(max(p.First, p.Last))
	if p.FromEnd {
		from, to = n-to+1, n-from+1
	}
	return max(from, 1), min(to, n)
}
