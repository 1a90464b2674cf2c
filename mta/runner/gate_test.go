package runner_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/runner"
)

// begun waits until a number of attempts have begun.
func (s *site) begun(n int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s.mu.Lock()
		is := len(s.jobs)
		s.mu.Unlock()
		if is == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d attempts have begun, not %d", is, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestGate: what is on its way ends and is settled before the gate says that nothing is, and what comes meanwhile waits
// until it is open.
func TestGate(t *testing.T) {
	s := newSite(t)
	gate := new(runner.Gate)
	s.config.Gate = gate
	hang := make(chan struct{})
	s.send = func(j remote.Job) []remote.Result {
		if strings.HasPrefix(j.Recipients[0].Address, "bob") {
			<-hang
		}
		return all(taken)(j)
	}
	s.run(1)
	s.submit(to("bob@example.com", 0))
	s.begun(1)
	short, cancel := context.WithCancel(context.Background())
	cancel()
	open, resting := gate.Rest(short)
	if resting {
		t.Fatal("nothing is said to be on its way while something is")
	}
	s.submit(to("joe@example.com", 0))
	close(hang)
	openToo, resting := gate.Rest(context.Background())
	if !resting {
		t.Fatal("something is said to be on its way")
	}
	if got := s.show(); got != "joe@example.com after 0 attempts: " {
		t.Errorf("the queue has %q", got)
	}
	open()
	open() // once more is no more
	s.mu.Lock()
	jobs := len(s.jobs)
	s.mu.Unlock()
	if jobs != 1 {
		t.Errorf("%d attempts before the gate was open", jobs)
	}
	openToo()
	s.await("")
}
