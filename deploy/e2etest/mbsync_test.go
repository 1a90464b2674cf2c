package e2etest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// maildir is a copy of an account's mail that mbsync keeps in step with the server.
type maildir struct {
	account *account
	dir     string // holds .mbsyncrc, password and mail
}

func newMaildir(t *testing.T, a *account) *maildir {
	t.Helper()
	m := &maildir{account: a, dir: t.TempDir()}
	write(t, filepath.Join(m.dir, "password"), a.password)
	write(t, filepath.Join(m.dir, ".mbsyncrc"), `
IMAPStore far
Host `+a.out.ip+`
Port `+port(t, a.out.imaps)+`
User `+a.address+`
PassCmd "cat `+m.dir+`/password"
SSLType IMAPS
SystemCertificates no
CertificateFile `+a.site.certificate(t, a.out)+`

MaildirStore near
Path `+m.dir+`/mail/
Inbox `+m.dir+`/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
CopyArrivalDate yes
`)
	write(t, filepath.Join(m.dir, "mail", "keep"), "")
	return m
}

// summary is mbsync's last line: what was added, flagged and moved to a trash on each side. Deletions count as flags.
var summary = regexp.MustCompile(`F: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +N: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+\s*$`)

// sync runs mbsync and expects what it says it did on the server ("far") and in the Maildir ("near"):
// messages added, flagged, and moved to a trash, of which there is none.
func (m *maildir) sync(t *testing.T, far, near string) {
	t.Helper()
	// It gives its summary only to a terminal.
	o := run(t, m.dir, "", "script", "--quiet", "--return", "--command", "mbsync --all", "/dev/null").ok()
	found := summary.FindAllStringSubmatch(o.text, -1)
	if len(found) == 0 {
		t.Fatalf("mbsync gave no summary:\n%s", o.text)
	}
	last := found[len(found)-1]
	if got := "+" + last[1] + " *" + last[2] + " #" + last[3]; got != far {
		t.Fatalf("mbsync did %q on the server, want %q:\n%s", got, far, o.text)
	}
	if got := "+" + last[4] + " *" + last[5] + " #" + last[6]; got != near {
		t.Fatalf("mbsync did %q in the Maildir, want %q:\n%s", got, near, o.text)
	}
}

// nothing is a side on which mbsync did nothing.
const nothing = "+0 *0 #0"

// messages gives the files of a mailbox by the subject in them.
func (m *maildir) messages(t *testing.T, mailbox string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(m.dir, "mail", mailbox, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(m.dir, "mail", mailbox, sub, e.Name())
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(text), "Subject: ")
			subject, _, _ := strings.Cut(after, "\n")
			files[strings.TrimSpace(subject)] = path
		}
	}
	return files
}

// holds expects messages by subject and Maildir flags, as in "one:FS".
func (m *maildir) holds(t *testing.T, mailbox string, want ...string) {
	t.Helper()
	var got []string
	for subject, path := range m.messages(t, mailbox) {
		_, flags, _ := strings.Cut(filepath.Base(path), ":2,")
		got = append(got, subject+":"+flags)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the Maildir %s holds %q, want %q", mailbox, got, want)
	}
}

// flag gives a message of the Maildir other flags, as a reader of it would.
func (m *maildir) flag(t *testing.T, mailbox, subject, flags string) {
	t.Helper()
	path := m.messages(t, mailbox)[subject]
	name, _, _ := strings.Cut(filepath.Base(path), ":2,")
	if err := os.Rename(path, filepath.Join(m.dir, "mail", mailbox, "cur", name+":2,"+flags)); err != nil {
		t.Fatal(err)
	}
}

// mbsyncTwoWays syncs an account with a Maildir while both sides change. After each sync another one
// has nothing to do.
func mbsyncTwoWays(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	for _, subject := range []string{"one", "two", "three"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	eye := a.dial(t)
	if err := eye.Create("Lists/Öffentlich & more", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	a.put(t, "Lists/Öffentlich & more", message("x@example.com", a.address, "listed", "text"), imap.FlagFlagged)

	m := newMaildir(t, a)
	m.sync(t, nothing, "+4 *0 #0")
	m.sync(t, nothing, nothing)
	m.holds(t, "INBOX", "one:", "two:", "three:")

	// The reader of the Maildir reads, flags, deletes and files something away.
	m.flag(t, "INBOX", "one", "S")
	m.flag(t, "INBOX", "two", "FRS")
	m.flag(t, "INBOX", "three", "ST")
	write(t, filepath.Join(m.dir, "mail", "Notes", "cur", "1700000000.1.story:2,S"),
		strings.ReplaceAll(message(a.address, a.address, "note", "to myself"), "\r\n", "\n"))
	write(t, filepath.Join(m.dir, "mail", "Notes", "new", "keep"), "")
	os.Remove(filepath.Join(m.dir, "mail", "Notes", "new", "keep"))
	write(t, filepath.Join(m.dir, "mail", "Notes", "tmp", "keep"), "")
	m.sync(t, "+1 *3 #0", nothing)
	m.sync(t, nothing, nothing)
	a.expect(t, "INBOX", `one \Seen`, `two \Answered \Flagged \Seen`)
	a.expect(t, "Notes", `note \Seen`)

	// Another client changes the server meanwhile, and so does the reader.
	if _, err := eye.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsDel, Flags: []imap.Flag{imap.FlagFlagged}}
	if err := eye.Store(imap.SeqSetNum(2), store, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := eye.Move(imap.SeqSetNum(1), "Notes").Wait(); err != nil {
		t.Fatal(err)
	}
	a.put(t, "INBOX", message("x@example.com", a.address, "four", "text"))
	m.flag(t, "Notes", "note", "FS")
	m.sync(t, "+0 *1 #0", "+2 *2 #0")
	m.sync(t, nothing, nothing)
	m.holds(t, "INBOX", "two:RS", "four:")
	m.holds(t, "Notes", "note:FS", "one:S")
	a.expect(t, "Notes", `note \Flagged \Seen`, `one \Seen`)
	a.expect(t, "INBOX", `two \Answered \Seen`, "four")
}
