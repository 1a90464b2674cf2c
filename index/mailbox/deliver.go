package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/staging"
)

// Deliver files one message for each target that takes it. The body is kept once.
func (x *Execution) Deliver(cmd *indexpb.DeliverCommand) (*indexpb.Result, error) {
	return x.DeliverAnd(cmd)
}

// DeliverAnd is Deliver with more users of the body beside the targets: each of uses notes one, if the message
// can be kept at all. The caller releases them (index/staging).
func (x *Execution) DeliverAnd(cmd *indexpb.DeliverCommand, uses ...func(index.BodyID) error) (*indexpb.Result, error) {
	if cmd.Summary == nil || len(cmd.Targets) > MaxTargets {
		return refuse(indexpb.Code_CODE_INVALID, "a delivery has a summary and at most %d targets", MaxTargets), nil
	}
	plan, code, err := x.bodies.Prepare(cmd.Body)
	if err != nil || code != indexpb.Code_CODE_OK {
		return refuse(code, "the body cannot be kept"), err
	}
	d := delivery{plan: plan, summary: cmd.Summary}
	res := &indexpb.Result{Targets: make([]*indexpb.TargetResult, len(cmd.Targets))}
	for i, t := range cmd.Targets {
		if res.Targets[i], err = x.deliverTo(&d, t); err != nil {
			return nil, fmt.Errorf("deliver to account %d: %w", t.GetAccount(), err)
		}
	}
	for _, use := range uses {
		if err := x.assign(&d); err != nil {
			return nil, err
		}
		d.refs++
		if err := use(d.id); err != nil {
			return nil, err
		}
	}
	if d.refs > 0 {
		if err := plan.Commit(&x.bodies, d.refs); err != nil {
			return nil, fmt.Errorf("keep body: %w", err)
		}
	}
	return res, x.forgetDeliveries(d.id)
}

// delivery is what the targets of one Deliver share.
type delivery struct {
	plan    *staging.Plan
	id      index.BodyID // 0 until a target took the message
	refs    uint64
	summary *indexpb.Summary
	encoded []byte
}

func (x *Execution) deliverTo(d *delivery, t *indexpb.DeliverTarget) (*indexpb.TargetResult, error) {
	name, res := checkTarget(t)
	if res != nil {
		return res, nil
	}
	a, err := x.account(index.AccountID(t.Account))
	if err != nil {
		return nil, err
	}
	if res, err := x.delivered(a, t.DedupKey); res != nil || err != nil {
		return res, err
	}
	size := d.summary.Size
	if !a.fits(t.Limits, 1, size) {
		return &indexpb.TargetResult{Code: indexpb.Code_CODE_OVER_QUOTA}, nil
	}
	m, err := x.named(a, name)
	if err != nil {
		return nil, err
	}
	if m == nil {
		made, refusal, err := x.makePath(a, name, 0)
		if err != nil || refusal != nil {
			return &indexpb.TargetResult{Code: refusal.GetCode(), Text: refusal.GetText()}, err
		}
		m = made
	}
	if !m.room(1) {
		return &indexpb.TargetResult{Code: indexpb.Code_CODE_INVALID, Text: "the mailbox has no UIDs left"}, nil
	}
	if err := x.assign(d); err != nil {
		return nil, err
	}
	flags := &indexpb.FlagRecord{System: t.SystemFlags, Keywords: m.numbers(t.Keywords)}
	u, err := x.file(m, flags, d.summary, d.encoded)
	if err != nil {
		return nil, err
	}
	a.use(1, size)
	d.refs++
	res = &indexpb.TargetResult{MailboxId: uint32(m.id), UidValidity: m.rec.UidValidity, Uid: uint32(u)}
	return res, x.remember(a, t.DedupKey, m, u)
}

// checkTarget returns the mailbox's name, or why there can be no delivery to t.
func checkTarget(t *indexpb.DeliverTarget) (name string, res *indexpb.TargetResult) {
	name = t.GetMailbox()
	if name == "" {
		name = index.Inbox
	}
	err := checkName(name)
	if err == nil {
		err = checkFlags(t.GetSystemFlags(), t.GetKeywords())
	}
	if n := len(t.GetDedupKey()); err == nil && (t.GetAccount() == 0 || n != 0 && n != keys.DedupKeySize) {
		err = fmt.Errorf("no account, or a deduplication key of %d bytes", n)
	}
	if err != nil {
		return "", &indexpb.TargetResult{Code: indexpb.Code_CODE_INVALID, Text: err.Error()}
	}
	return name, nil
}

// assign gives the message its body's id and encodes the summary, the first time.
func (x *Execution) assign(d *delivery) (err error) {
	if d.id != 0 {
		return nil
	}
	if d.id, err = d.plan.Assign(&x.bodies); err != nil {
		return err
	}
	d.encoded, err = x.summarise(d.summary, d.id)
	return err
}

// summarise completes a summary from a command and encodes it.
func (x *Execution) summarise(s *indexpb.Summary, id index.BodyID) ([]byte, error) {
	s.BodyId, s.SaveDate = uint64(id), x.now
	encoded, err := s.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode summary: %w", err)
	}
	return encoded, nil
}
