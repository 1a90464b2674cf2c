package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// adaTeam is a mailbox of ada's as others name it, adaInbox another.
const (
	adaTeam  = `"Other Users/ada@example.org/Team"`
	adaInbox = `"Other Users/ada@example.org/INBOX"`
)

func (s *site) account(address string) {
	s.t.Helper()
	if err := s.ask(1, "POST", "/v1/accounts", adminapi.Account{Address: address, Password: "secret"}, nil); err != nil {
		s.t.Fatal(err)
	}
}

// gets says a command again and again, until the answer begins with one text and all that came has another.
func (s *site) gets(k *talk, answer, text, format string, args ...any) {
	s.t.Helper()
	command := fmt.Sprintf(format, args...)
	s.eventually(command, func() error {
		got, untagged := k.say("%s", command)
		if !strings.HasPrefix(got, answer) || !strings.Contains(strings.Join(untagged, "\n"), text) {
			return fmt.Errorf("answered %s after %q, want %s and %q", got, untagged, answer, text)
		}
		return nil
	})
}

// lacks says a command again and again, until nothing that came has a text.
func (s *site) lacks(k *talk, text, command string) {
	s.t.Helper()
	s.eventually(command, func() error {
		if got := strings.Join(k.ok("%s", command), "\n"); strings.Contains(got, text) {
			return fmt.Errorf("answered %s", got)
		}
		return nil
	})
}

// refused says a command that must be answered so, and tells nothing.
func (k *talk) refused(answer, format string, args ...any) {
	k.t.Helper()
	got, untagged := k.say(format, args...)
	if !strings.HasPrefix(got, answer) || len(untagged) > 0 {
		k.t.Errorf("%s was answered %s after %q, want %s", fmt.Sprintf(format, args...), got, untagged, answer)
	}
}

// appendTo is the APPEND of a letter.
func appendTo(mailbox string) string {
	return fmt.Sprintf("APPEND %s {%d+}\r\n%s", mailbox, len(letter), letter)
}

// TestSharedMailboxes: what one user shares others use on other nodes, as far as they may, also without the
// node that led the partition, until they may not any more or the user is gone.
func TestSharedMailboxes(t *testing.T) {
	t.Parallel()
	s := newSite(t, 21)
	s.start(3)
	s.account("bob@example.org")
	s.account("eve@example.org")
	s.healthy(1, 3)
	s.equal(1, 2, 3)
	leader := s.leaderOf(1)
	stay := slices.DeleteFunc([]int{1, 2, 3}, func(i int) bool { return i == leader })
	owner, guest := s.talk(stay[0]), s.talkAs(stay[1], "bob@example.org")

	owner.ok("CREATE Team")
	owner.ok("SETACL Team bob@example.org lr")
	owner.ok("%s", appendTo("Team"))
	s.gets(guest, "OK", adaTeam, `LIST "" "Other*"`)
	s.gets(guest, "OK [READ-ONLY]", "* 1 EXISTS", "SELECT %s", adaTeam)
	s.gets(guest, "OK", "new", "FETCH 1 BODY[TEXT]")
	guest.refused("NO [NOPERM]", `STORE 1 +FLAGS (\Flagged)`)
	guest.refused("NO [NOPERM]", "%s", appendTo(adaTeam))
	s.unseen(stay[0])
	s.filing(owner, guest)
	s.withoutLeader(leader, stay, guest)

	guest.idle()
	owner.ok("DELETEACL Team bob@example.org")
	guest.hear("* BYE [NOPERM]")
	again := s.talkAs(stay[1], "bob@example.org")
	s.gets(again, "NO [NONEXISTENT]", "", "SELECT %s", adaTeam)
	s.lacks(again, "Other Users", `LIST "" *`)
	s.deletions(owner, again, stay[0])
	s.equal(1, 2, 3)
}

