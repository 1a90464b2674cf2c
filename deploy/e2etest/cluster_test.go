package e2etest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// TestEveryDoor runs four nodes with three replicas of everything, so that every account has a door
// without its mail, and uses every account through every door.
func TestEveryDoor(t *testing.T) {
	s, c := start(t, 4)
	awaitSpread(t, c)
	for i := range 4 {
		t.Run(fmt.Sprint("account ", i), func(t *testing.T) {
			a := s.newAccount(t, "anna")
			var want []string
			for j, d := range s.doors {
				a.in, a.out = d, d
				subject := fmt.Sprint("by ", j)
				a.swaks(t, d.mx, "--from", "x@example.com", "--to", a.address, "--header", "Subject: "+subject).ok()
				want = append(want, subject)
				a.expect(t, "INBOX", want...)
			}
			for _, d := range s.doors {
				a.out = d
				a.expect(t, "INBOX", want...)
			}
			goimapIdleOn(t, a)
			for j, d := range s.doors {
				a.out = d
				fileAway(t, a, fmt.Sprint("by ", j))
			}
			a.expect(t, "INBOX", "wake up")
			a.expect(t, "Filed", want...)
		})
	}
}

// awaitSpread waits until every node has replicas of some groups and lacks those of others.
func awaitSpread(t *testing.T, c *harness.Cluster) {
	t.Helper()
	eventually(t, func() error {
		status, err := c.Nodes()[0].Status(t.Context())
		if err != nil {
			return err
		}
		held := map[string]int{}
		partitions := 0
		for _, g := range status.Groups {
			if g.Group == "directory" {
				continue
			}
			partitions++
			for _, n := range g.Voters {
				held[n]++
			}
		}
		for _, n := range c.Nodes() {
			if k := held[n.Name]; k == 0 || k == partitions {
				return fmt.Errorf("%s has replicas of %d of %d partitions", n.Name, k, partitions)
			}
		}
		return nil
	})
}

// fileAway moves the messages of a subject to Filed.
func fileAway(t *testing.T, a *account, subject string) {
	t.Helper()
	fileInto(t, a, subject, "Filed")
}

// fileInto moves the message of a subject from INBOX to a mailbox, which is made where it is missing.
func fileInto(t *testing.T, a *account, subject, mailbox string) {
	t.Helper()
	c := a.dial(t)
	defer c.Close()
	_ = c.Create(mailbox, nil).Wait() // it is there the second time
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: subject}}}, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	uids := found.AllUIDs()
	if len(uids) != 1 {
		t.Fatalf("%d messages %q at %s", len(uids), subject, a.out.host)
	}
	if _, err := c.Move(imap.UIDSetNum(uids...), mailbox).Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestRollingRestart stops and starts one node after the other, as an upgrade does, while mail is sent
// through the others. Each message is sent until it is accepted, and is there once in the end.
func TestRollingRestart(t *testing.T) {
	s, c := start(t, 3)
	a := s.newAccount(t, "anna")
	var want []string
	send := func(d door) {
		t.Helper()
		subject := fmt.Sprint("message ", len(want))
		args := []string{"--from", "x@example.com", "--to", a.address, "--header", "Subject: " + subject,
			"--header", fmt.Sprintf("Message-Id: <%d@story.example>", len(want))}
		a.in = d
		eventually(t, func() error {
			if o := a.swaks(t, d.mx, args...); o.status != 0 {
				return fmt.Errorf("%s was not accepted:\n%s", subject, o.text)
			}
			return nil
		})
		want = append(want, subject)
	}
	for i, n := range c.Nodes() {
		others := slices.Delete(slices.Clone(s.doors), i, i+1)
		send(others[0])
		stopped := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		go func() { stopped <- n.Stop(ctx) }()
		for j := range 6 {
			send(others[j%2])
		}
		err := <-stopped
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for j := range 6 {
			send(others[j%2])
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		for j := range 6 {
			send(others[j%2])
		}
		if err := n.WaitReady(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range s.doors {
		a.out = d
		a.expect(t, "INBOX", want...)
	}
	if err := c.WaitWhole(within(t)); err != nil {
		t.Fatal(err)
	}
}
