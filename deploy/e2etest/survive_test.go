package e2etest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// TestSessionOutlivesItsLeader kills the leader of an account's partition while an IMAP session on another
// node writes, and then freezes the third node: writes wait for the next leader, are refused where there is
// none, and go on as soon as there is one.
func TestSessionOutlivesItsLeader(t *testing.T) {
	s, c := start(t, 3)
	a := s.newAccount(t, "anna")
	leader := leaderOf(t, c, a)
	others := slices.DeleteFunc(slices.Clone(c.Nodes()), func(n *harness.Node) bool { return n == leader })
	a.out = s.doors[slices.Index(c.Nodes(), others[0])]
	w := a.loggedIn(t)
	do := func(n int, command string, meanwhile func()) string {
		t.Helper()
		w.conn.SetDeadline(time.Now().Add(2 * time.Minute))
		tag := fmt.Sprint("t", n)
		w.send(tag + " " + command + "\r\n")
		meanwhile()
		return strings.TrimPrefix(w.tagged(tag), tag+" ")
	}
	nothing := func() {}
	const message = "APPEND INBOX {21+}\r\nSubject: 12345678\r\n\r\n"
	for i, step := range []struct {
		command   string
		meanwhile func()
		want      string
	}{
		{message, nothing, "OK"},
		{"SELECT INBOX", nothing, "OK"},
		{message, leader.Kill, "OK"},
		{`STORE 1:2 +FLAGS (\Flagged)`, nothing, "OK"},
		{`STORE 1:2 +FLAGS (\Answered)`, func() { pause(t, others[1]) }, ""}, // may have been in time
		{`STORE 1:2 +FLAGS (\Draft)`, nothing, "NO [UNAVAILABLE]"},
		{"FETCH 1:2 FLAGS", nothing, "OK"},
		{`STORE 1:2 +FLAGS (\Seen)`, func() { resume(t, others[1]) }, "OK"},
	} {
		began := time.Now()
		got := do(i, step.command, step.meanwhile)
		t.Logf("%.20q took %v", step.command, time.Since(began).Round(time.Millisecond))
		if !strings.HasPrefix(got, step.want) {
			t.Fatalf("%.20q was answered %s, want %s", step.command, got, step.want)
		}
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitWhole(within(t)); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.doors {
		a.out = d
		w = a.loggedIn(t)
		if got := do(100, "SELECT INBOX", nothing); !strings.HasPrefix(got, "OK") {
			t.Fatal(got)
		}
		w.send("x SEARCH FLAGGED SEEN\r\n")
		if line, err := w.r.ReadString('\n'); err != nil || line != "* SEARCH 1 2\r\n" {
			t.Errorf("%s has %q, %v", d.host, line, err)
		}
	}
}

// loggedIn opens a session at the account's door.
func (a *account) loggedIn(t *testing.T) *wire {
	t.Helper()
	conn, err := tls.Dial("tcp", a.out.imaps, a.site.tlsConfig(t, a.out))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	w := &wire{t, conn, bufio.NewReader(conn)}
	w.send(`l LOGIN ` + a.address + ` "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.password) + "\"\r\n")
	if got := w.tagged("l"); !strings.HasPrefix(got, "l OK") {
		t.Fatal(got)
	}
	return w
}

// leaderOf finds the node that leads an account's partition.
func leaderOf(t *testing.T, c *harness.Cluster, a *account) (leader *harness.Node) {
	t.Helper()
	eventually(t, func() error {
		accounts, err := c.Nodes()[0].Accounts(t.Context())
		if err != nil {
			return err
		}
		status, err := c.Nodes()[0].Status(t.Context())
		if err != nil {
			return err
		}
		for _, x := range accounts {
			for _, g := range status.Groups {
				if x.Address == a.address && g.Group == x.Partition {
					leader = c.Node(g.Leader)
				}
			}
		}
		if leader == nil {
			return fmt.Errorf("no leader of %s's partition in %+v", a.address, status.Groups)
		}
		return nil
	})
	return leader
}

func pause(t *testing.T, n *harness.Node) {
	t.Helper()
	if err := n.Pause(); err != nil {
		t.Fatal(err)
	}
}

func resume(t *testing.T, n *harness.Node) {
	t.Helper()
	if err := n.Resume(); err != nil {
		t.Fatal(err)
	}
}
