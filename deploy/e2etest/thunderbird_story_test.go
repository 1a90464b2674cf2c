package e2etest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// thunderbirdRound reads, searches, flags, files and deletes in Thunderbird, and tells what others do.
func thunderbirdRound(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	for _, subject := range []string{"apples", "bananas", "cherries"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	b := newThunderbird(t, a)
	b.do(nil, "getMail")
	var names []string
	b.do(&names, "folders")
	for _, want := range []string{"Drafts", "Sent", "Junk", "Archive", "Trash"} {
		if !slices.Contains(names, want) {
			t.Errorf("it found no mailbox %s, but %q", want, names)
		}
	}
	b.knows("Inbox", "apples", "bananas", "cherries")
	var text string
	if b.do(&text, "read", "Inbox", "bananas"); !strings.Contains(text, "text of bananas") {
		t.Errorf("it read %q", text)
	}
	b.do(nil, "mark", "Inbox", "bananas", "read")
	b.do(nil, "mark", "Inbox", "apples", "flagged")
	a.expect(t, "INBOX", `apples \Flagged`, `bananas \Seen`, "cherries")

	var found []string
	if b.do(&found, "search", "Inbox", "text of cherries"); !slices.Equal(found, []string{"cherries"}) {
		t.Errorf("the search found %q", found)
	}

	b.do(nil, "create", "Öffentlich")
	eventually(t, func() error {
		b.do(&names, "folders")
		if !slices.Contains(names, "Öffentlich") {
			return fmt.Errorf("the new mailbox is not among %q", names)
		}
		return nil
	})
	b.do(nil, "move", "Inbox", "bananas", "Öffentlich", true)
	a.expect(t, "Öffentlich", `bananas \Seen`)
	b.do(nil, "move", "Inbox", "apples", "Öffentlich", false)
	a.expect(t, "Öffentlich", `bananas \Seen`, `apples \Flagged`)
	b.do(nil, "trash", "Inbox", "cherries")
	a.expect(t, "INBOX", `apples \Flagged`)
	a.expect(t, "Trash", "cherries")
	b.do(nil, "emptyTrash")
	a.expect(t, "Trash")

	// It shows what others do.
	a.put(t, "INBOX", message("x@example.com", a.address, "dates", "text of dates"), imap.FlagSeen)
	b.knows("Inbox", `apples \Flagged`, `dates \Seen`)
	eye := a.dial(t)
	if _, err := eye.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagSeen}}
	if err := eye.Store(imap.SeqSetNum(1), store, nil).Close(); err != nil {
		t.Fatal(err)
	}
	b.knows("Inbox", `apples \Flagged \Seen`, `dates \Seen`)
	if _, err := eye.Move(imap.SeqSetNum(2), "Öffentlich").Wait(); err != nil {
		t.Fatal(err)
	}
	b.knows("Inbox", `apples \Flagged \Seen`)
	var listed []string
	b.do(&listed, "sync", "Öffentlich")
	slices.Sort(listed)
	if want := []string{`apples \Flagged`, `bananas \Seen`, `dates \Seen`}; !slices.Equal(listed, want) {
		t.Errorf("it lists %q, want %q", listed, want)
	}

	// What happened while it did not run is found when it looks again.
	b.restart(func() {
		a.put(t, "Öffentlich", message("x@example.com", a.address, "elderberries", "text"))
		if _, err := eye.Select("Öffentlich", nil).Wait(); err != nil {
			t.Fatal(err)
		}
		if err := eye.Store(imap.SeqSetNum(2), store, nil).Close(); err != nil {
			t.Fatal(err)
		}
	})
	b.do(nil, "enter", a.password)
	b.do(nil, "sync", "Öffentlich")
	b.knows("Öffentlich", `apples \Flagged \Seen`, `bananas \Seen`, `dates \Seen`, "elderberries")
}
