package queue

import (
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// Arrival is how a message came, for its story.
type Arrival struct {
	ID      mta.ID
	Sender  string         // the reverse-path
	Node    cluster.NodeID // that took it
	Client  string         // by which door, from which address, under what name, and by which TLS
	Login   string         // the address of the account that had logged in; empty: none
	Checked string         // what the checks said, a line each, up to MaxChecked octets; empty: it was accepted
}

// Told has the partitions that get a message keep the story of it: of a delivery, a submission, or the report of a
// settlement. The cluster must have reached the level of command.Submit.
func (a Arrival) Told() *access.Around {
	return &access.Around{
		Wrap: func(k command.Kind, p access.Payload, id string, to []access.Target) (command.Kind, access.Payload) {
			switch cmd := p.(type) {
			case *indexpb.DeliverCommand:
				return command.Submit, &queuepb.SubmitCommand{Deliver: cmd, Arrival: a.encoded(id, to, true)}
			case *queuepb.SubmitCommand:
				cmd.Arrival = a.encoded(id, to, cmd.Entry == nil)
			case *queuepb.SettleCommand:
				for _, r := range cmd.Reports {
					if r.Submit != nil {
						r.Submit.Arrival = a.encoded(id, to, r.Submit.Entry == nil)
					}
				}
			}
			return k, p
		},
		Unwrap: mailOf,
	}
}

// Refused is the command by which the partition of a recipient keeps the story of a message that was not taken for him. The cluster
// must have reached command.LevelThird.
func (a Arrival) Refused(to string, reply *mta.Reply) *queuepb.SubmitCommand {
	told := a.encoded("", []access.Target{{Address: to}}, true)
	told.Refused = clipTo(reply.Error(), maxTold)
	return &queuepb.SubmitCommand{Arrival: told}
}

// encoded is the arrival as it travels; without names, where an entry has them.
func (a Arrival) encoded(id string, to []access.Target, names bool) *queuepb.Arrival {
	out := &queuepb.Arrival{Node: clip(string(a.Node)), Client: clip(a.Client), Login: clip(a.Login), Checked: clipTo(a.Checked, MaxChecked)}
	if names {
		out.Id, out.MessageId, out.Sender = clip(string(a.ID)), clip(id), clip(a.Sender)
	}
	for _, t := range to {
		out.Recipients = append(out.Recipients, clip(t.Address))
	}
	return out
}
