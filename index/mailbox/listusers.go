package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
)

// ListUsers notes, for the bodies of a bounded number of messages, who has them: of messages that were
// there before anybody noted it, of deleted mailboxes too. The result says whether more are left; with
// the last, bodies may go into packs.
func (x *Execution) ListUsers(cmd *indexpb.ListUsersCommand) (*indexpb.Result, error) {
	limit := step(cmd.Limit)
	at, ok, err := x.bodies.Listing()
	if err != nil || !ok {
		return &indexpb.Result{}, err
	}
	lower := append(keys.Message(nil, keys.TableSummary, at.Account, at.Mailbox, at.UID), 0) // the key behind it
	bodies, _, err := x.usedBodies(lower, keys.After(nil, keys.Whole(nil, keys.TableSummary)), limit)
	if err != nil {
		return nil, fmt.Errorf("list users of bodies: %w", err)
	}
	if x.others != nil && len(bodies) < limit {
		more, err := x.others(x.b, at, limit-len(bodies))
		if err != nil {
			return nil, fmt.Errorf("list other users of bodies: %w", err)
		}
		bodies = append(bodies, more...)
	}
	for _, b := range bodies {
		if err := x.bodies.Use(b.Body, b.User); err != nil {
			return nil, fmt.Errorf("list users of body %d: %w", b.Body, err)
		}
		at = b.User
	}
	more := len(bodies) == limit
	x.bodies.Listed(at, more)
	return &indexpb.Result{More: more}, nil
}
