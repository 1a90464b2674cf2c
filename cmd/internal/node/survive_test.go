package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// leaderOf is the node that leads ada's partition, as node i sees it.
func (s *site) leaderOf(i int) (leader int) {
	s.t.Helper()
	var a adminapi.Account
	if err := s.ask(i, "GET", "/v1/accounts/ada@example.org", nil, &a); err != nil {
		s.t.Fatal(err)
	}
	s.eventually(a.Partition+" has a leader", func() error {
		var st adminapi.Status
		if err := s.ask(i, "GET", "/v1/status", nil, &st); err != nil {
			return err
		}
		for _, g := range st.Groups {
			if g.Group == a.Partition {
				_, err := fmt.Sscanf(g.Leader, "n%d", &leader)
				return err
			}
		}
		return fmt.Errorf("no %s in %+v", a.Partition, st.Groups)
	})
	return leader
}

// TestSessionSurvives: an IMAP session that writes outlives the leader of its partition, and the loss of
// the majority. Its writes wait for the next leader, and where none comes are refused after ten
// seconds.
func TestSessionSurvives(t *testing.T) {
	t.Parallel()
	s := newSite(t, 7)
	s.start(3)
	s.healthy(1, 3)
	leader := s.leaderOf(1)
	others := slices.DeleteFunc([]int{1, 2, 3}, func(i int) bool { return i == leader })
	k := s.talk(others[0])
	const message = "Subject: 12345678\r\n\r\n"
	write := func(i int) {
		k.ok("APPEND INBOX {%d+}\r\n%s", len(message), message)
		k.ok("STORE %d +FLAGS.SILENT ($Kept)", i)
	}
	k.ok("SELECT INBOX")
	write(1)

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.halt(leader)
	}()
	written, longest := 1, time.Duration(0)
	for more := true; more; {
		select {
		case <-stopped:
			more = false
		default:
		}
		written++
		began := time.Now()
		write(written)
		longest = max(longest, time.Since(began))
	}
	t.Logf("%d messages were written while the leader stopped, the slowest in %v", written, longest)
	if next := s.leaderOf(others[0]); next == leader {
		t.Fatalf("n%d leads although it was stopped", leader)
	}

	s.halt(others[1])
	began := time.Now()
	answer, _ := k.say(`STORE 1 +FLAGS (lost)`)
	took := time.Since(began)
	t.Logf("without a majority the answer came after %v: %s", took, answer)
	if !strings.HasPrefix(answer, "NO [UNAVAILABLE]") || took < 3*time.Second {
		t.Errorf("without a majority, after %v: %s", took, answer)
	}
	if got := k.ok("FETCH 1:* FLAGS"); len(got) != written {
		t.Errorf("without a majority %d messages are read, want %d", len(got), written)
	}
	s.serve(others[1])
	s.eventually("the session writes again", func() error {
		answer, _ := k.say(`STORE 1 +FLAGS.SILENT (back)`)
		if !strings.HasPrefix(answer, "OK") {
			return fmt.Errorf("STORE was answered %s", answer)
		}
		return nil
	})
	got := k.ok("FETCH 1:* FLAGS")
	if len(got) != written {
		t.Fatalf("%d messages, want %d: %q", len(got), written, got)
	}
	for _, line := range got {
		if !strings.Contains(line, "$Kept") {
			t.Errorf("a flag that was acknowledged is lost: %s", line)
		}
	}
	if !strings.Contains(got[0], "back") {
		t.Errorf("a flag that was acknowledged is lost: %s", got[0])
	}
}
