package lessons

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

// Teacher makes commands of lessons.
type Teacher struct {
	// Propose commits a command in the partition of its account. A cluster that cannot execute it yet is command.ErrTooEarly.
	Propose func(ctx context.Context, a index.AccountID, c *bayespb.TrainCommand) (*bayespb.TrainResult, error)
	// SharedDay is how many trainings of an account in a day the cluster's model learns from.
	SharedDay func() uint32
}

var _ Learner = Teacher{}

// Learn implements Learner.
func (t Teacher) Learn(ctx context.Context, l Lesson, octets []byte) (changed bool, err error) {
	res, err := t.Teach(ctx, l, octets)
	return res.GetChanged(), err
}

// Teach is Learn with all that became of it. A message that has no tokens is not learnt.
func (t Teacher) Teach(ctx context.Context, l Lesson, octets []byte) (*bayespb.TrainResult, error) {
	key := bayes.KeyOf(octets)
	cmd := &bayespb.TrainCommand{Action: bayespb.Action_ACTION_RETRACT, Account: uint64(l.Account), Key: key[:], Class: classOf(l.Class)}
	if !l.Withdrawn {
		tokens := bayes.Tokenize(octets)
		if tokens.Len() == 0 {
			return new(bayespb.TrainResult), nil
		}
		cmd.Action, cmd.Tokens, cmd.SharedDay, cmd.Implied = bayespb.Action_ACTION_LEARN, training.Pack(tokens.Sorted()), t.SharedDay(), l.Implied
	}
	res, err := t.Propose(ctx, l.Account, cmd)
	if err != nil {
		return nil, err
	}
	if res.Refused != "" {
		return nil, fmt.Errorf("train account %d: %s", l.Account, res.Refused)
	}
	return res, nil
}

// classOf is how a class is stored; none is any.
func classOf(c Class) bayespb.Class {
	switch c {
	case Spam:
		return bayespb.Class_CLASS_SPAM
	case Ham:
		return bayespb.Class_CLASS_HAM
	}
	return bayespb.Class_CLASS_NONE
}
