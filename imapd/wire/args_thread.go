package wire

// Thread are the arguments of THREAD (RFC 5256, section 3).
type Thread struct {
	Search
	Algorithm string // upper case
}

func (r *Reader) thread() *Thread {
	t := &Thread{}
	r.sp()
	t.Algorithm = r.word()
	r.charsetAndKeys(&t.Search)
	return t
}
