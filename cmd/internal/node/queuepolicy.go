package node

import (
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/queue"
)

// policyAge is for how long settings of the queue are used that were read once.
const policyAge = 5 * time.Second

// queuePolicy is how long and how often mail is tried, as the settings of the cluster say.
type queuePolicy struct {
	n *Node

	mu   sync.Mutex // guards what follows
	read time.Time
	last directory.Settings
}

// settings are those of a moment ago; those before where they cannot be read.
func (p *queuePolicy) settings() directory.Settings {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.read.IsZero() || now.Sub(p.read) > policyAge {
		err := p.n.view(func(v directory.View) error {
			s, err := v.Settings()
			if err == nil {
				p.last, p.read = s, now
			}
			return err
		})
		if err != nil {
			p.n.log.Warn("settings of the outbound queue cannot be read", "error", err)
		}
	}
	return p.last
}

func (p *queuePolicy) schedule() []time.Duration {
	if s := p.settings().QueueSchedule; len(s) > 0 {
		return s
	}
	return []time.Duration{10 * time.Minute} // nothing could be read yet
}

// times sets when a submission is given up and when its delay is told. They count from its release (RFC 4865).
func (p *queuePolicy) times(s *queue.Submission, now time.Time) {
	if s.Envelope.Release.After(now) {
		now = s.Envelope.Release
	}
	set := p.settings()
	life := set.QueueLife
	if life == 0 {
		life = 5 * 24 * time.Hour
	}
	s.Expires, s.Notice = now.Add(life), time.Time{}
	if set.QueueNotice > 0 {
		s.Notice = now.Add(set.QueueNotice)
	}
}
