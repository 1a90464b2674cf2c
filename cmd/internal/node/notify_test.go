package node

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNotifyAcrossNodes: what a session does on one node, sessions on the two others hear of, one by IDLE, one
// by NOTIFY, which of these has another mailbox selected. How long that took is printed; the 100 ms
// on loopback is for a machine that does nothing else, so that the test only asks that it came.
func TestNotifyAcrossNodes(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	s.imap = true
	s.start(3)
	s.healthy(1, 3)
	writer := s.session(1)
	writer.do("CREATE Other")
	idler, watcher := s.session(2), s.session(3) // whose login sees what was acknowledged before
	writer.do("SELECT INBOX")
	idler.do("SELECT INBOX")
	idler.say("i IDLE")
	idler.hear("+ ")
	watcher.do("SELECT Other")
	watcher.do("NOTIFY SET (selected (MessageNew MessageExpunge)) (mailboxes INBOX (MessageNew MessageExpunge FlagChange))")

	const rounds = 40
	var acknowledged, idle, notify []time.Duration
	for i := range rounds {
		line, wantIdle, wantNotify := fmt.Sprintf("APPEND INBOX {%d+}\r\n%s", len(letter), letter), fmt.Sprintf("* %d EXISTS", i/2+1), "* STATUS INBOX (MESSAGES"
		if i%2 == 1 {
			line, wantIdle, wantNotify = "STORE * +FLAGS (\\Flagged)", fmt.Sprintf("* %d FETCH", i/2+1), "* STATUS INBOX (UIDVALIDITY"
		}
		began := time.Now()
		writer.do(line)
		acknowledged = append(acknowledged, time.Since(began))
		idle = append(idle, idler.hear(wantIdle).Sub(began))
		notify = append(notify, watcher.hear(wantNotify).Sub(began))
	}
	for _, c := range []struct {
		what  string
		times []time.Duration
	}{{"OK to the session that changes", acknowledged}, {"IDLE on another node", idle}, {"NOTIFY on another node", notify}} {
		slices.Sort(c.times)
		t.Logf("%s, of %d changes after the command: median %v, at most %v", c.what, rounds, c.times[rounds/2], c.times[rounds-1])
	}
}

const letter = "Subject: news\r\n\r\nnew\r\n"

// session is an IMAP client of a node, logged in.
type session struct {
	t     *testing.T
	conn  *tls.Conn
	lines chan heard
}

// heard is a line and when it came.
type heard struct {
	text string
	at   time.Time
}

func (s *site) session(i int) *session {
	s.t.Helper()
	// The certificate is of the cluster's own authority; who answers is not in question here.
	conn, err := tls.Dial("tcp", s.config(i).IMAP.TLSListen[0], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		s.t.Fatal(err)
	}
	c := &session{t: s.t, conn: conn, lines: make(chan heard, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.lines)
		in := bufio.NewScanner(conn)
		for in.Scan() {
			c.lines <- heard{in.Text(), time.Now()}
		}
	}()
	s.t.Cleanup(func() {
		conn.Close()
		for range c.lines { // until the reader has ended
		}
		<-done
	})
	c.hear("* OK")
	c.do("LOGIN ada@example.org secret")
	return c
}

// say sends a line.
func (c *session) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatal(err)
	}
}

// do has a command carried out.
func (c *session) do(command string) {
	c.t.Helper()
	c.say("a " + command)
	c.hear("a OK")
}

// hear waits for a line that begins with prefix and says when it came.
func (c *session) hear(prefix string) time.Time {
	c.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, open := <-c.lines:
			switch {
			case !open:
				c.t.Fatalf("the connection ended before %q", prefix)
			case strings.HasPrefix(line.text, prefix):
				return line.at
			case strings.HasPrefix(line.text, "a NO"), strings.HasPrefix(line.text, "a BAD"):
				c.t.Fatalf("got %q, not %q", line.text, prefix)
			}
		case <-late:
			c.t.Fatalf("no line that begins with %q", prefix)
		}
	}
}
