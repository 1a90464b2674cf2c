package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/bayes"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
	"github.com/rookery-mail/rookery/mta/bayes/lessons"
	"github.com/rookery-mail/rookery/mta/bayes/models"
)

// spam is what the node knows of unwanted mail, and has the cluster learn.
type spam struct {
	n       *Node
	models  *models.Models
	teacher lessons.Teacher
	lessons *lessons.Queue
	known   moment[struct{}, directory.Settings]
}

// openSpam makes the classifier and what teaches it.
func (n *Node) openSpam() {
	s := &spam{n: n}
	s.models = models.New(models.Config{Snapshot: n.anySnapshot, Partitions: n.mailGroups, Locate: n.locate,
		Least: func() int { return s.settings().BayesLeast }, Logger: n.log})
	s.teacher = lessons.Teacher{Propose: n.proposeTraining, SharedDay: func() uint32 { return uint32(s.settings().BayesSharedDay) }}
	s.lessons = lessons.New(lessons.Mailstore(n.shared), s.teacher, n.log)
	n.spam = s
	n.counters.lessons(s.lessons.Counts())
}

// run keeps models up to date, and has lessons learnt, until ctx ends. The doors are closed before.
func (s *spam) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { s.models.Run(ctx) })
	s.lessons.Run(ctx)
	work.Wait()
	s.models.Close()
}

// settings are those of the directory, as they are now; the defaults where it cannot be read. Each message asks.
func (s *spam) settings() directory.Settings {
	now, err := remembered(s.n, &s.known, struct{}{}, directory.View.Settings)
	if err == nil {
		return now
	}
	if !errors.Is(err, cluster.ErrNoReplica) {
		s.n.log.Warn("could not read how spam is classified", "error", err)
	}
	return directory.Settings{Bayes: true, BayesLeast: 50, BayesSharedDay: 20}
}

// classify says what has been learnt of messages like one; account 0 is by the cluster's model alone. It is not ok where
// that is too little, or is switched off.
func (s *spam) classify(ctx context.Context, a index.AccountID, t *bayes.Tokens) (bayes.Opinion, bool) {
	if !s.settings().Bayes {
		return bayes.Opinion{}, false
	}
	return s.models.Classify(ctx, a, t)
}

var _ imapd.Judges = (*spam)(nil)

// Judged implements imapd.Judges.
func (s *spam) Judged(j imapd.Judgement) {
	if !s.settings().Bayes || s.n.level() < command.Train.Level() {
		return
	}
	l := lessons.Lesson{Account: j.Account, Mailbox: j.Mailbox, UIDValidity: j.UIDValidity, UIDs: j.UIDs, Class: lessons.Ham,
		Implied: j.Implied, Withdrawn: j.Withdrawn}
	if j.Junk {
		l.Class = lessons.Spam
	}
	s.lessons.Add(l)
}

// anySnapshot shows a partition wherever it is.
func (n *Node) anySnapshot(g cluster.GroupID) (kv.Snapshot, error) {
	r, err := n.anyReplica(g)
	if err != nil {
		return nil, err
	}
	return r.Snapshot(), nil
}

// mailGroups are the partitions.
func (n *Node) mailGroups() (list []cluster.GroupID, err error) {
	all, err := n.partitions()
	for _, g := range all {
		list = append(list, cluster.GroupID(g))
	}
	return list, err
}

// proposeTraining commits a training in the partition of its account.
func (n *Node) proposeTraining(ctx context.Context, a index.AccountID, c *bayespb.TrainCommand) (*bayespb.TrainResult, error) {
	g, err := n.locate(a)
	if err != nil {
		return nil, err
	}
	return n.proposeTrainingTo(ctx, g, c)
}

// proposeTrainingTo is proposeTraining with the partition known.
func (n *Node) proposeTrainingTo(ctx context.Context, g cluster.GroupID, c *bayespb.TrainCommand) (*bayespb.TrainResult, error) {
	data, err := c.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode a training: %w", err)
	}
	encoded, _, err := n.router.Propose(ctx, g, command.Command{ID: mailstore.RandomID(), Kind: command.Train, Time: time.Now(), Payload: data})
	if err != nil {
		return nil, err
	}
	res := new(bayespb.TrainResult)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, fmt.Errorf("decode the result of a training: %w", err)
	}
	return res, nil
}

// forgetTrainings drops what an account that is gone has learnt. What the cluster learnt from it stays: it is of no one any more.
func (n *Node) forgetTrainings(ctx context.Context, g cluster.GroupID, a index.AccountID) error {
	if n.level() < command.Train.Level() {
		return nil
	}
	_, err := n.proposeTrainingTo(ctx, g, &bayespb.TrainCommand{Action: bayespb.Action_ACTION_FORGET, Account: uint64(a)})
	if errors.Is(err, command.ErrTooEarly) {
		return nil
	}
	return err
}

// lessons adds what became of messages that users filed as junk or not.
func (c *counters) lessons(counts *lessons.Counts) {
	for outcome, count := range map[string]func() uint64{"learnt": counts.Learnt.Load, "known": counts.Known.Load, "failed": counts.Failed.Load, "left": counts.Left.Load} {
		c.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_spam_lessons_total",
			Help:        "Messages that users of this node filed as junk or not, by what became of learning them; left were too many.",
			ConstLabels: prometheus.Labels{"outcome": outcome}}, func() float64 { return float64(count()) }))
	}
}