// unseen: who has no rights learns nothing of the mailbox, on node i.
func (s *site) unseen(i int) {
	s.t.Helper()
	stranger := s.talkAs(i, "eve@example.org")
	for _, command := range []string{
		"SELECT " + adaTeam, "EXAMINE " + adaTeam, "STATUS " + adaTeam + " (MESSAGES)", "MYRIGHTS " + adaTeam, "GETACL " + adaTeam,
		"SETACL " + adaTeam + " eve@example.org lr", "GETQUOTAROOT " + adaTeam, "GETMETADATA " + adaTeam + " /shared/comment",
		"SETMETADATA " + adaTeam + ` (/shared/comment "x")`, "DELETE " + adaTeam, "RENAME " + adaTeam + " Mine", appendTo(adaTeam),
	} {
		stranger.refused("NO [NONEXISTENT]", "%s", command)
	}
	stranger.refused("OK", `LIST "" "Other*"`)
	stranger.refused("OK", `LSUB "" "Other*"`)
	stranger.refused("OK", `ESEARCH IN (subtree "Other Users" mailboxes %s) ALL`, adaTeam)
	stranger.refused("NO [CANNOT]", `NOTIFY SET STATUS (mailboxes %s (MessageNew MessageExpunge))`, adaTeam)
}

// filing: with more rights the guest, on another node than the owner, changes flags and files messages, and each
// hears of what the other does.
func (s *site) filing(owner, guest *talk) {
	s.t.Helper()
	owner.ok("SETACL Team bob@example.org lrswite")
	s.gets(guest, "OK", "", `STORE 1 +FLAGS (\Flagged)`)
	owner.ok("SELECT Team")
	s.gets(owner, "OK", `\Flagged`, "FETCH 1 FLAGS")
	guest.ok("%s", appendTo(adaTeam))
	guest.ok("COPY 1 INBOX")
	guest.ok("SELECT INBOX")
	guest.ok("COPY 1 %s", adaTeam)
	s.gets(guest, "OK [READ-WRITE]", "* 3 EXISTS", "SELECT %s", adaTeam)
	s.gets(guest, "OK", "COUNT 3", `ESEARCH IN (mailboxes %s) RETURN (COUNT) ALL`, adaTeam)

	guest.idle()
	owner.ok("%s", appendTo("Team"))
	guest.hear("* 4 EXISTS")
	owner.ok(`STORE 1 -FLAGS (\Flagged)`)
	guest.hear("* 1 FETCH (FLAGS (")
	guest.wake()
	s.gets(owner, "OK", "ALL 1:4", "SEARCH RETURN (ALL) ALL")
	owner.idle()
	guest.ok("STORE 2 +FLAGS (heard)")
	owner.hear("* 2 FETCH (FLAGS (heard")
	owner.wake()
}

// withoutLeader: the node that led the owner's partition stops, and the guest goes on, where it was and anew.
func (s *site) withoutLeader(leader int, stay []int, guest *talk) {
	s.t.Helper()
	s.halt(leader)
	s.gets(guest, "OK", "", "STORE 1 +FLAGS (kept)")
	next := s.talkAs(stay[0], "bob@example.org")
	s.gets(next, "OK [READ-WRITE]", "* 4 EXISTS", "SELECT %s", adaTeam)
	s.gets(next, "OK", "kept", "FETCH 1 FLAGS")
	s.gets(next, "OK [APPENDUID", "", "%s", appendTo(adaTeam))
	s.serve(leader)
	back := s.talkAs(leader, "bob@example.org")
	s.gets(back, "OK [READ-WRITE]", "EXISTS", "SELECT %s", adaTeam)
	s.gets(back, "OK", "UIDNEXT", "STATUS %s (UIDNEXT)", adaTeam)
	s.gets(back, "OK", "kept", "FETCH 1 FLAGS")
}

