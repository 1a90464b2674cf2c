package wire

// maxURLs is how many URLs one command names.
const maxURLs = 100

// GenURLAuth are the arguments of GENURLAUTH (RFC 4467, section 7).
type GenURLAuth struct{ Rumps []URLRump }

// URLRump is a URL up to who may use it, to be signed.
type URLRump struct {
	URL       string
	Mechanism string // upper case
}

func (r *Reader) genURLAuth() *GenURLAuth {
	g := &GenURLAuth{}
	r.urls(func() {
		rump := URLRump{URL: r.astring()}
		r.sp()
		rump.Mechanism = r.word()
		g.Rumps = append(g.Rumps, rump)
	})
	return g
}

// URLFetch are the arguments of URLFETCH (RFC 4467, section 7).
type URLFetch struct{ URLs []string }

func (r *Reader) urlFetch() *URLFetch {
	u := &URLFetch{}
	r.urls(func() { u.URLs = append(u.URLs, r.astring()) })
	return u
}

// urls reads one URL after the other, each by next.
func (r *Reader) urls(next func()) {
	r.sp()
	next()
	for n := 1; r.maybe(' '); n++ {
		if n == maxURLs {
			r.fail("more than %d URLs", maxURLs)
			return
		}
		next()
	}
}

// ResetKey are the arguments of RESETKEY (RFC 4467, section 7).
type ResetKey struct {
	All        bool // of every mailbox: none is named
	Mailbox    string
	Mechanisms []string // upper case
}

func (r *Reader) resetKey() *ResetKey {
	k := &ResetKey{All: !r.maybe(' ')}
	if k.All {
		return k
	}
	k.Mailbox = r.mailbox()
	for r.maybe(' ') {
		k.Mechanisms = append(k.Mechanisms, r.word())
	}
	return k
}
