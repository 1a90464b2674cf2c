package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// brakes are those that accounts are under, as the settings of the cluster say.
func (p *queuePolicy) brakes() *queuepb.Brakes {
	s := p.settings()
	return &queuepb.Brakes{MessagesHour: uint32(s.SendMessagesHour), RecipientsDay: uint32(s.SendRecipientsDay),
		StrangersDay: uint32(s.SendStrangersDay), RejectionsDay: uint32(s.SendRejectionsDay), Hold: s.SendOver == "hold"}
}

// may says what this node's replica knows against a message of an account. Where there is none it knows nothing: the queue decides.
func (n *Node) may(a index.AccountID, recipients int) error {
	g, err := n.locate(a)
	if err != nil {
		return nil
	}
	r, err := n.fresh(g)
	if err != nil {
		return nil
	}
	s := r.Snapshot()
	defer s.Close()
	rec, err := queue.Conduct(s, a)
	if err != nil {
		return nil
	}
	if over := queue.Over(rec, n.outbound.policy.brakes(), recipients, time.Now()); over != nil {
		return over
	}
	return nil
}

// The pace of tellHolds: between two looks, and after one that failed.
const (
	holdsEvery = time.Second
	holdsAgain = 30 * time.Second
)

// tellHolds is leader work of a partition: administrators hear of each account that its brakes hold.
func (n *Node) tellHolds(ctx context.Context, r *replica) {
	if n.outbound == nil {
		return
	}
	for ctx.Err() == nil {
		wake, pause := r.queue.Watch(), holdsEvery
		if err := n.tellHoldsOnce(ctx, r); err != nil && ctx.Err() == nil {
			n.log.Warn("administrators could not be told of an account that is held", "group", r.ID().String(), "error", err)
			pause = holdsAgain
		} else {
			select {
			case <-ctx.Done():
			case <-wake:
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// holdsAtOnce is how many holds are told of in one look.
const holdsAtOnce = 20

func (n *Node) tellHoldsOnce(ctx context.Context, r *replica) error {
	held, err := unnoticed(r)
	if err != nil {
		return err
	}
	for a, rec := range held {
		if err := n.tellHold(ctx, a, rec); err != nil {
			return err
		}
		if _, err := n.proposeQueue(ctx, r.ID(), command.EditConduct, &queuepb.EditConductCommand{Account: uint64(a), Noticed: true, HeldSince: rec.HeldSince}); err != nil {
			return err
		}
	}
	return nil
}

// unnoticed are the accounts of a partition that are held, and of which nobody was told.
func unnoticed(r *replica) (map[index.AccountID]*queuepb.ConductRecord, error) {
	s := r.Snapshot()
	defer s.Close()
	list, err := queue.Unnoticed(s, holdsAtOnce)
	if err != nil {
		return nil, err
	}
	held := make(map[index.AccountID]*queuepb.ConductRecord, len(list))
	for _, a := range list {
		if held[a], err = queue.Conduct(s, a); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// tellHold posts the notice of a hold. What a leader before had posted already arrives no second time.
func (n *Node) tellHold(ctx context.Context, a index.AccountID, rec *queuepb.ConductRecord) error {
	who := n.nameOf(a)
	n.log.Warn("an account is held: what it sends to other domains waits", "account", who, "why", rec.HeldWhy)
	people, err := n.responsible()
	if err != nil {
		return err
	}
	if len(people) == 0 {
		return nil // there is nobody but the log
	}
	since := time.UnixMilli(rec.HeldSince).UTC()
	var errs []error
	for _, to := range people {
		errs = append(errs, n.post(ctx, n.note(fmt.Sprintf("held.%d.%d", uint64(a), rec.HeldSince), since, to,
			"Mail of "+who+" is held", holdText(who, rec.HeldWhy, since))))
	}
	failed := errors.Join(errs...)
	for _, err := range errs {
		if err == nil { // who could not be told is not worth telling the others again
			if failed != nil {
				n.log.Warn("an administrator could not be told of an account that is held", "account", who, "error", failed)
			}
			return nil
		}
	}
	return failed
}

// holdText is what a notice says.
func holdText(who, why string, since time.Time) string {
	return strings.Join([]string{
		"What " + who + " sends to other domains is held since " + since.Format("2006-01-02 15:04 MST") + ".",
		"", "  " + why, "",
		"Nothing that it queued leaves before you release it. Mail between users here is not held.", "",
		"See what it sent:    rookery queue list --account " + who,
		"                     rookery account show " + who,
		"Lock its user out:   rookery account set " + who + " --disable",
		"                     rookery account password " + who,
		"Let it send again:   rookery account release " + who,
		"without what waits:  rookery account release " + who + " --delete-held", ""}, "\n")
}

// responsible are the addresses of those who run the cluster: whom mail to the postmaster comes to, and the administrators.
func (n *Node) responsible() (people []string, err error) {
	seen := map[string]bool{}
	add := func(address string) {
		if !seen[address] {
			seen[address] = true
			people = append(people, address)
		}
	}
	err = n.view(func(v directory.View) error {
		who, err := v.Resolve(directory.Postmaster)
		if err != nil && !errors.Is(err, directory.ErrNoUser) {
			return err
		}
		for _, t := range who.Accounts {
			add(t.Account.Address)
		}
		for _, address := range who.Remote {
			add(address)
		}
		admins, err := v.Administrators()
		for _, a := range admins {
			add(a.Address)
		}
		return err
	})
	return people, err
}
