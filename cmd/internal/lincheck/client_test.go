package lincheck

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/uidset"
)

// errNotTried says that nothing was proposed.
var errNotTried = errors.New("not tried")

// perform does one operation through a node. With stale the replica is read as it is.
func (d *door) perform(ctx context.Context, in input, stale bool) (out output, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if in.kind == deliver || in.kind == appendTo {
		return d.bring(ctx, in)
	}
	if !stale && (in.kind.reads() || in.kind == expunge) { // EXPUNGE looks for \Deleted first
		g, _ := locate(in.account)
		if err := d.catchUp(ctx, g); err != nil {
			return out, fmt.Errorf("%w: %w", errNotTried, err)
		}
	}
	m, err := d.store.Account(in.account).Open(ctx, boxNames[in.box])
	if err != nil {
		return out, fmt.Errorf("%w: open: %w", errNotTried, err)
	}
	one := uidset.Of(index.UIDRange{Lo: in.uid, Hi: in.uid})
	switch in.kind {
	case store:
		res, err := m.Store(ctx, access.StoreRequest{UIDs: one, Op: in.op, Flags: in.flags})
		return output{done: res.Changed.Len() > 0, modSeq: res.ModSeq}, err
	case move:
		res, err := m.Move(ctx, one, boxNames[1-in.box])
		if err == nil && len(res.To) > 0 {
			out = output{done: true, uid: res.To[0].Lo}
		}
		return out, err
	case expunge:
		gone, err := m.Expunge(ctx, one)
		return output{done: gone != nil && gone.Len() > 0}, err
	case list:
		return listed(ctx, m)
	}
	return viewed(ctx, m)
}

// bring delivers or appends a message whose subject is its content.
func (d *door) bring(ctx context.Context, in input) (out output, err error) {
	incoming := d.store.NewIncoming(ctx, []index.AccountID{in.account}, nil)
	defer incoming.Discard()
	if _, err := fmt.Fprintf(incoming, "Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%d\r\n", in.content, in.content, in.content); err != nil {
		return out, err
	}
	if in.kind == appendTo {
		out.uid, _, err = incoming.Append(ctx, boxNames[in.box], access.AppendOptions{Flags: in.flags})
		return out, err
	}
	outcomes, err := incoming.Deliver(ctx, access.Delivery{Targets: []access.Target{{Account: in.account, Address: "a@example.org"}}})
	if err != nil {
		return out, err
	}
	return output{uid: outcomes[0].UID, duplicate: outcomes[0].Duplicate}, outcomes[0].Err
}

func listed(ctx context.Context, m *mailstore.Mailbox) (out output, err error) {
	all := uidset.Of(index.UIDRange{Lo: 1, Hi: 1 << 14})
	err = m.Messages(ctx, all, func(msg access.Message) error {
		content, err := strconv.Atoi(string(msg.Envelope().Subject))
		out.messages = append(out.messages, message{uid: msg.UID, flags: msg.State.System, content: content, modSeq: msg.State.ModSeq})
		return err
	})
	return out, err
}

func viewed(ctx context.Context, m *mailstore.Mailbox) (output, error) {
	v, err := m.View(ctx)
	if err != nil {
		return output{}, err
	}
	var uids []index.UID
	for u := range v.UIDs.All() {
		uids = append(uids, u)
	}
	b := v.Mailbox
	return output{box: counters{next: b.UIDNext, modSeq: b.HighestModSeq, messages: int(b.Messages),
		unseen: int(b.Unseen), deleted: int(b.Deleted), uids: fmt.Sprint(uids)}}, nil
}

// records are the histories of all accounts.
type records struct {
	t     *testing.T
	clock atomic.Int64

	mu      sync.Mutex // guards what follows
	all     map[index.AccountID][]porcupine.Operation
	answers int
	unknown int
}

// do performs an operation and records it. Ok is false where there was no answer.
func (r *records) do(ctx context.Context, client int, d *door, in input, stale bool) (out output, ok bool) {
	proposed := new(commands)
	op := porcupine.Operation{ClientId: client, Input: in, Metadata: proposed, Call: r.clock.Add(1)}
	out, err := d.perform(context.WithValue(ctx, commandsKey{}, proposed), in, stale)
	op.Return = r.clock.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.answers++
	case !expected(err):
		r.t.Errorf("%v of account %d at %s: %v", in.kind, in.account, d.node.ID, err)
		return out, false
	case errors.Is(err, errNotTried) || in.kind.reads():
		return out, false
	default:
		out, op.Return = output{unknown: true}, never
		r.unknown++
	}
	op.Output = out
	r.all[in.account] = append(r.all[in.account], op)
	return out, err == nil
}

// expected are the errors of a node that cannot reach a majority, or stops.
func expected(err error) bool {
	for _, e := range []error{cluster.ErrUnavailable, cluster.ErrStopped, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// client uses one account through all nodes, until the load ends.
type client struct {
	id      int
	account index.AccountID
	house   *house
	records *records
	random  *rand.Rand

	sent    int
	resend  *input           // a delivery to be sent again, as its sender got no answer
	visible [boxes][]message // as last read
}

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		doors := c.house.open()
		d := doors[c.random.IntN(len(doors))]
		in := c.next()
		out, ok := c.records.do(d.life, c.id, d, in, false)
		switch {
		case ok && in.kind == list:
			c.visible[in.box] = out.messages
		case in.kind == deliver && (!ok || c.random.IntN(8) == 0):
			c.resend = &in
		}
	}
}

// next draws an operation. Mailboxes stay small, and clients of an account meet at the same messages.
func (c *client) next() input {
	in := input{account: c.account, box: c.random.IntN(boxes), content: c.id<<20 | c.sent}
	if c.resend != nil && c.random.IntN(3) == 0 {
		in, c.resend = *c.resend, nil
		return in
	}
	seen := c.visible[in.box]
	if len(seen) > 0 {
		in.uid = seen[c.random.IntN(len(seen))].uid
	}
	switch n := c.random.IntN(20); {
	case n < 5:
		in.kind = list
	case n < 7:
		in.kind = view
	case n < 9 || len(seen) == 0:
		c.sent++
		if in.kind = appendTo; n%2 == 0 {
			in.kind, in.box = deliver, inbox
		} else {
			in.flags = c.flags()
		}
	case n < 13:
		in.kind, in.flags, in.op = store, c.flags(), access.FlagOp(1+c.random.IntN(3))
	case n < 15:
		in.kind, in.flags, in.op = store, index.FlagDeleted, access.Add
	case n < 17:
		in.kind = move
	default:
		in.kind = expunge
	}
	return in
}

func (c *client) flags() index.Flags {
	return []index.Flags{index.FlagSeen, index.FlagFlagged, index.FlagSeen | index.FlagDeleted}[c.random.IntN(3)]
}
