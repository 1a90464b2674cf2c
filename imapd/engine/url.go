package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/index/uidset"
)

// urlError says that a URL leads to nothing that the client may read.
type urlError struct {
	url string
	why error
}

func (e *urlError) Error() string { return "open URL " + e.url + ": " + e.why.Error() }
func (e *urlError) Unwrap() error { return e.why }

// code is the response code of RFC 4469, section 5. What could end it is written as URLs do.
func (e *urlError) code() string {
	return `BADURL "` + strings.NewReplacer("]", "%5D", `"`, "%22", `\`, "%5C").Replace(e.url[:min(len(e.url), 1024)]) + `"`
}

var (
	errURLUser    = errors.New("of another user or server")
	errURLAuth    = errors.New("not signed for this user, or no more")
	errURLSection = errors.New("no such part")
)

// isNothing reports whether an error is of a URL that leads to nothing; others may be temporary.
func isNothing(err error) bool {
	for _, e := range []error{index.ErrNoMailbox, index.ErrNoMessage, index.ErrGone, index.ErrInvalidName, index.ErrNoAccount, errNoPerm, errURLUser, errURLAuth, errURLSection, wire.ErrURL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// urlPart is what a URL names; Close ends it.
type urlPart struct {
	*io.SectionReader
	body access.Body
}

func (p *urlPart) Close() error { return p.body.Close() }

// openURL opens what a URL of the user's own mail names, for CATENATE. The error is a *urlError where that is
// nothing.
func (s *Session) openURL(ctx context.Context, text string) (*urlPart, error) {
	u, err := wire.ParseURL(text)
	if err == nil && u.Absolute && (!equalFold(u.User, s.who.Address) || !s.c.Site.Local(u.Host)) {
		err = errURLUser
	}
	if err == nil && u.Selected {
		if s.box == nil {
			err = wire.ErrURL
		} else {
			u.Mailbox = s.name
		}
	}
	var p *urlPart
	if err == nil {
		p, err = s.openReadable(ctx, &u)
	}
	if err != nil && isNothing(err) {
		return nil, &urlError{text, err}
	}
	return p, err
}

// openReadable opens what a URL names in the user's own mail or in a mailbox of another that the user may read.
func (s *Session) openReadable(ctx context.Context, u *wire.URL) (*urlPart, error) {
	from, err := s.need(ctx, u.Mailbox, index.RightRead)
	if err != nil {
		return nil, err
	}
	u.Mailbox = from.name
	return openPart(ctx, from.account, u)
}

// openPart opens what a URL names in an account. The caller closes it.
func openPart(ctx context.Context, account Account, u *wire.URL) (*urlPart, error) {
	box, err := account.Open(ctx, u.Mailbox)
	if err != nil {
		return nil, err
	}
	if u.UIDValidity != 0 && u.UIDValidity != box.Info().UIDValidity {
		return nil, index.ErrGone
	}
	uid := index.UID(u.UID)
	d := fetchedMessage{}
	err = box.Messages(ctx, uidset.Of(index.UIDRange{Lo: uid, Hi: uid}), func(m access.Message) error {
		m.EncodedEnvelope, m.EncodedStructure = nil, bytes.Clone(m.EncodedStructure)
		d.Message = &m
		return nil
	})
	if err == nil && d.Message == nil {
		err = index.ErrNoMessage
	}
	if err != nil {
		return nil, err
	}
	if d.body, err = box.OpenBody(ctx, uid); err != nil {
		return nil, err
	}
	part, err := d.urlPart(u)
	if err != nil {
		return nil, errors.Join(err, d.body.Close())
	}
	return part, nil
}

// maxURLHeader is the largest header of which a URL names single fields, since they are held.
const maxURLHeader = 256 << 10

// urlPart finds the octets that a URL names.
func (d *fetchedMessage) urlPart(u *wire.URL) (*urlPart, error) {
	at := d.section(u.Section)
	if at.off < 0 {
		return nil, errURLSection
	}
	var from io.ReaderAt = d.body
	if len(u.Section.Fields) > 0 {
		if at.n > maxURLHeader {
			return nil, errURLSection
		}
		var kept bytes.Buffer
		header := io.NewSectionReader(d.body, at.off, at.n)
		if err := newFieldFilter(u.Section).copy(&kept, header, message.NewLines()); err != nil {
			return nil, err
		}
		from, at = bytes.NewReader(kept.Bytes()), span{0, int64(kept.Len())}
	}
	if u.Partial {
		at = at.cut(&wire.FetchItem{Partial: true, Offset: u.Offset, Count: u.Count})
	}
	if remote, ok := d.body.(access.Remote); ok && from == io.ReaderAt(d.body) {
		if err := remote.Ready(at.off, at.n); err != nil { // before a literal is begun
			return nil, err
		}
	}
	return &urlPart{SectionReader: io.NewSectionReader(from, at.off, at.n), body: d.body}, nil
}
