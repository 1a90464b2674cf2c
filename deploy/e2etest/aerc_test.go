package e2etest

import (
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// aerc is aerc on a terminal of tmux, which shows what is on the screen.
type aerc struct {
	t   *testing.T
	dir string
}

// newAerc starts aerc with the mail of an account.
func newAerc(t *testing.T, a *account) *aerc {
	t.Helper()
	p := newTap(t, a)
	c := &aerc{t: t, dir: t.TempDir()}
	source := url.URL{Scheme: "imaps", User: url.UserPassword(a.address, a.password), Host: p.address}
	write(t, filepath.Join(c.dir, ".config", "aerc", "accounts.conf"), `
[story]
source = `+source.String()+`
default = INBOX
from = A Story <`+a.address+`>
copy-to = Sent
check-mail = 1s
`)
	write(t, filepath.Join(c.dir, ".config", "aerc", "aerc.conf"), "[general]\nunsafe-accounts-conf = true\n[ui]\nindex-format = %s %Z\nsort = arrival\n[filters]\ntext/plain = cat\n")
	write(t, filepath.Join(c.dir, ".config", "aerc", "binds.conf"), "[messages]\n$ex = :\n[view]\n$ex = :\n")
	c.tmux("-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40",
		"SSL_CERT_FILE="+p.trust+" aerc 2>aerc.log").ok()
	t.Cleanup(func() {
		kill := exec.Command("tmux", "-S", "tmux", "kill-server") // the test's context has ended by now
		kill.Dir = c.dir
		if text, err := kill.CombinedOutput(); err != nil {
			t.Errorf("stop tmux: %v: %s", err, text)
		}
	})
	return c
}

// tmux speaks to this story's own tmux.
func (c *aerc) tmux(args ...string) output {
	c.t.Helper()
	return run(c.t, c.dir, "", "tmux", append([]string{"-S", "tmux"}, args...)...)
}

// do types a command of aerc's.
func (c *aerc) do(command string) {
	c.t.Helper()
	c.tmux("send-keys", "-l", ":"+command).ok()
	c.shows(":" + command)
	c.tmux("send-keys", "Enter").ok()
}

// shows waits until all texts are on the screen.
func (c *aerc) shows(texts ...string) {
	c.t.Helper()
	c.screen(true, texts)
}

// hides waits until none of the texts is on the screen.
func (c *aerc) hides(texts ...string) {
	c.t.Helper()
	c.screen(false, texts)
}

func (c *aerc) screen(with bool, texts []string) {
	c.t.Helper()
	eventually(c.t, func() error {
		screen := c.tmux("capture-pane", "-p").ok().text
		for _, text := range texts {
			if strings.Contains(screen, text) != with {
				return fmt.Errorf("%q on the screen: %v, want %v:\n%s", text, !with, with, screen)
			}
		}
		return nil
	})
}

// aercReads lists, reads, searches, flags, moves and deletes with aerc, while mail comes in.
func aercReads(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	if err := a.dial(t).Create("Filed", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"apples", "bananas", "cherries"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	c := newAerc(t, a)
	c.shows("INBOX", "Filed", "apples", "bananas", "cherries")
	a.put(t, "INBOX", message("x@example.com", a.address, "dates", "text of dates"))
	c.shows("dates")

	c.do("filter bananas")
	c.hides("apples", "cherries", "dates")
	c.do("select 0") // what was selected is not there any more
	c.do("view")
	c.shows("text of bananas")
	c.do("close")
	c.hides("text of bananas")
	c.do("flag")
	a.expect(t, "INBOX", "apples", `bananas \Flagged \Seen`, "cherries", "dates")
	c.do("move Filed")
	a.expect(t, "Filed", `bananas \Flagged \Seen`)
	c.do("clear")
	c.shows("apples", "cherries", "dates")
	c.hides("bananas")

	c.do("filter cherries")
	c.hides("apples", "dates")
	c.do("select 0")
	c.do("delete")
	a.expect(t, "INBOX", "apples", "dates")
	c.do("clear")
	c.do("cf Filed")
	c.shows("bananas")
	a.put(t, "Filed", message("x@example.com", a.address, "figs", "text of figs"), imap.FlagSeen)
	c.shows("figs")
}
