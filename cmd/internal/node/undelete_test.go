package node

import (
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// expunge removes the first messages of ada's INBOX by way of node i.
func (s *site) expunge(i, messages int) {
	s.t.Helper()
	k := s.talk(i)
	k.ok("SELECT INBOX")
	k.ok(`STORE 1:%d +FLAGS.SILENT (\Deleted)`, messages)
	k.ok("EXPUNGE")
	k.ok("LOGOUT")
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
