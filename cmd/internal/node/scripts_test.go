package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// TestScripts: the active script of a recipient files, changes, sends on and answers, in one step with the delivery and once when the
// message comes again; a recipient who refuses is heard; what is sent on inside is sorted there too.
func TestScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t, 79)
	s.more = "[outbound]\nenabled = true\nresolvers = [\"127.0.0.1:1\"]\n"
	s.start(1)
	post := func(path string, in any) error { return s.ask(1, "POST", path, in, nil) }
	if err := post("/v1/accounts", adminapi.Account{Address: "bob@example.org", Password: "xyzzy"}); err != nil {
		t.Fatal(err)
	}
	put := func(owner, name, text string) error {
		return post("/v1/scripts?owner="+owner, adminapi.Script{Name: name, Active: true, Text: text})
	}
	if err := put("ada@example.org", "main", "fileinto \"x\";"); err == nil || !strings.Contains(err.Error(), "fileinto") {
		t.Errorf("a script that is wrong: %v", err)
	}
	for _, err := range []error{
		put("ada@example.org", "main", `require ["fileinto", "mailbox", "copy", "editheader", "vacation", "reject"];
if header :is "subject" "refuse" { reject "Not this."; stop; }
addheader "X-Sorted" "yes";
fileinto :create "Work";
redirect "bob@example.org";
vacation "Away.";`),
		put("", "default", `require ["fileinto", "mailbox"]; fileinto :create "Everybody";`),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mx := s.config(1).SMTP.MX[0]
	text := "From: joe@example.net\r\nTo: ada@example.org\r\nSubject: hello\r\nMessage-ID: <sorted@test>\r\n\r\nHello.\r\n"
	for range 2 { // the reply got lost
		s.eventually("the message is taken", func() error { return sendFrom(mx, "joe@example.net", "ada@example.org", text) })
	}
	if err := sendFrom(mx, "joe@example.net", "ada@example.org", strings.ReplaceAll(text, "hello", "refuse")); err == nil || !strings.Contains(err.Error(), "Not this.") {
		t.Errorf("a script that refuses: %v", err)
	}
	s.tells("<sorted@test>", "sieve ran", "in Work", "in Everybody")
	s.eventually("one answer and no more waits", func() error {
		var list adminapi.QueueListing
		if err := s.ask(1, "POST", "/v1/queue/list", adminapi.QueueQuery{}, &list); err != nil {
			return err
		}
		if list.Matched != 1 {
			return fmt.Errorf("%d entries", list.Matched)
		}
		return nil
	})
	if err := s.ask(1, "DELETE", "/v1/accounts/ada@example.org", nil, nil); err != nil {
		t.Errorf("an account with scripts is deleted: %v", err)
	}
}
