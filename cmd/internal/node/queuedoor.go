package node

import (
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// queueDoor is the queue as the SMTP door sees it.
func (n *Node) queueDoor() smtpd.Queue {
	if n.outbound == nil {
		return nil
	}
	return queueDoor{n}
}

type queueDoor struct{ n *Node }

func (d queueDoor) Refuses() *mta.Reply {
	if d.n.level() < command.LevelThird {
		return mta.Replyf(450, mta.TempSystem, "Mail to other domains is sent once every node of the cluster runs this version")
	}
	return nil
}

func (d queueDoor) Entry(s queue.Submission) *mailstore.Also {
	d.n.outbound.policy.times(&s, time.Now())
	if s.Counts {
		s.Brakes = d.n.outbound.policy.brakes()
	}
	return s.Also()
}

func (d queueDoor) May(account index.AccountID, recipients int) error {
	return d.n.may(account, recipients)
}

func (d queueDoor) Caretaker() (index.AccountID, error) { return d.n.caretaker() }
