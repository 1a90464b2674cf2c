package engine

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// progressPause is how long a client hears nothing of a command that takes long (RFC 9585, section 3.1).
const progressPause = 10 * time.Second

// progress tells a client how far a command is that opens many messages (RFC 9585). No response may be
// half written while it is used.
type progress struct {
	*Session
	goal, done int
	told       time.Time
}

func (s *Session) newProgress(goal int) progress {
	return progress{Session: s, goal: goal, told: s.c.Now()}
}

// step counts a message, and tells now and then. The error is of the connection.
func (p *progress) step() error {
	p.done++
	now := p.c.Now()
	if now.Sub(p.told) < progressPause || p.done >= p.goal {
		return nil
	}
	p.told = now
	p.w.StatusLine("*", wire.OK, fmt.Sprintf("INPROGRESS (\"%s\" %d %d)", p.tag, p.done, p.goal), "still at it")
	return broken(p.w.Flush())
}
