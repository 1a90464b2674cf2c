package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
	"github.com/rookery-mail/rookery/mta/bayes/lessons"
	"github.com/rookery-mail/rookery/mta/bayes/training"
)

var _ adminapi.Spam = (*Node)(nil)

// minTrainingID is how much of a training's id has to be given.
const minTrainingID = 6

// learned calls fn with what the partition of an account shows now.
func (n *Node) learned(ctx context.Context, a directory.Account, fn func(kv.Reader) error) error {
	if n.holds(a.Partition) {
		if err := n.freshMail(ctx, a.ID); err != nil {
			return err
		}
	}
	s, err := n.anySnapshot(a.Partition)
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

// SpamStatus tells what there is to classify by.
func (n *Node) SpamStatus(ctx context.Context, address string) (out adminapi.SpamStatus, err error) {
	settings, c := n.spam.settings(), n.spam.lessons.Counts()
	out = adminapi.SpamStatus{On: settings.Bayes, Least: settings.BayesLeast,
		Lessons: map[string]uint64{"learnt": c.Learnt.Load(), "known": c.Known.Load(), "failed": c.Failed.Load(), "left": c.Left.Load()}}
	if m := n.spam.models.Cluster(); m != nil {
		out.Cluster = adminapi.SpamModel{Spam: m.Spam, Ham: m.Ham, Tokens: m.Len(), Counts: m.Knows(settings.BayesLeast)}
	}
	if address == "" {
		return out, nil
	}
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	err = n.learned(ctx, a, func(r kv.Reader) error {
		rec, err := training.Model(r, a.ID)
		if err != nil {
			return err
		}
		own := &bayes.Model{Spam: rec.Spam, Ham: rec.Ham}
		out.Account = &adminapi.SpamAccount{Trainings: rec.Remembered, SharedSpam: rec.SharedSpam, SharedHam: rec.SharedHam,
			SpamModel: adminapi.SpamModel{Spam: rec.Spam, Ham: rec.Ham, Tokens: int(rec.Tokens), Counts: own.Knows(settings.BayesLeast)}}
		if time.Since(time.UnixMilli(rec.Day)) < 24*time.Hour {
			out.Account.SharedToday = rec.SharedDay
		}
		return nil
	})
	return out, err
}

// SpamTrainings lists what can be taken back.
func (n *Node) SpamTrainings(ctx context.Context, address string) ([]adminapi.SpamTraining, error) {
	out := []adminapi.SpamTraining{}
	a, err := n.account(address)
	if err != nil {
		return nil, err
	}
	list, err := n.trainings(ctx, a)
	for _, t := range slices.Backward(list) {
		out = append(out, adminapi.SpamTraining{ID: hex.EncodeToString(t.Key[:]), At: time.UnixMilli(t.Record.At).UTC(), Class: className(t.Record.Class),
			Tokens: len(t.Record.Tokens) / 8, Shared: t.Record.Shared})
	}
	return out, err
}

func (n *Node) trainings(ctx context.Context, a directory.Account) (list []training.Trained, err error) {
	err = n.learned(ctx, a, func(r kv.Reader) error {
		list, err = training.Trainings(r, a.ID, 0, training.MaxRemembered)
		return err
	})
	return list, err
}

func className(c bayespb.Class) string {
	switch c {
	case bayespb.Class_CLASS_SPAM:
		return "spam"
	case bayespb.Class_CLASS_HAM:
		return "ham"
	}
	return ""
}

// adminShared is how often a day the cluster learns what an operator says: always.
const adminShared = 1 << 30

// TrainSpam has an account learn a message, and the cluster.
func (n *Node) TrainSpam(ctx context.Context, address string, in adminapi.SpamLesson) (out adminapi.SpamTrained, err error) {
	l := lessons.Lesson{Class: lessons.Ham}
	if in.Spam {
		l.Class = lessons.Spam
	}
	return n.teach(ctx, address, l, in.Message)
}

func (n *Node) teach(ctx context.Context, address string, l lessons.Lesson, octets []byte) (out adminapi.SpamTrained, err error) {
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	if len(octets) == 0 {
		return out, fmt.Errorf("%w: there is no message", directory.ErrInvalid)
	}
	l.Account = a.ID
	t := n.spam.teacher
	t.SharedDay = func() uint32 { return adminShared }
	res, err := t.Teach(ctx, l, octets[:min(len(octets), bayes.MaxOctets)])
	if err != nil {
		return out, tooEarly(err)
	}
	return trained(res), nil
}

func trained(res *bayespb.TrainResult) adminapi.SpamTrained {
	return adminapi.SpamTrained{Changed: res.Changed, Was: className(res.Was), Shared: res.Shared}
}

// tooEarly has a cluster that is being upgraded say so.
func tooEarly(err error) error {
	if errors.Is(err, command.ErrTooEarly) {
		return fmt.Errorf("%w: %w", directory.ErrConflict, err)
	}
	return err
}

// UndoSpam takes a training back.
func (n *Node) UndoSpam(ctx context.Context, address string, u adminapi.SpamUndo) (out adminapi.SpamTrained, err error) {
	if u.ID == "" {
		return n.teach(ctx, address, lessons.Lesson{Withdrawn: true}, u.Message)
	}
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	list, err := n.trainings(ctx, a)
	if err != nil {
		return out, err
	}
	var found []training.Trained
	for _, t := range list {
		if len(u.ID) >= minTrainingID && strings.HasPrefix(hex.EncodeToString(t.Key[:]), strings.ToLower(u.ID)) {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return out, fmt.Errorf("%w: %d trainings of %s have an id that begins with %q (at least %d characters)", directory.ErrNotFound, len(found), address, u.ID, minTrainingID)
	}
	res, err := n.retract(ctx, a.ID, found[0].Key)
	if err != nil {
		return out, err
	}
	return trained(res), nil
}

func (n *Node) retract(ctx context.Context, a index.AccountID, key bayes.Key) (*bayespb.TrainResult, error) {
	return n.proposeTraining(ctx, a, &bayespb.TrainCommand{Action: bayespb.Action_ACTION_RETRACT, Account: uint64(a), Key: key[:]})
}

// ForgetSpam drops what an account has learnt. Done again it ends what an earlier one began.
func (n *Node) ForgetSpam(ctx context.Context, address string, f adminapi.SpamForget) (out adminapi.SpamForgotten, err error) {
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	if f.Shared {
		list, err := n.trainings(ctx, a)
		if err != nil {
			return out, err
		}
		for _, t := range list {
			if !t.Record.Shared {
				continue
			}
			if _, err := n.retract(ctx, a.ID, t.Key); err != nil {
				return out, fmt.Errorf("%d trainings of %s are taken back, not all: %w", out.TakenBack, address, err)
			}
			out.TakenBack++
		}
	}
	res, err := n.proposeTrainingTo(ctx, a.Partition, &bayespb.TrainCommand{Action: bayespb.Action_ACTION_FORGET, Account: uint64(a.ID)})
	if err != nil {
		return out, tooEarly(err)
	}
	out.Changed = res.Changed || out.TakenBack > 0
	return out, nil
}

// ExplainSpam tells what is known of a message, token by token.
func (n *Node) ExplainSpam(ctx context.Context, address string, m adminapi.SpamMessage) (out adminapi.SpamOpinion, err error) {
	tokens := bayes.Tokenize(m.Message)
	var o bayes.Opinion
	if address == "" {
		o, out.Known = n.spam.models.Classify(ctx, training.Common, tokens)
	} else {
		a, err := n.account(address)
		if err != nil {
			return out, err
		}
		if n.holds(a.Partition) {
			if err := n.freshMail(ctx, a.ID); err != nil {
				return out, err
			}
		}
		if o, out.Known, err = n.spam.models.Explain(a.ID, tokens); err != nil {
			return out, err
		}
	}
	out.Probability, out.Score, out.Used, out.Tokens = o.Probability, o.Score, o.Used, tokens.Len()
	for _, e := range o.Tokens {
		out.Weightiest = append(out.Weightiest, adminapi.SpamToken(e))
	}
	return out, nil
}
