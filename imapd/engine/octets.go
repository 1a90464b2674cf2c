package engine

import (
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/search"
)

// octets searches a message's octets.
type octets struct {
	body    access.Body
	summary *access.Message
	reader  *search.Reader
}

// match decides the criteria of costBody.
func (o *octets) match(k *criterion) (bool, error) {
	switch k.op {
	case wire.SearchHeader:
		return o.reader.Header(o.summary, o.body, k.field, k.text)
	case wire.SearchText:
		found, err := o.reader.Header(o.summary, o.body, "", k.text)
		if found || err != nil {
			return found, err
		}
	}
	return o.reader.Body(o.summary, o.body, k.text)
}

// likeness gives how well the fuzzy text of k is found, 0 where it is not. Of TEXT, the body counts half of what the
// header does.
func (o *octets) likeness(k *criterion) (int, error) {
	m := k.like.Match()
	if k.op != wire.SearchBody {
		field := "" // of TEXT, any
		if k.op == wire.SearchHeader {
			field = k.field
		}
		err := o.reader.Values(o.summary, o.body, field, func(value []byte) bool { return m.Text(value, true) })
		if err != nil || k.op == wire.SearchHeader {
			return m.Score(), err
		}
		m.Halve()
	}
	err := o.reader.Texts(o.summary, o.body, m.Text)
	return m.Score(), err
}
