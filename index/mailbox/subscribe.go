package mailbox

import (
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// Subscribe subscribes to a name or ends that. The name need not be a mailbox (RFC 9051, sections
// 6.3.7 and 6.3.8).
func (x *Execution) Subscribe(cmd *indexpb.SubscribeCommand) (*indexpb.Result, error) {
	if err := checkName(cmd.Name); err != nil {
		return Invalid(err), nil
	}
	if cmd.Account == 0 {
		return refuse(indexpb.Code_CODE_INVALID, "no account"), nil
	}
	a, err := x.account(index.AccountID(cmd.Account))
	if err != nil {
		return nil, err
	}
	m, err := x.named(a, cmd.Name)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if m.rec.Subscribed != cmd.Subscribe {
			m.rec.Subscribed, m.rec.NameModSeq, m.dirty = cmd.Subscribe, a.modSeq(), true
		}
		return &indexpb.Result{ModSeq: a.rec.ModSeq}, nil
	}
	key := keys.Subscription(nil, a.id, cmd.Name)
	_, there, err := x.b.Get(key)
	if err != nil {
		return nil, err
	}
	switch {
	case cmd.Subscribe && !there:
		err = x.b.Set(key, nil)
	case !cmd.Subscribe && there:
		err = x.b.Delete(key)
	default:
		return &indexpb.Result{ModSeq: a.rec.ModSeq}, nil
	}
	return &indexpb.Result{ModSeq: a.modSeq()}, err
}
