package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// accountState is an account while a command executes.
type accountState struct {
	id        index.AccountID
	rec       indexpb.AccountRecord
	mailboxes []*mailboxState // the loaded ones
	bumped    bool            // rec.ModSeq is this command's
	dirty     bool
}

// defaults are the mailboxes that a new account has besides INBOX.
func defaults() []struct {
	name string
	use  index.SpecialUse
} {
	return []struct {
		name string
		use  index.SpecialUse
	}{
		{"Archive", index.UseArchive},
		{"Drafts", index.UseDrafts},
		{"Junk", index.UseJunk},
		{"Sent", index.UseSent},
		{"Trash", index.UseTrash},
	}
}

// account loads an account, or makes it where this is its first use. The id is not 0.
func (x *Execution) account(id index.AccountID) (*accountState, error) {
	for _, a := range x.accounts {
		if a.id == id {
			return a, nil
		}
	}
	a := &accountState{id: id}
	value, ok, err := x.get(keys.Account(x.key[:0], id))
	if err != nil {
		return nil, fmt.Errorf("read account %d: %w", id, err)
	}
	x.accounts = append(x.accounts, a)
	if !ok {
		return a, x.makeAccount(a)
	}
	if err := a.rec.UnmarshalVT(value); err != nil {
		return nil, fmt.Errorf("record of account %d: %w: %w", id, err, ErrCorrupt)
	}
	return a, nil
}

func (x *Execution) makeAccount(a *accountState) error {
	if _, err := x.makeMailbox(a, index.Inbox, 0, true); err != nil {
		return err
	}
	for _, d := range defaults() {
		if _, err := x.makeMailbox(a, d.name, d.use, true); err != nil {
			return err
		}
	}
	return nil
}

// modSeq returns the account's modification sequence of this command, taking the next one the
// first time.
func (a *accountState) modSeq() uint64 {
	if !a.bumped {
		a.rec.ModSeq++
		a.bumped, a.dirty = true, true
	}
	return a.rec.ModSeq
}

// uidValidity gives out the account's next UIDVALIDITY: the time in seconds, or one more than the
// last where that is higher, so that it ascends strictly whatever the clocks do.
func (a *accountState) uidValidity(now int64) uint32 {
	a.rec.LastUidValidity = max(uint32(min(max(now/1000, 1), 1<<32-1)), a.rec.LastUidValidity+1)
	a.dirty = true
	return a.rec.LastUidValidity
}

// fits reports whether messages more of bytes octets in all are within the limits.
func (a *accountState) fits(l *indexpb.Limits, messages, bytes uint64) bool {
	maxBytes, maxMessages := l.GetBytes(), l.GetMessages()
	return (maxBytes == 0 || a.rec.UsedBytes+bytes <= maxBytes) &&
		(maxMessages == 0 || a.rec.UsedMessages+messages <= maxMessages)
}

// use counts messages and bytes as used.
func (a *accountState) use(messages, bytes uint64) {
	a.rec.UsedMessages += messages
	a.rec.UsedBytes += bytes
	a.dirty = true
}

// free counts messages and bytes as no longer used.
func (a *accountState) free(messages, bytes uint64) {
	a.rec.UsedMessages -= messages
	a.rec.UsedBytes -= bytes
	a.dirty = true
}
