package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// The bounds of a command that edits entries: it is applied at once.
const (
	editEntries    = 500
	editRecipients = 2000
)

// maxWhy is how long the reason of an edit may be, in octets.
const maxWhy = 500

// queueEdits are the actions of the API.
func queueEdits() map[string]queuepb.Edit {
	return map[string]queuepb.Edit{
		"hold": queuepb.Edit_EDIT_HOLD, "release": queuepb.Edit_EDIT_RELEASE, "retry": queuepb.Edit_EDIT_RETRY,
		"delete": queuepb.Edit_EDIT_DELETE, "bounce": queuepb.Edit_EDIT_BOUNCE,
	}
}

// matched is what an edit is for: ids of a partition in their order, and how many recipients each has.
type matched struct {
	ids  []uint64
	open []uint32
}

// QueueEdit evaluates a filter once, and then edits what it found. Entries that are gone by then are passed over, so that it can be
// repeated.
func (n *Node) QueueEdit(ctx context.Context, e adminapi.QueueEdit) (out adminapi.QueueEdited, err error) {
	edit, ok := queueEdits()[e.Action]
	switch {
	case !ok:
		return out, fmt.Errorf("%w: there is no action %q", directory.ErrInvalid, e.Action)
	case len(e.Why) > maxWhy:
		return out, fmt.Errorf("%w: a reason has at most %d octets", directory.ErrInvalid, maxWhy)
	case !e.All && empty(e.Filter):
		return out, fmt.Errorf("%w: say which entries: by id, by a filter, or all", directory.ErrInvalid)
	}
	s, err := n.searchQueue(e.Filter)
	if err != nil {
		return out, err
	}
	work := map[cluster.GroupID]*matched{}
	s.walk(ctx, queueByID, 0, func(g cluster.GroupID, p queuePage) int {
		if work[g] == nil {
			work[g] = new(matched)
		}
		work[g].ids, work[g].open = append(work[g].ids, p.IDs...), append(work[g].open, p.Open...)
		out.Matched += p.Matched
		return 0
	})
	out.IDs, out.Problems = []string{}, s.problems
	for g := range s.groups {
		for _, id := range work[g].first(queueMostIDs) {
			out.IDs = append(out.IDs, entryID(g, id))
		}
	}
	slices.Sort(out.IDs)
	out.IDs = out.IDs[:min(len(out.IDs), queueMostIDs)]
	if err := ctx.Err(); e.DryRun || err != nil {
		return out, err
	}
	for g, f := range work {
		changed, err := n.editAll(ctx, g, f, &queuepb.EditCommand{Edit: edit, Why: e.Why})
		out.Changed += changed
		if errors.Is(err, command.ErrTooEarly) {
			return out, err
		}
		if err != nil {
			out.Problems = append(out.Problems, fmt.Sprintf("partition %d, of which %d were changed: %v", g, changed, err))
		}
	}
	return out, nil
}

func (f *matched) first(n int) []uint64 {
	if f == nil {
		return nil
	}
	return f.ids[:min(len(f.ids), n)]
}

func empty(f adminapi.QueueFilter) bool {
	return len(f.IDs) == 0 && f.Account == "" && f.Sender == "" && f.Recipient == "" && f.Domain == "" && f.OlderThan == 0 && f.NewerThan == 0 &&
		f.Error == "" && !f.Held && f.Header == "" && f.Body == ""
}

// editAll commits an edit of a partition's entries in steps.
func (n *Node) editAll(ctx context.Context, g cluster.GroupID, f *matched, cmd *queuepb.EditCommand) (changed int, err error) {
	for at := 0; at < len(f.ids); {
		cmd.Entries = nil
		for recipients := uint32(0); at < len(f.ids) && len(cmd.Entries) < editEntries && recipients < editRecipients; at++ {
			cmd.Entries = append(cmd.Entries, f.ids[at])
			recipients += f.open[at]
		}
		res, err := n.proposeQueue(ctx, g, command.EditQueue, cmd)
		if err != nil {
			return changed, err
		}
		changed += int(res.Changed)
	}
	return changed, nil
}

// proposeQueue commits a command of a partition's queue. Codes other than OK are errors.
func (n *Node) proposeQueue(ctx context.Context, g cluster.GroupID, k command.Kind, p interface{ MarshalVT() ([]byte, error) }) (*queuepb.Result, error) {
	data, err := p.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", k, err)
	}
	encoded, _, err := n.router.Propose(ctx, g, command.Command{ID: mailstore.RandomID(), Kind: k, Time: time.Now(), Payload: data})
	if err != nil {
		return nil, err
	}
	res := new(queuepb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, fmt.Errorf("decode result of %v: %w", k, err)
	}
	if code := res.Mail.GetCode(); code != indexpb.Code_CODE_OK {
		return nil, fmt.Errorf("%v: %v: %s", k, code, res.Mail.GetText())
	}
	return res, nil
}

// nameOf is the address of an account, or its number where it is gone.
func (n *Node) nameOf(a index.AccountID) (name string) {
	name = fmt.Sprintf("account %d", a)
	_ = n.view(func(v directory.View) error { // without the directory it is the number
		account, err := v.Account(a)
		if err == nil {
			name = account.Address
		}
		return err
	})
	return name
}
