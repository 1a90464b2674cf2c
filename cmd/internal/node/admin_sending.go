package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

var _ adminapi.Senders = (*Node)(nil)

// methodConduct asks the leader of a partition what accounts have sent, and which messages are held with one.
const methodConduct = "queue.conduct"

// conductQuery asks about one account, or about all that are held.
type conductQuery struct {
	Group   cluster.GroupID
	Account index.AccountID // 0: all that are held
	Entries bool            // those held with the account, behind After
	After   queue.EntryID
}

// conductAnswer answers it.
type conductAnswer struct {
	Accounts map[index.AccountID]adminapi.Sending
	Entries  []queue.EntryID // up to queue.MaxPlaces
}

// serveConduct answers methodConduct.
func (n *Node) serveConduct(_ context.Context, _ cluster.NodeID, request []byte) ([]byte, error) {
	var q conductQuery
	if err := json.Unmarshal(request, &q); err != nil {
		return nil, fmt.Errorf("read what is asked of accounts: %w", err)
	}
	r, err := n.leader(q.Group)
	if err != nil {
		return nil, err
	}
	s := r.Snapshot()
	defer s.Close()
	out := conductAnswer{Accounts: map[index.AccountID]adminapi.Sending{}}
	switch {
	case q.Entries:
		out.Entries, err = queue.HeldWith(s, q.Account, q.After, queue.MaxPlaces)
	case q.Account == 0:
		err = queue.Conducts(s, func(a index.AccountID, rec *queuepb.ConductRecord) error {
			if rec.HeldSince != 0 {
				out.Accounts[a] = sendingOf(rec, time.Now())
			}
			return nil
		})
	default:
		var rec *queuepb.ConductRecord
		if rec, err = queue.Conduct(s, q.Account); err == nil {
			out.Accounts[q.Account] = sendingOf(rec, time.Now())
		}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func sendingOf(rec *queuepb.ConductRecord, now time.Time) adminapi.Sending {
	s := adminapi.Sending{Held: rec.HeldSince != 0, Why: rec.HeldWhy, Since: timeOf(rec.HeldSince), Told: timeOf(rec.Noticed), HeldMessages: rec.HeldMessages}
	s.Messages, s.Recipients, s.Strangers, s.Rejections = queue.Counted(rec, now)
	return s
}

// timeOf is a time in Unix milliseconds, zero for 0.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// sendingOfAccount asks the leader of an account's partition.
func (n *Node) sendingOfAccount(ctx context.Context, g cluster.GroupID, a index.AccountID) (*adminapi.Sending, error) {
	var out conductAnswer
	if err := n.askLeader(ctx, g, methodConduct, conductQuery{Group: g, Account: a}, &out); err != nil {
		return nil, err
	}
	s := out.Accounts[a]
	return &s, nil
}

// heldPatience is how long a list of accounts waits for partitions to say which are held.
const heldPatience = 3 * time.Second

// heldAccounts are those of all partitions that answer.
func (n *Node) heldAccounts(ctx context.Context) (map[index.AccountID]adminapi.Sending, error) {
	groups, err := n.partitions()
	if err != nil {
		return nil, err
	}
	soon, cancel := context.WithTimeout(ctx, heldPatience)
	defer cancel()
	var mu sync.Mutex
	all := map[index.AccountID]adminapi.Sending{}
	var work errgroup.Group
	work.SetLimit(queuesAtOnce)
	for _, g := range groups {
		work.Go(func() error {
			var out conductAnswer
			if err := n.askLeader(soon, cluster.GroupID(g), methodConduct, conductQuery{Group: cluster.GroupID(g)}, &out); err != nil {
				n.log.Warn("which accounts are held is not known of a partition", "partition", g, "error", err)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(all, out.Accounts)
			return nil
		})
	}
	_ = work.Wait() // no function returns an error
	return all, ctx.Err()
}

// HoldAccount has what an account sends wait.
func (n *Node) HoldAccount(ctx context.Context, address string, h adminapi.SendingHold) error {
	a, err := n.account(address)
	if err != nil {
		return err
	}
	if h.Why == "" {
		h.Why = "an administrator holds the account"
	}
	_, err = n.proposeQueue(ctx, a.Partition, command.EditConduct, &queuepb.EditConductCommand{Account: uint64(a.ID), Hold: true, Why: h.Why})
	return err
}

// ReleaseAccount lets an account send again, and what waited go or be deleted. Done again it ends what an earlier one began.
func (n *Node) ReleaseAccount(ctx context.Context, address string, how adminapi.SendingRelease) (out adminapi.SendingReleased, err error) {
	a, err := n.account(address)
	if err != nil {
		return out, err
	}
	res, err := n.proposeQueue(ctx, a.Partition, command.EditConduct, &queuepb.EditConductCommand{Account: uint64(a.ID)})
	if err != nil {
		return out, err
	}
	out.Was = res.Changed > 0
	edit := queuepb.Edit_EDIT_RELEASE
	if how.DeleteHeld {
		edit = queuepb.Edit_EDIT_DELETE
	}
	for q := (conductQuery{Group: a.Partition, Account: a.ID, Entries: true}); ; {
		var page conductAnswer
		if err := n.askLeader(ctx, a.Partition, methodConduct, q, &page); err != nil {
			return out, fmt.Errorf("%s is released, but not all that waits: %w", address, err)
		}
		if len(page.Entries) == 0 {
			return out, nil
		}
		cmd := &queuepb.EditCommand{Edit: edit, Why: "its account is released"}
		for _, id := range page.Entries {
			cmd.Entries, q.After = append(cmd.Entries, uint64(id)), id
		}
		res, err := n.proposeQueue(ctx, a.Partition, command.EditQueue, cmd)
		if err != nil {
			return out, fmt.Errorf("%s is released, but not all that waits: %w", address, err)
		}
		out.Entries += int(res.Changed)
	}
}

// forgetSender drops what is known of how an account that is gone sent.
func (n *Node) forgetSender(ctx context.Context, g cluster.GroupID, a index.AccountID) error {
	if n.level() < command.LevelThird {
		return nil
	}
	_, err := n.proposeQueue(ctx, g, command.EditConduct, &queuepb.EditConductCommand{Account: uint64(a), Forget: true})
	if errors.Is(err, command.ErrTooEarly) {
		return nil
	}
	return err
}
