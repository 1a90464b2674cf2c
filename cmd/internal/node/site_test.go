package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestAdministratorOverIMAP: who was made an administrator sets quotas and the server's annotations, which
// others read, and no more once that is taken back.
func TestAdministratorOverIMAP(t *testing.T) {
	t.Parallel()
	s := newSite(t, 17)
	s.start(1)
	if err := s.ask(1, "POST", "/v1/accounts", adminapi.Account{Address: "root@example.org", Password: "secret"}, nil); err != nil {
		t.Fatal(err)
	}
	root, ada := s.talkAs(1, "root@example.org"), s.talk(1)
	expect := func(k *talk, command, want string) {
		t.Helper()
		s.eventually(command, func() error {
			answer, untagged := k.say("%s", command)
			if got := strings.Join(append(untagged, answer), "\n"); !strings.Contains(got, want) {
				return fmt.Errorf("answered %q, not %q", got, want)
			}
			return nil
		})
	}
	admin := func(on bool) {
		t.Helper()
		if err := s.ask(1, "PATCH", "/v1/accounts/root@example.org", adminapi.AccountChange{Admin: &on}, nil); err != nil {
			t.Fatal(err)
		}
	}
	expect(root, `SETQUOTA ada@example.org (STORAGE 512)`, "NO [NOPERM]")
	admin(true)
	expect(root, `SETQUOTA ada@example.org (STORAGE 512 MESSAGE 7)`, `* QUOTA "ada@example.org" (STORAGE 0 512 MESSAGE 0 7)`)
	expect(ada, `GETQUOTA ""`, `* QUOTA "" (STORAGE 0 512 MESSAGE 0 7)`)
	expect(root, `SETQUOTA nobody@example.org (STORAGE 512)`, "NO [NONEXISTENT]")
	// Not before every node runs this version: the first node says so within seconds.
	expect(root, `SETMETADATA "" (/shared/comment "Our mail")`, "OK")
	expect(ada, `GETMETADATA "" /shared/comment`, `* METADATA "" (/shared/comment "Our mail")`)
	expect(ada, `SETMETADATA "" (/shared/comment NIL)`, "NO [NOPERM]")
	expect(ada, `SETMETADATA INBOX (/private/comment "mine")`, "OK")
	expect(ada, `GETMETADATA INBOX /private/comment`, `* METADATA INBOX (/private/comment "mine")`)
	admin(false)
	expect(root, `SETMETADATA "" (/shared/comment NIL)`, "NO [NOPERM]")
}

// TestSignedURLOverIMAP: who gets a URL from another reads the message, until the other's account is disabled.
func TestSignedURLOverIMAP(t *testing.T) {
	t.Parallel()
	s := newSite(t, 19)
	s.start(1)
	if err := s.ask(1, "POST", "/v1/accounts", adminapi.Account{Address: "root@example.org", Password: "secret"}, nil); err != nil {
		t.Fatal(err)
	}
	root, ada := s.talkAs(1, "root@example.org"), s.talk(1)
	ada.ok("APPEND INBOX {%d+}\r\n%s", len(letter), letter)
	signed := ""
	s.eventually("a URL is signed", func() error { // not before the level is raised
		answer, untagged := ada.say(`GENURLAUTH "%s" INTERNAL`, "imap://ada%40example.org@n1.example.org/INBOX/;UID=1;URLAUTH=user+root%40example.org")
		if !strings.HasPrefix(answer, "OK") || len(untagged) != 1 {
			return fmt.Errorf("answered %q", append(untagged, answer))
		}
		signed = strings.TrimPrefix(untagged[0], "* GENURLAUTH ")
		return nil
	})
	expect := func(k *talk, want string) {
		t.Helper()
		got := strings.Join(k.ok("URLFETCH %s", signed), "\r\n")
		if want := "* URLFETCH " + signed + " " + want; got != want {
			t.Errorf("answered %q, not %q", got, want)
		}
	}
	expect(root, fmt.Sprintf("{%d}\r\n%s", len(letter), letter))
	expect(ada, "NIL")
	yes := true
	if err := s.ask(1, "PATCH", "/v1/accounts/ada@example.org", adminapi.AccountChange{Disabled: &yes}, nil); err != nil {
		t.Fatal(err)
	}
	expect(root, "NIL")
}
