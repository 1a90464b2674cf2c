package engine

import (
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/search/trigram"
)

// query gives what a message must have to match as far as texts tell, nil where they tell nothing. It never asks for
// more than the criterion does: NOT of a text, of which the index knows only who may have it, asks nothing.
func (c *criterion) query() *trigram.Query {
	switch c.op {
	case wire.SearchAnd, wire.SearchOr:
		of := make([]*trigram.Query, len(c.keys))
		for i := range c.keys {
			of[i] = c.keys[i].query()
		}
		if c.op == wire.SearchOr {
			return trigram.Or(of...)
		}
		return trigram.And(of...)
	case wire.SearchHeader:
		return c.having(trigram.Header)
	case wire.SearchBody:
		return c.having(trigram.Body)
	case wire.SearchText:
		return c.having(trigram.Header, trigram.Body)
	}
	return nil
}

// having asks for the criterion's text.
func (c *criterion) having(sections ...trigram.Section) *trigram.Query {
	if c.like != nil {
		return c.like.Query(sections...)
	}
	return trigram.Holding(c.text, sections...)
}