// deletions: an account that is deleted has no rights any more, and what it shared is gone.
func (s *site) deletions(owner, guest *talk, i int) {
	s.t.Helper()
	owner.ok("SETACL Team bob@example.org lr")
	owner.ok("SETACL Team eve@example.org lr")
	if err := s.ask(i, "DELETE", "/v1/accounts/eve@example.org", nil, nil); err != nil {
		s.t.Fatal(err)
	}
	s.lacks(owner, "eve@example.org", "GETACL Team")
	s.gets(owner, "OK", "bob@example.org", "GETACL Team")
	s.gets(guest, "OK [READ-ONLY]", "EXISTS", "SELECT %s", adaTeam)
	guest.idle()
	if err := s.ask(i, "DELETE", "/v1/accounts/ada@example.org", nil, nil); err != nil {
		s.t.Fatal(err)
	}
	guest.hear("* BYE")
	last := s.talkAs(i, "bob@example.org")
	s.lacks(last, "Other Users", `LIST "" *`)
	last.refused("NO [NONEXISTENT]", "SELECT %s", adaTeam)
	last.refused("NO [NONEXISTENT]", "STATUS %s (MESSAGES)", adaInbox)
}

// farUse uses a mailbox whose partition is on another node than the one that serves the guest: it reads what it
// wrote, and hears of what the owner does.
func (s *site) farUse(guest *talk) {
	s.t.Helper()
	const path = "/v1/accounts/ada@example.org/acl"
	guest.ok("STATUS %s (MESSAGES UIDNEXT)", adaInbox)
	guest.refused("NO [NOPERM]", "%s", appendTo(adaInbox))
	more := adminapi.GrantChange{Mailbox: "INBOX", Identifier: "bob@example.org", Rights: "lrswite"}
	if err := s.ask(1, "POST", path, more, nil); err != nil {
		s.t.Fatal(err)
	}
	s.gets(guest, "OK [APPENDUID", "", "%s", appendTo(adaInbox))
	if got := strings.Join(guest.ok("SELECT %s", adaInbox), "\n"); !strings.Contains(got, "* 2 EXISTS") {
		s.t.Errorf("after an APPEND the mailbox is %s", got)
	}
	for _, c := range []struct{ command, want string }{
		{"FETCH 2 (ENVELOPE BODY[TEXT])", "new"}, {`STORE 2 +FLAGS (\Flagged mine)`, `\Flagged`}, {"FETCH 2 FLAGS", "mine"},
		{"SEARCH FLAGGED", "SEARCH 2"}, {"SEARCH TEXT new", "SEARCH 2"}, {"SORT (REVERSE ARRIVAL) UTF-8 ALL", "SORT 2 1"}, {"GETQUOTAROOT " + adaInbox, "QUOTAROOT"},
		{"MYRIGHTS " + adaInbox, "lrswite"}, {"COPY 2 INBOX", ""}, {`ESEARCH IN (mailboxes ` + adaInbox + `) RETURN (COUNT) ALL`, "COUNT 2"},
		{`UID STORE 1:* +FLAGS.SILENT (\Deleted)`, ""}, {"UID EXPUNGE 2", "* 2 EXPUNGE"},
	} {
		if got := strings.Join(guest.ok("%s", c.command), "\n"); !strings.Contains(got, c.want) {
			s.t.Errorf("%s was answered %s, without %s", c.command, got, c.want)
		}
	}
	guest.idle()
	owner := s.talk(1)
	owner.ok("%s", appendTo("INBOX"))
	guest.hear("* 2 EXISTS")
	guest.wake()
}

