package mailstore_test

import (
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// TestReplaceRaces: of several who replace one message, one does; the others file nothing.
func TestReplaceRaces(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	mustDeliver(t, s, text("old", "old"), mailstore.Target{Account: 1})
	large := text("new", noise(300<<10)) // too large for the command: its octets are staged
	errs := make([]error, 8)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() {
			in := s.NewIncoming(t.Context(), []index.AccountID{1}, nil)
			defer in.Discard()
			m, err := s.Account(1).Open(t.Context(), index.Inbox)
			if err != nil {
				errs[i] = err
				return
			}
			if _, errs[i] = io.WriteString(in, large); errs[i] == nil {
				_, errs[i] = m.Replace(t.Context(), 1, "Drafts", in, mailstore.AppendOptions{Flags: index.FlagDraft})
			}
		})
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, index.ErrNoMessage):
			t.Errorf("one who came too late: %v", err)
		}
	}
	inbox, drafts := open(t, s, 1, index.Inbox), open(t, s, 1, "Drafts")
	old, err := inbox.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	filed, err := drafts.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if won != 1 || old.UIDs.Len() != 0 || filed.UIDs.Len() != 1 || read(t, drafts, 1) != large {
		t.Fatalf("%d replaced it; %d old and %d new messages are there", won, old.UIDs.Len(), filed.UIDs.Len())
	}
	verify(t, c)
}
