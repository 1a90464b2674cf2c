package chain

import (
	"fmt"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/mta/filter"
)

// Stat is what a filter was asked since it was set.
type Stat struct {
	Name      string
	Asked     uint64
	Failed    uint64        // times without an answer
	Bad       uint64        // messages that it refused, deferred, or sent to Junk
	Mean      time.Duration // of an answer
	Last      string        // why it gave none, the last time
	LastTime  time.Time
	Answering bool // its last answer is younger than its last failure, or nothing was asked yet
}

// counts of one filter.
type counts struct {
	mu   sync.Mutex // guards all below
	stat Stat
	took time.Duration // of all answers
	row  int           // failures since the last answer
	next time.Time     // when it is asked again
}

// A filter that did not answer so often in a row is left alone for a while: else each message would wait for it in vain. Then one message
// is asked about, and all of them where that is answered.
const (
	restAfter = 5
	restFor   = 20 * time.Second
)

// rest is an error while the filter is left alone. The first to ask after that has it left alone for as long again, and asks.
func (c *counts) rest(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.row < restAfter {
		return nil
	}
	if wait := c.next.Sub(now); wait > 0 {
		return fmt.Errorf("it did not answer %d times in a row, and is asked again in %v: %s", c.row, wait.Round(time.Second), c.stat.Last)
	}
	c.next = now.Add(restFor)
	return nil
}

func (c *counts) add(now time.Time, took time.Duration, word filter.Word, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stat.Asked++
	if err != nil {
		c.stat.Failed++
		c.stat.Last, c.stat.LastTime = err.Error(), now
		c.row++
		c.next = now.Add(restFor)
		return
	}
	c.row = 0
	c.took += took
	if word != filter.Pass && word != filter.Suspicious {
		c.stat.Bad++
	}
}

func (c *counts) read() Stat {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stat
	s.Answering = c.row == 0
	if n := s.Asked - s.Failed; n > 0 {
		s.Mean = c.took / time.Duration(n)
	}
	return s
}

// Stats are those of the filters, in their order.
func (c *Chain) Stats() (out []Stat) {
	for _, l := range c.filters() {
		s := l.counts.read()
		s.Name = l.setting.Name
		out = append(out, s)
	}
	return out
}
