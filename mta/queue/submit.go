package queue

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// submit delivers to accounts and queues for others, and then does what the message causes.
func (q *machine) submit(cmd *queuepb.SubmitCommand) (*queuepb.Result, error) {
	if cmd.Deliver == nil && cmd.Arrival.GetRefused() != "" {
		return q.refused(cmd)
	}
	if err := check(cmd); err != nil {
		return refuse(indexpb.Code_CODE_INVALID, "%v", err), nil
	}
	res := done()
	var tale *told
	var uses []func(index.BodyID) error
	all := entriesOf(cmd)
	for i, e := range all {
		again, err := q.x.WasSent(index.AccountID(e.Account), e.DedupKey)
		if err != nil {
			return nil, err
		}
		if again || slices.ContainsFunc(all[:i], sameEntry(e)) {
			res.Again = true
			continue
		}
		why, refused, err := q.judge(e)
		if err != nil {
			return nil, err
		}
		if refused != nil {
			return &queuepb.Result{Refusal: refused, Mail: refuse(indexpb.Code_CODE_INVALID, "the account is over %s", refused.What).Mail}, nil
		}
		uses = append(uses, func(body index.BodyID) error { return q.enqueue(e, cmd.Deliver.Summary.Size, body, why, tale, res) })
	}
	var err error
	if tale, err = q.begin(cmd); err != nil {
		return nil, err
	}
	mail, err := q.x.DeliverAnd(cmd.Deliver, uses...)
	if err != nil {
		return nil, err
	}
	res.Mail = mail
	tale.stored(cmd, res)
	return res, q.consequences(cmd, mail)
}

// entriesOf lists all that a submission queues. The first alone may be under brakes: it is judged before anything was done.
func entriesOf(cmd *queuepb.SubmitCommand) []*queuepb.NewEntry {
	if cmd.Entry == nil {
		return nil
	}
	return append([]*queuepb.NewEntry{cmd.Entry}, cmd.Entries...)
}

// sameEntry reports whether e is what other is, by their keys.
func sameEntry(e *queuepb.NewEntry) func(other *queuepb.NewEntry) bool {
	return func(other *queuepb.NewEntry) bool {
		return len(e.DedupKey) > 0 && e.Account == other.Account && bytes.Equal(e.DedupKey, other.DedupKey)
	}
}

// enqueue queues an entry of a submission, and only now that there is a body remembers that it did: else what comes again would
// be passed over.
func (q *machine) enqueue(e *queuepb.NewEntry, size uint64, body index.BodyID, heldWith string, tale *told, res *queuepb.Result) error {
	id, err := q.add(e, body, size, heldWith, tale)
	if err != nil {
		return err
	}
	if res.Entry == 0 {
		res.Entry = uint64(id)
	}
	if err := q.x.Sent(index.AccountID(e.Account), e.DedupKey); err != nil {
		return err
	}
	return q.x.Bodies().Use(body, user(id))
}

// check says what is wrong with a submission.
func check(cmd *queuepb.SubmitCommand) error {
	if cmd.Deliver == nil || cmd.Deliver.Summary == nil {
		return errors.New("a submission without a message")
	}
	if err := checkArrival(cmd.Arrival); err != nil {
		return err
	}
	if err := checkCaused(cmd); err != nil {
		return err
	}
	if cmd.Entry == nil {
		return nil
	}
	for i, e := range entriesOf(cmd) {
		if err := checkEntry(e); err != nil {
			return err
		}
		if i > 0 && e.Brakes != nil {
			return errors.New("brakes of an entry that is not the first")
		}
	}
	return nil
}

// checkEntry says what is wrong with what is to be queued.
func checkEntry(e *queuepb.NewEntry) error {
	if n := len(e.GetRecipients()); n == 0 || n > MaxRecipients {
		return fmt.Errorf("%d recipients, an entry has 1 to %d", n, MaxRecipients)
	}
	if n := len(e.DedupKey); e.Account == 0 || n != 0 && n != keys.DedupKeySize {
		return fmt.Errorf("no account, or a deduplication key of %d bytes", n)
	}
	if e.Expires <= 0 || e.Notice < 0 {
		return errors.New("an entry without an end")
	}
	if e.Priority < mta.LowestPriority || e.Priority > mta.HighestPriority || e.DeliverBy < 0 {
		return fmt.Errorf("priority %d, wanted by %d", e.Priority, e.DeliverBy)
	}
	for _, r := range e.Recipients {
		if r == nil || r.Address == "" || len(r.Address) > maxText || len(r.Orcpt) > maxText || r.Due < 0 {
			return errors.New("a recipient that is none")
		}
		if n := len(r.DedupKey); n != 0 && n != keys.DedupKeySize {
			return fmt.Errorf("a recipient with a deduplication key of %d bytes", n)
		}
		if err := checkDestination(r.Destination); err != nil {
			return err
		}
	}
	for _, s := range []string{e.Sender, e.Envid, e.HeldWhy, e.Id, e.MessageId, e.DeliverByMode} {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d octets", len(s))
		}
	}
	return nil
}
