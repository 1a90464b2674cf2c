package imapd_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/uidset"
)

// court keeps the judgements it hears, as text.
type court struct{ heard []string }

func (c *court) Judged(j imapd.Judgement) {
	verdict := "wanted"
	if j.Junk {
		verdict = "junk"
	}
	if j.Implied {
		verdict += ", implied"
	}
	if j.Withdrawn {
		verdict += ", withdrawn"
	}
	c.heard = append(c.heard, fmt.Sprintf("%d %s %v: %s", j.Account, j.Mailbox, j.UIDs.Len(), verdict))
}

// TestJudged: which acts of a user say that messages are junk, or not.
func TestJudged(t *testing.T) {
	ctx := context.Background()
	store := mailstoretest.New(t)
	heard := new(court)
	mail := imapd.JudgedMailstore(store, heard)(1)
	open := func(name string) engine.Mailbox {
		in := store.NewIncoming(ctx, []index.AccountID{1}, nil)
		if _, err := in.Write([]byte("Subject: x\r\n\r\nx\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := in.Append(ctx, name, mailstore.AppendOptions{}); err != nil {
			t.Fatal(err)
		}
		box, err := mail.Open(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return box
	}
	for _, use := range []struct {
		name string
		use  index.SpecialUse
	}{{"Folder", 0}, {"Spam", index.UseJunk}, {"More Spam", index.UseJunk}, {"Bin", index.UseTrash}, {"Old", index.UseArchive}} {
		if _, err := store.Account(1).Create(ctx, use.name, use.use); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ from, act, to, want string }{
		{"INBOX", "move", "Spam", "1 Spam 1: junk"},
		{"INBOX", "copy", "Spam", "1 Spam 1: junk"},
		{"INBOX", "move", "Folder", ""},
		{"INBOX", "move", "Bin", ""},
		{"INBOX", "move", "Old", "1 Old 1: wanted, implied"},
		{"INBOX", "copy", "Old", ""},
		{"INBOX", "move", "nowhere", ""},
		{"Spam", "move", "INBOX", "1 INBOX 1: wanted"},
		{"Spam", "copy", "Folder", "1 Folder 1: wanted"},
		{"Spam", "move", "Old", "1 Old 1: wanted"},
		{"Spam", "move", "Bin", ""},
		{"Spam", "move", "More Spam", ""},
		{"INBOX", "+", "$Junk", "1 INBOX 1: junk"},
		{"INBOX", "+", "junk", "1 INBOX 1: junk"},
		{"INBOX", "=", "NonJunk", "1 INBOX 1: wanted"},
		{"Spam", "+", "$NotJunk", "1 Spam 1: wanted"},
		{"INBOX", "-", "$Junk", ""}, // it did not have it
		{"INBOX", "+ -", "$Junk", "1 INBOX 1: junk, withdrawn"},
		{"INBOX", "+", "other", ""},
		{"INBOX", "+", `\Answered`, "1 INBOX 1: wanted, implied"},
		{"Spam", "+", `\Answered`, ""},
		{"INBOX", "+", `\Seen`, ""},
	} {
		box := open(c.from)
		last := uidset.Of(index.UIDRange{Lo: box.Info().UIDNext - 1, Hi: box.Info().UIDNext - 1})
		heard.heard = nil
		act(ctx, box, last, c.act, c.to)
		got := ""
		if n := len(heard.heard); n > 0 {
			got = heard.heard[n-1]
		}
		if got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.from, c.act, c.to, got, c.want)
		}
	}
}

func act(ctx context.Context, box engine.Mailbox, uids *uidset.Set, how, what string) {
	req := access.StoreRequest{UIDs: uids, Keywords: []string{what}}
	switch what {
	case `\Answered`:
		req.Flags, req.Keywords = index.FlagAnswered, nil
	case `\Seen`:
		req.Flags, req.Keywords = index.FlagSeen, nil
	}
	switch how {
	case "move":
		_, _ = box.Move(ctx, uids, what) // one of them fails
	case "copy":
		_, _ = box.Copy(ctx, uids, what)
	case "+ -":
		act(ctx, box, uids, "+", what)
		act(ctx, box, uids, "-", what)
	default:
		req.Op = map[string]access.FlagOp{"+": access.Add, "-": access.Remove, "=": access.Set}[how]
		_, _ = box.Store(ctx, req)
	}
}
