package sieve_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPigeonhole runs the stories by sieve-test of Dovecot's Pigeonhole too (Debian: dovecot-sieve) and compares what becomes of the
// message. It takes half a minute, so it is asked for by ROOKERY_SIEVE_PEER: the path of sieve-test, or 1 for the one that is installed.
// testdata/pigeonhole names the stories that differ, each with the reason.
func TestPigeonhole(t *testing.T) {
	path := os.Getenv("ROOKERY_SIEVE_PEER")
	if path == "" {
		t.Skip("ROOKERY_SIEVE_PEER is not set")
	}
	if path == "1" {
		path = "sieve-test"
	}
	p := newPeer(t, path)
	differs := readDiffers(t)
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	same, lacks := 0, 0
	for _, file := range files {
		eachStory(t, file, func(title, message, script string, in map[string]string, want string) {
			name := filepath.Base(file) + ": " + title
			got, lacking := p.run(script, message, in)
			reason, known := differs[name]
			delete(differs, name)
			switch ours := summary(want); {
			case lacking:
				lacks++
			case got != ours && !known:
				t.Errorf("%s: we %q, Pigeonhole %q\n%s", name, ours, got, script)
			case got == ours && known:
				t.Errorf("%s is no different, said to be: %s", name, reason)
			case got == ours:
				same++
			}
		})
	}
	t.Logf("%d stories are the same; %d ask for what Pigeonhole does not have", same, lacks)
	for name := range differs {
		t.Errorf("testdata/pigeonhole: there is no story %q that Pigeonhole can run", name)
	}
}

// eachStory calls fn for the stories of a file.
func eachStory(t *testing.T, file string, fn func(title, message, script string, in map[string]string, want string)) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	message := "Subject: test\n\nbody\n"
	_, rest, _ := strings.Cut(string(text), "\n=== ")
	for rest != "" {
		var chunk string
		chunk, rest, _ = strings.Cut(rest, "\n=== ")
		title, content, _ := strings.Cut(chunk, "\n")
		switch {
		case title == "message":
			message = content + "\n"
		case title == "input" || strings.HasPrefix(title, "script "):
		default:
			before, want, _ := strings.Cut(content, "--- outcome\n")
			script, own, _ := strings.Cut(before, "--- input\n")
			in := lines(own)
			fn(title, crlf(or(in["message"], message)), script, in, want)
		}
	}
}

func readDiffers(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/pigeonhole")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, reason, ok := strings.Cut(strings.TrimSpace(line), " | "); ok {
			m[name] = reason
		}
	}
	return m
}

// peer is sieve-test with a directory of its own, as a user who is not root.
type peer struct {
	dir  string
	argv []string
}

func newPeer(t *testing.T, path string) *peer {
	t.Helper()
	dir, err := os.MkdirTemp("", "sieve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &peer{dir: dir, argv: []string{path}}
	uid := os.Getuid()
	if uid == 0 {
		uid = 65534
		p.argv = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path}
	}
	config := fmt.Sprintf("mail_location = maildir:%s/mail\nmail_home = %[1]s\nmail_uid = %d\nmail_gid = %[2]d\nfirst_valid_uid = 1\nssl = no\n"+
		"import_environment = TZ LD_LIBRARY_PATH HOME\nbase_dir = %[1]s/run\nstate_dir = %[1]s/run\nlog_path = /dev/stderr\nrecipient_delimiter = +\n"+
		"plugin {\n  sieve_extensions = +spamtest +spamtestplus +virustest +editheader +vacation-seconds\n  recipient_delimiter = +\n}\n", dir, uid)
	if err := os.WriteFile(dir+"/dovecot.conf", []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	stored   = regexp.MustCompile(`store message in folder: (.*)`)
	sentOn   = regexp.MustCompile(`redirect message to: <?([^>\n]*)>?`)
	peerDone = regexp.MustCompile(`(?s)\* (reject|send vacation|send notification)`)
	lacking  = regexp.MustCompile("unknown Sieve capability `(ereject|fcc|special-use|mailboxid|envelope-d|redirect-d|replace|enclose)|location for included script|spamtest|virustest")
)

// run gives a summary of what sieve-test says; lacks tells that it does not have what the script asks for.
func (p *peer) run(script, message string, in map[string]string) (got string, lacks bool) {
	for name, text := range map[string]string{"s.sieve": script, "m.eml": message} {
		if err := os.WriteFile(p.dir+"/"+name, []byte(text), 0o644); err != nil {
			return err.Error(), false
		}
	}
	to := or(in["to"], "bob@example.com")
	argv := append(slices.Clone(p.argv), "-c", p.dir+"/dovecot.conf", "-a", to, "-r", to, "-f", or(in["from"], "ann@example.org"),
		p.dir+"/s.sieve", p.dir+"/m.eml")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "USER=nobody", "TZ=XXX-1")
	said, _ := cmd.CombinedOutput() // it ends with an error where the script is refused
	os.Remove(p.dir + "/s.svbin")
	text := string(said)
	if lacking.MatchString(text) || lacking.MatchString(script) {
		return "", true
	}
	switch {
	case strings.Contains(text, "final result: failed"):
		return "failed", false
	case !strings.Contains(text, "final result: success"):
		return "refused", false
	}
	var list []string
	for _, m := range stored.FindAllStringSubmatch(text, -1) {
		list = append(list, "file "+m[1])
	}
	for _, m := range sentOn.FindAllStringSubmatch(text, -1) {
		list = append(list, "redirect "+m[1])
	}
	for _, m := range peerDone.FindAllStringSubmatch(text, -1) {
		list = append(list, map[string]string{"reject": "reject", "send vacation": "vacation", "send notification": "notify"}[m[1]])
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", "), false
}

// summary is the same of what a story expects.
func summary(want string) string {
	var list []string
	for line := range strings.Lines(want) {
		line = strings.TrimRight(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "refused:", "failed:":
			return strings.TrimSuffix(word, ":")
		case "file":
			for _, end := range []string{" implicit", " create", " use ", " flags ", " changed"} {
				rest, _, _ = strings.Cut(rest, end)
			}
			list = append(list, "file "+rest)
		case "redirect":
			rest, _, _ = strings.Cut(rest, " ")
			list = append(list, "redirect "+rest)
		case "reject", "vacation", "notify":
			list = append(list, word)
		}
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}
