package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/staging"
)

// Append files messages into one mailbox, all or none (RFC 9051, section 6.3.12; RFC 3502).
func (x *Execution) Append(cmd *indexpb.AppendCommand) (*indexpb.Result, error) {
	if err := checkAppend(cmd); err != nil {
		return Invalid(err), nil
	}
	m, res, err := x.destination(cmd.Account, cmd.Mailbox)
	if err != nil || res != nil {
		return res, err
	}
	if res := m.checkRoom(cmd, freed{}); res != nil {
		return res, nil
	}
	return x.appendAll(m, cmd)
}

// destination loads the mailbox that messages are to go to, or says why it cannot.
func (x *Execution) destination(account uint64, name string) (*mailboxState, *indexpb.Result, error) {
	a, err := x.account(index.AccountID(account))
	if err != nil {
		return nil, nil, err
	}
	m, err := x.named(a, name)
	if err != nil {
		return nil, nil, err
	}
	if m == nil {
		return nil, refuse(indexpb.Code_CODE_TRY_CREATE, "no mailbox %q", name), nil
	}
	return m, nil, nil
}

// appendAll files the messages of a command that was checked.
func (x *Execution) appendAll(m *mailboxState, cmd *indexpb.AppendCommand) (*indexpb.Result, error) {
	plans, res, err := x.prepareAll(cmd.Messages)
	if err != nil || res != nil {
		return res, err
	}
	res = &indexpb.Result{MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity}
	uids := make([]index.UID, len(plans))
	for i, p := range plans {
		if uids[i], err = x.appendOne(m, cmd.Messages[i], p); err != nil {
			return nil, fmt.Errorf("append to mailbox %d of account %d: %w", m.id, m.account.id, err)
		}
	}
	res.To, res.ModSeq = ranges(uids), m.account.modSeq()
	return res, nil
}

func checkAppend(cmd *indexpb.AppendCommand) error {
	if cmd.Account == 0 || len(cmd.Messages) == 0 || len(cmd.Messages) > MaxMessages {
		return fmt.Errorf("an append has an account and 1 to %d messages", MaxMessages)
	}
	uploads := make(map[string]bool)
	packs := make(map[uint64]bool)
	for _, in := range cmd.Messages {
		if in.GetSummary() == nil {
			return fmt.Errorf("a message without summary")
		}
		if err := checkFlags(in.SystemFlags, in.Keywords); err != nil {
			return err
		}
		if u := string(in.Body.GetUploadId()); u != "" {
			if uploads[u] {
				return fmt.Errorf("one upload for two messages")
			}
			uploads[u] = true
		}
		if p := in.Body.GetPack(); p != 0 {
			if packs[p] {
				return fmt.Errorf("one pack for two messages")
			}
			packs[p] = true
		}
	}
	return checkName(cmd.Mailbox)
}

// freed is what a command frees of the quota before it uses some.
type freed struct{ messages, bytes uint64 }

// checkRoom looks at quota, UIDs and keywords for all messages together. What is freed is in use now, so
// that the differences may wrap and the sums do not.
func (m *mailboxState) checkRoom(cmd *indexpb.AppendCommand, f freed) *indexpb.Result {
	bytes := uint64(0)
	var keywords []string
	for _, in := range cmd.Messages {
		bytes += in.Summary.Size
		keywords = append(keywords, in.Keywords...)
	}
	if !m.account.fits(cmd.Limits, uint64(len(cmd.Messages))-f.messages, bytes-f.bytes) {
		return refuse(indexpb.Code_CODE_OVER_QUOTA, "over quota")
	}
	if !m.room(len(cmd.Messages)) {
		return refuse(indexpb.Code_CODE_INVALID, "the mailbox has no UIDs left")
	}
	if !m.takes(keywords) {
		return refuse(indexpb.Code_CODE_TOO_MANY_KEYWORDS, "a mailbox has at most %d keywords", MaxKeywords)
	}
	return nil
}

func (x *Execution) prepareAll(messages []*indexpb.AppendMessage) ([]*staging.Plan, *indexpb.Result, error) {
	plans := make([]*staging.Plan, len(messages))
	for i, in := range messages {
		p, code, err := x.bodies.Prepare(in.Body)
		if err != nil || code != indexpb.Code_CODE_OK {
			return nil, refuse(code, "the body of message %d cannot be kept", i+1), err
		}
		plans[i] = p
	}
	return plans, nil, nil
}

func (x *Execution) appendOne(m *mailboxState, in *indexpb.AppendMessage, p *staging.Plan) (index.UID, error) {
	id, err := p.Assign(&x.bodies)
	if err != nil {
		return 0, err
	}
	encoded, err := x.summarise(in.Summary, id)
	if err != nil {
		return 0, err
	}
	flags := &indexpb.FlagRecord{System: in.SystemFlags, Keywords: m.numbers(in.Keywords)}
	u, err := x.file(m, flags, in.Summary, encoded)
	if err != nil {
		return 0, err
	}
	m.account.use(1, in.Summary.Size)
	return u, p.Commit(&x.bodies, 1)
}
