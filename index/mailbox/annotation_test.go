package mailbox_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailbox"
)

func annotate(w *world, box string, user uint64, pairs ...string) indexpb.Code {
	cmd := &indexpb.SetMetadataCommand{Account: 1, Mailbox: box, User: user}
	for i := 0; i < len(pairs); i += 2 {
		c := &indexpb.AnnotationChange{Entry: pairs[i]}
		if pairs[i+1] != "NIL" {
			c.Value = []byte(pairs[i+1])
		}
		cmd.Changes = append(cmd.Changes, c)
	}
	return w.do(command.SetMetadata, cmd).Code
}

func annotations(t *testing.T, w *world, box string, user index.AccountID) string {
	t.Helper()
	var id index.MailboxID
	if box != "" {
		var ok bool
		var err error
		if id, ok, err = mailbox.Find(w.b, 1, box); err != nil || !ok {
			t.Fatal(box, ok, err)
		}
	}
	all, err := mailbox.Annotations(w.b, 1, id, user)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range all {
		out = append(out, a.Entry+"="+string(a.Value))
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// TestAnnotationsGoWithTheirMailbox: through renames, not into another that gets the name, and away with it.
func TestAnnotationsGoWithTheirMailbox(t *testing.T) {
	w := newWorld(t)
	w.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 1, Name: "A"})
	if code := annotate(w, "A", 1, "/shared/comment", "s", "/private/comment", "p"); code != indexpb.Code_CODE_OK {
		t.Fatal(code)
	}
	annotate(w, "A", 2, "/private/comment", "of another")
	annotate(w, "", 1, "/private/vendor/a", "account")
	w.do(command.RenameMailbox, &indexpb.RenameMailboxCommand{Account: 1, From: "A", To: "B"})
	for user, want := range map[index.AccountID]string{
		1: "/shared/comment=s /private/comment=p", 2: "/shared/comment=s /private/comment=of another", 3: "/shared/comment=s",
	} {
		if got := annotations(t, w, "B", user); got != want {
			t.Errorf("user %d sees %q, want %q", user, got, want)
		}
	}
	annotate(w, "B", 1, "/shared/comment", "NIL", "/private/comment", "")
	if got, want := annotations(t, w, "B", 1), "/private/comment="; got != want {
		t.Errorf("after a removal %q, want %q", got, want)
	}
	w.do(command.DeleteMailbox, &indexpb.DeleteMailboxCommand{Account: 1, Name: "B"})
	w.do(command.CreateMailbox, &indexpb.CreateMailboxCommand{Account: 1, Name: "B"})
	if got := annotations(t, w, "B", 1); got != "" {
		t.Errorf("a mailbox made anew has %q", got)
	}
	annotate(w, "INBOX", 1, "/private/comment", "in")
	w.do(command.RenameMailbox, &indexpb.RenameMailboxCommand{Account: 1, From: "INBOX", To: "Old"})
	if got := annotations(t, w, "INBOX", 1) + annotations(t, w, "Old", 1); got != "/private/comment=in/private/comment=in" {
		t.Errorf("INBOX renamed: %q", got)
	}
	w.do(command.DropAccount, &indexpb.DropAccountCommand{Account: 1})
	if strings.Contains("\n"+string(dump(t, w.b)), "\n28") {
		t.Error("annotations of a dropped account are left")
	}
}

// TestAnnotationsAreBounded: what is refused changes nothing.
func TestAnnotationsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range mailbox.MaxAnnotations {
		if code := annotate(w, "INBOX", 1, fmt.Sprintf("/private/vendor/x/%d", i), "v"); code != indexpb.Code_CODE_OK {
			t.Fatal(i, code)
		}
	}
	for _, c := range []struct {
		entry, value string
		want         indexpb.Code
	}{
		{"/private/one", "more", indexpb.Code_CODE_TOO_MANY_ANNOTATIONS},
		{"/shared/one", strings.Repeat("x", mailbox.MaxAnnotation+1), indexpb.Code_CODE_INVALID},
		{"/Shared/one", "x", indexpb.Code_CODE_INVALID},
		{"/shared/", "x", indexpb.Code_CODE_INVALID},
		{"/shared//x", "x", indexpb.Code_CODE_INVALID},
		{"/shared/x*", "x", indexpb.Code_CODE_INVALID},
		{"/other/x", "x", indexpb.Code_CODE_INVALID},
		{"/shared/" + strings.Repeat("x", mailbox.MaxEntry), "x", indexpb.Code_CODE_INVALID},
	} {
		before := dump(t, w.b)
		if code := annotate(w, "INBOX", 1, c.entry, c.value); code != c.want {
			t.Errorf("%.40s: %v, want %v", c.entry, code, c.want)
		}
		if !bytes.Equal(before, dump(t, w.b)) {
			t.Errorf("%.40s: a refused change changed keys", c.entry)
		}
	}
	// One goes and one comes; and others have room of their own.
	if code := annotate(w, "INBOX", 1, "/private/vendor/x/0", "NIL", "/private/one", "x"); code != indexpb.Code_CODE_OK {
		t.Error(code)
	}
	if code := annotate(w, "INBOX", 1, "/shared/one", strings.Repeat("x", mailbox.MaxAnnotation)); code != indexpb.Code_CODE_OK {
		t.Error(code)
	}
	if code := annotate(w, "Nowhere", 1, "/shared/one", "x"); code != indexpb.Code_CODE_NO_MAILBOX {
		t.Error(code)
	}
	if err := mailbox.Verify(w.b); err != nil {
		t.Fatal(err)
	}
}
