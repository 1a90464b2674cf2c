package imapd

import (
	"context"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Judgement is what a user said, by what was done with them, of messages: that they are junk, or not.
type Judgement struct {
	Account     index.AccountID // whose the mailbox is
	Mailbox     string          // where they are now
	UIDValidity uint32
	UIDs        *uidset.Set
	Junk        bool
	Implied     bool // by an act that has another purpose
	Withdrawn   bool // it is said of them no more
}

// Judges hears of judgements. It returns at once, and is called from many sessions.
type Judges interface {
	Judged(j Judgement)
}

// JudgedMailstore is Mailstore whose users are listened to:
//
//   - copied or moved into a mailbox for \Junk (RFC 6154): junk;
//   - copied or moved out of it, unless to one for \Trash: not junk;
//   - $Junk and $NotJunk, or Junk and NonJunk as older clients say, set or taken away: that;
//   - \Answered set on a message outside \Junk, or moved into a mailbox for \Archive: not junk, by implication.
func JudgedMailstore(s *mailstore.Store, judges Judges) func(index.AccountID) engine.Account {
	return func(a index.AccountID) engine.Account {
		return account{Account: s.Account(a), store: s, judges: judges}
	}
}

// judged is a mailbox whose user is listened to.
type judged struct {
	mailbox
	account *mailstore.Account
	judges  Judges
}

var _ engine.Mailbox = judged{}

// Copy implements engine.Mailbox.
func (m judged) Copy(ctx context.Context, uids *uidset.Set, to string) (access.CopyResult, error) {
	res, err := m.mailbox.Copy(ctx, uids, to)
	m.filed(ctx, to, res, err, false)
	return res, err
}

// Move implements engine.Mailbox.
func (m judged) Move(ctx context.Context, uids *uidset.Set, to string) (access.CopyResult, error) {
	res, err := m.mailbox.Move(ctx, uids, to)
	m.filed(ctx, to, res, err, true)
	return res, err
}

// filed tells what follows from messages having got into another mailbox.
func (m judged) filed(ctx context.Context, to string, res access.CopyResult, err error, moved bool) {
	if err != nil || len(res.To) == 0 {
		return
	}
	dest, err := m.account.Mailbox(ctx, to)
	if err != nil {
		return // it is gone again
	}
	j := Judgement{Account: m.account.ID(), Mailbox: dest.Name, UIDValidity: res.UIDValidity, UIDs: uidset.Of(res.To...)}
	from, into := m.Info().SpecialUse, dest.SpecialUse
	switch {
	case from&index.UseJunk == 0 && into&index.UseJunk != 0:
		j.Junk = true
	case from&index.UseJunk != 0 && into&(index.UseJunk|index.UseTrash) == 0:
	case moved && from&index.UseJunk == 0 && into&index.UseArchive != 0:
		j.Implied = true
	default:
		return
	}
	m.judges.Judged(j)
}

// Store implements engine.Mailbox.
func (m judged) Store(ctx context.Context, req access.StoreRequest) (access.StoreResult, error) {
	res, err := m.mailbox.Store(ctx, req)
	if err == nil && res.Changed != nil && res.Changed.Len() > 0 {
		m.flagged(req, res.Changed)
	}
	return res, err
}

// flagged tells what follows from flags that were changed.
func (m judged) flagged(req access.StoreRequest, changed *uidset.Set) {
	info := m.Info()
	j := Judgement{Account: m.account.ID(), Mailbox: info.Name, UIDValidity: info.UIDValidity, UIDs: changed.Clone(), Withdrawn: req.Op == access.Remove}
	junk, notJunk := says(req.Keywords, "$Junk", "Junk"), says(req.Keywords, "$NotJunk", "NonJunk", "NotJunk")
	switch {
	case junk && notJunk: // nobody knows
	case junk:
		j.Junk = true
		m.judges.Judged(j)
	case notJunk:
		m.judges.Judged(j)
	case req.Op == access.Add && req.Flags&index.FlagAnswered != 0 && info.SpecialUse&index.UseJunk == 0:
		j.Implied = true
		m.judges.Judged(j)
	}
}

// says reports whether one of the words is among keywords, in any case.
func says(keywords []string, words ...string) bool {
	return slices.ContainsFunc(keywords, func(k string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(k, w) })
	})
}
