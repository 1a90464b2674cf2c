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