// farGone: without the node that has the owner's mail the session is told so, and goes on once it is back.
func (s *site) farGone(guest *talk) {
	s.t.Helper()
	var st adminapi.Status
	var owner adminapi.Account
	if err := s.ask(1, "GET", "/v1/status", nil, &st); err != nil {
		s.t.Fatal(err)
	}
	if err := s.ask(1, "GET", "/v1/accounts/ada@example.org", nil, &owner); err != nil {
		s.t.Fatal(err)
	}
	at := slices.IndexFunc(st.Groups, func(g adminapi.GroupStatus) bool { return g.Group == owner.Partition })
	if at < 0 {
		s.t.Fatalf("ada is of %s, and there are %+v", owner.Partition, st.Groups)
	}
	node := int(st.Groups[at].Voters[0][1] - '0')
	s.halt(node)
	if got, _ := guest.say("STATUS %s (MESSAGES)", adaInbox); !strings.HasPrefix(got, "NO [UNAVAILABLE]") {
		s.t.Errorf("without the owner's node STATUS was answered %s", got)
	}
	guest.ok("STATUS INBOX (MESSAGES)")
	s.serve(node)
	s.gets(guest, "OK", "(MESSAGES 2)", "STATUS %s (MESSAGES)", adaInbox)
	s.gets(guest, "OK", "new", "FETCH 2 BODY[TEXT]")
	guest.ok("UNSELECT")
}

// TestSharedElsewhere: what is shared is used as any other mailbox where the owner's partition is on other nodes only,
// and a session outlives that node's absence. The administrator sees and changes who has rights, on a node that holds none of it.
func TestSharedElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, 22)
	s.factor = 1
	s.start(3)
	s.account("bob@example.org") // in the partition that ada is not in
	s.deliver(1, 0, 1)
	if err := s.ask(1, "POST", "/v1/nodes/n1/drain", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.eventually("the partitions are on a node each, n1 not being one", func() error {
		var st adminapi.Status
		if err := s.ask(1, "GET", "/v1/status", nil, &st); err != nil {
			return err
		}
		var on []string
		for _, g := range st.Groups {
			if g.Group != "directory" {
				on = append(append(on, g.Voters...), g.Nonvoters...)
			}
		}
		if slices.Sort(on); !slices.Equal(on, []string{"n2", "n3"}) {
			return fmt.Errorf("they are on %v", on)
		}
		return nil
	})
	const path = "/v1/accounts/ada@example.org/acl"
	grant := adminapi.GrantChange{Mailbox: "INBOX", Identifier: "bob@example.org", Rights: "lrs"}
	s.eventually("rights are given", func() error { return s.ask(1, "POST", path, grant, nil) })
	var all []adminapi.Grant
	if err := s.ask(1, "GET", path+"?mailbox=inbox", nil, &all); err != nil || len(all) != 2 || all[0].Identifier != "ada@example.org" || all[1] != (adminapi.Grant{Identifier: "bob@example.org", Rights: "lrs"}) {
		t.Errorf("rights are %v, %v", all, err)
	}
	for _, wrong := range []adminapi.GrantChange{
		{Mailbox: "Nothing", Identifier: "bob@example.org", Rights: "l"}, {Mailbox: "INBOX", Identifier: "nobody@example.org", Rights: "l"},
		{Mailbox: "INBOX", Identifier: "ada@example.org", Rights: "l"}, {Mailbox: "INBOX", Identifier: "bob@example.org", Rights: "lq"},
	} {
		if err := s.ask(1, "POST", path, wrong, nil); err == nil {
			t.Errorf("%+v was done", wrong)
		}
	}

	k := s.talkAs(1, "bob@example.org") // which the node that has bob's mail serves
	s.gets(k, "OK", "* STATUS "+adaInbox+" (MESSAGES 1)", `LIST "" "Other*" RETURN (STATUS (MESSAGES))`)
	s.farUse(k)
	s.farGone(k)
	for _, rights := range []string{"-switeacd", "-lr"} {
		less := adminapi.GrantChange{Mailbox: "INBOX", Identifier: "bob@example.org", Rights: rights}
		if err := s.ask(1, "POST", path, less, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.lacks(k, "Other Users", `LIST "" "Other*"`)
	if err := s.ask(1, "GET", path+"?mailbox=INBOX", nil, &all); err != nil || len(all) != 1 {
		t.Errorf("rights are %v, %v", all, err)
	}
}
