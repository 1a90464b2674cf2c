package queue

import (
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Answer is a message of an account that another one causes, once while its key is remembered.
type Answer struct {
	Key       []byte // 16 octets
	Until     time.Time
	Deliver   *indexpb.DeliverCommand // the message, with the copies that the account keeps
	MessageID string
	Send      Submission
	Story     *Arrival // nil: none is kept of it
}

// Note is a key that an account remembers.
type Note struct {
	Key   []byte // 16 octets
	Until time.Time
}

// Caused has answers sent and notes kept in the step that delivers the message to an account, unless that does not take it. Who sends
// the same again, or another node that got the message too, changes nothing.
func Caused(account index.AccountID, answers []Answer, notes []Note) *access.Also {
	return &access.Also{
		Account: account,
		Wrap: func(_ command.Kind, p access.Payload, _ string) (command.Kind, access.Payload) {
			cmd := submitOf(p)
			for _, a := range answers {
				cmd.Answers = append(cmd.Answers, a.encoded(account))
			}
			for _, n := range notes {
				cmd.Notes = append(cmd.Notes, &queuepb.Note{Account: uint64(account), Key: n.Key, Until: n.Until.UnixMilli()})
			}
			return command.Submit, cmd
		},
		Unwrap: mailOf,
	}
}

func (a Answer) encoded(account index.AccountID) *queuepb.Answer {
	submit := &queuepb.SubmitCommand{Deliver: a.Deliver, Entry: a.Send.Entry(a.Deliver.Summary.ContentHash, a.MessageID)}
	if a.Story != nil {
		submit.Arrival = a.Story.encoded(a.MessageID, nil, false)
	}
	return &queuepb.Answer{Account: uint64(account), Key: a.Key, Until: a.Until.UnixMilli(), Submit: submit}
}
