package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
	"github.com/rookery-mail/rookery/mta/shaping"
)

// TestManyOfDead: a receiver that is not there does not hold others up, however many domains it has that are all due.
func TestManyOfDead(t *testing.T) {
	s := newSite(t)
	refuses := remote.Result{Kind: remote.Temporary, Host: "mx.dead.example", Address: "192.0.2.1", Reply: *mta.Replyf(0, "4.4.2", "connection refused")}
	s.send = func(j remote.Job) []remote.Result {
		if j.Destination == "example.com" {
			return all(taken)(j)
		}
		return all(refuses)(j)
	}
	for n := range 3 { // a round looks at 1000
		var many []mta.Recipient
		for i := range 800 {
			many = append(many, to(fmt.Sprintf("x@d%d-%03d.dead.example", n, i), 0))
		}
		s.submit(many...)
	}
	s.submit(to("bob@example.com", 0))
	s.run(1)
	deadline := time.Now().Add(patience)
	for strings.Contains(s.show(), "bob@") {
		if time.Now().After(deadline) {
			t.Fatal("a dead receiver holds others up")
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) > 10 {
		t.Errorf("%d attempts, of which all but one are for the dead", len(s.jobs))
	}
}

// contested are lanes of which somebody else takes the first, between the question and the answer.
type contested struct {
	runner.Lanes
	lost bool
}

func (c *contested) Enter(domain string) (*shaping.Lane, bool) {
	if !c.lost {
		c.lost = true
		return nil, false
	}
	return c.Lanes.Enter(domain)
}

// TestLaneLost: a lane that was free and is taken by another partition is asked for again, well before the next look at all.
func TestLaneLost(t *testing.T) {
	s := newSite(t)
	s.send = all(taken)
	s.config.Lanes = &contested{Lanes: s.config.Lanes}
	s.submit(to("bob@example.com", 0))
	s.run(1)
	deadline := time.Now().Add(20 * time.Second)
	for s.show() != "" {
		if time.Now().After(deadline) {
			t.Fatal("it waits for the next look")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
