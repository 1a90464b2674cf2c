package engine

import (
	"context"
	"errors"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// previewOctets is how much of a text is fetched to preview it: as much as decodes to previewRead.
const previewOctets = 2 * previewRead

// ready fetches what the items tell of a message before any of its response is written, since a literal
// that was begun has to be ended. What is longer than access.Remote fetches is only begun: when the object
// store is lost in the middle of it, so is the connection.
func (f *fetching) ready(d *fetchedMessage) error {
	body, remote := d.body.(access.Remote)
	if !remote {
		return nil
	}
	for i := range f.plan.items {
		if at := d.needs(&f.plan.items[i]); at.off >= 0 && at.n > 0 {
			if err := body.Ready(at.off, at.n); err != nil {
				return err
			}
		}
	}
	return nil
}

// needs gives the octets that an item is made of.
func (d *fetchedMessage) needs(item *wire.FetchItem) span {
	switch item.Kind {
	case wire.FetchRFC822:
		return span{0, d.body.Size()}
	case wire.FetchRFC822Header:
		return d.section(wire.Section{Specifier: wire.Header})
	case wire.FetchRFC822Text:
		return d.section(wire.Section{Specifier: wire.Text})
	case wire.FetchSection:
		at := d.section(item.Section)
		if at.off < 0 || len(item.Section.Fields) > 0 {
			return at
		}
		return at.cut(item)
	case wire.FetchBinary, wire.FetchBinarySize:
		return d.section(wire.Section{Part: item.Section.Part})
	case wire.FetchPreview:
		part := d.previewPart()
		if part == nil {
			return span{off: -1}
		}
		at := bounded(int64(part.BodyOffset), int64(part.BodyOffset+part.BodyLength), d.body.Size())
		return span{at.off, min(at.n, previewOctets)}
	}
	return span{off: -1}
}

// withoutBody notes a message whose octets cannot be had now; nothing is told of it.
func (f *fetching) withoutBody(d *fetchedMessage, err error) error {
	if !errors.Is(err, index.ErrBodyAway) {
		return err
	}
	f.away = err
	if f.nowSeen.Contains(d.UID) {
		f.unread = append(f.unread, index.UIDRange{Lo: d.UID, Hi: d.UID})
	}
	return nil
}

// unmark takes \Seen from the messages of the batch that got it and could not be read. The client is told of
// their flags as of those that others change, also where that fails for now.
func (f *fetching) unmark(ctx context.Context) error {
	if len(f.unread) == 0 {
		return nil
	}
	unread := uidset.Of(f.unread...)
	f.unread = f.unread[:0]
	for _, t := range f.own {
		t.uids.Subtract(unread)
	}
	_, _, err := f.storeFlags(ctx, unread, access.StoreRequest{Op: access.Remove, Flags: index.FlagSeen})
	if errors.Is(err, cluster.ErrUnavailable) || errors.Is(err, cluster.ErrStorageFull) {
		return nil
	}
	return err
}
