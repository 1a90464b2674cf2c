package node

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// expunge removes the first messages of ada's INBOX by way of node i.
func (s *site) expunge(i, messages int) {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.config(i).IMAP.TLSListen[0], &tls.Config{InsecureSkipVerify: true}) // its certificate is made up
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for n, line := range []string{"LOGIN ada@example.org secret", "SELECT INBOX", fmt.Sprintf(`STORE 1:%d +FLAGS.SILENT (\Deleted)`, messages), "EXPUNGE", "LOGOUT"} {
		tag := fmt.Sprint("a", n)
		if _, err := fmt.Fprintf(conn, "%s %s\r\n", tag, line); err != nil {
			s.t.Fatal(err)
		}
		for {
			answer, err := r.ReadString('\n')
			if err != nil {
				s.t.Fatal(line, err)
			}
			if rest, found := strings.CutPrefix(answer, tag+" "); found {
				if !strings.HasPrefix(rest, "OK") {
					s.t.Fatalf("%s: %s", line, rest)
				}
				break
			}
		}
	}
}

// undelete expunges three messages by way of the first node, and brings them back by way of node i.
func (s *site) undelete(i int) {
	s.t.Helper()
	before := s.messages(1)
	s.expunge(1, 3)
	if got := s.messages(1); got != before-3 {
		s.t.Errorf("%d messages after the expunge, want %d", got, before-3)
	}
	var found, back adminapi.Undeleted
	const path = "/v1/accounts/ada@example.org/undelete"
	if err := s.ask(i, "POST", path, adminapi.Undelete{DryRun: true, Mailbox: "INBOX"}, &found); err != nil {
		s.t.Fatal(err)
	}
	if found.Messages != 3 || len(found.List) != 3 || !strings.HasSuffix(found.List[0].MessageID, "@test>") {
		s.t.Errorf("a dry run finds %+v", found)
	}
	if err := s.ask(i, "POST", path, adminapi.Undelete{}, &back); err != nil {
		s.t.Fatal(err)
	}
	if back.Messages != 3 {
		s.t.Errorf("%d came back, want 3", back.Messages)
	}
	s.eventually("the first node has them back", func() error {
		if got := s.messages(1); got != before {
			return fmt.Errorf("%d messages, want %d", got, before)
		}
		return nil
	})
}
