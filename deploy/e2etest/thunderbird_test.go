package e2etest

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// thunderbird is Thunderbird without a screen, told what to do in its own scripts.
type thunderbird struct {
	t       *testing.T
	dir     string
	program *exec.Cmd
	lead    *marionette
}

// newThunderbird starts Thunderbird with an empty profile and sets an account up in it.
func newThunderbird(t *testing.T, a *account) *thunderbird {
	t.Helper()
	b := &thunderbird{t: t, dir: t.TempDir()}
	// Every name leads to the door, so that nothing is asked of the world.
	write(t, filepath.Join(b.dir, "profile", "user.js"), `
user_pref("marionette.port", 0);
user_pref("network.dns.forceResolve", "`+a.out.ip+`");
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("app.update.enabled", false);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("mailnews.start_page.enabled", false);
`)
	b.start()
	authority, err := os.ReadFile(a.site.authority)
	if err != nil {
		t.Fatal(err)
	}
	var trusted []string
	for block, rest := pem.Decode(authority); block != nil; block, rest = pem.Decode(rest) {
		trusted = append(trusted, base64.StdEncoding.EncodeToString(block.Bytes))
	}
	b.do(nil, "trust", trusted)
	p, err := strconv.Atoi(port(t, a.out.imaps))
	if err != nil {
		t.Fatal(err)
	}
	b.do(nil, "setUp", a.out.host, p, a.address, a.password)
	return b
}

// start starts the program, which ends with the test.
func (b *thunderbird) start() {
	b.t.Helper()
	profile := filepath.Join(b.dir, "profile")
	file, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command("thunderbird", "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile", profile)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "TMPDIR=" + b.dir, "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = file, file
	if err := os.RemoveAll(filepath.Join(profile, "MarionetteActivePort")); err != nil {
		b.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.program = cmd
	b.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // an error where it was quit before
		file.Close()
	})
	var conn net.Conn
	eventually(b.t, func() error {
		text, err := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if err != nil {
			return err
		}
		conn, err = net.DialTimeout("tcp", "127.0.0.1:"+strings.TrimSpace(string(text)), time.Second)
		return err
	})
	b.t.Cleanup(func() { conn.Close() })
	b.lead = newMarionette(b.t, conn)
}

// restart quits the program, has something happen, and starts it again with what it knew.
func (b *thunderbird) restart(meanwhile func()) {
	b.t.Helper()
	b.lead.do("Marionette:Quit", map[string]any{"flags": []string{"eAttemptQuit"}})
	if err := b.program.Wait(); err != nil {
		b.t.Fatal(err)
	}
	meanwhile()
	b.start()
}

// do calls a function of testdata/thunderbird.js and waits for its result.
func (b *thunderbird) do(result any, function string, args ...any) {
	b.t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", "thunderbird.js"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.lead.run(string(script)+"\nreturn "+function+"(...arguments);", result, args...)
}

// knows waits until Thunderbird knows exactly these messages of a mailbox. It hears of changes in IDLE, but
// does not always go back there after it fetched something: then the mailbox is clicked on.
func (b *thunderbird) knows(mailbox string, want ...string) {
	b.t.Helper()
	slices.Sort(want)
	click := time.Now().Add(patience / 4)
	eventually(b.t, func() error {
		var got []string
		b.do(&got, "list", mailbox)
		if slices.Sort(got); slices.Equal(got, want) {
			return nil
		}
		if time.Now().After(click) {
			click = time.Now().Add(patience / 4)
			b.do(nil, "sync", mailbox)
		}
		return fmt.Errorf("it knows of %q in %s, want %q", got, mailbox, want)
	})
}
