package e2etest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mutt is an account as mutt, or neomutt, is set up for it.
type mutt struct {
	program string
	account *account
	dir     string
}

func newMutt(t *testing.T, program string, a *account) *mutt {
	t.Helper()
	m := &mutt{program: program, account: a, dir: t.TempDir()}
	user := strings.ReplaceAll(a.address, "@", "%40")
	write(t, filepath.Join(m.dir, "muttrc"), `
set from=`+a.address+` realname="A Story" use_envelope_from=yes hostname=client.example
set imap_user=`+a.address+` imap_pass='`+a.password+`'
set smtp_url="smtps://`+user+`@`+a.in.ip+`:`+port(t, a.in.submissions)+`/" smtp_pass='`+a.password+`'
set folder="imaps://`+a.out.ip+`:`+port(t, a.out.imaps)+`/" spoolfile="+INBOX" record="+Sent" postponed="+Drafts"
set ssl_force_tls=yes ssl_verify_host=no certificate_file="`+m.certificates(t)+`"
set sleep_time=0 wait_key=no quit=yes delete=yes move=no confirmappend=no confirmcreate=no mark_old=no beep=no
`+mechanisms(program)+`
set mail_check=1 timeout=1 copy=yes charset=utf-8 send_charset="us-ascii:utf-8"
`)
	return m
}

// mechanisms says how a program logs in to SMTP. With GNU SASL, as in Debian 12, mutt takes
// SCRAM-SHA-256-PLUS by itself and then has no channel binding; neomutt there knows no SHA-256.
func mechanisms(program string) string {
	if program == "neomutt" {
		return `set smtp_authenticators="plain"`
	}
	return `set smtp_authenticators="scram-sha-256"`
}

// certificates gives a file with the certificates of the doors that this mutt speaks to.
func (m *mutt) certificates(t *testing.T) string {
	t.Helper()
	var all []byte
	written := m.account.in // where what clients say is written down, this door has two certificates
	written.imaps = written.direct
	for _, d := range []door{m.account.in, m.account.out, written} {
		data, err := os.ReadFile(m.account.site.certificate(t, d))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	file := filepath.Join(m.dir, "certificates.pem")
	write(t, file, string(all))
	return file
}

// send composes a message without a terminal.
func (m *mutt) send(t *testing.T, text string, args ...string) output {
	t.Helper()
	return run(t, m.dir, text, m.program, append([]string{"-F", "muttrc"}, args...)...)
}

// press opens a mailbox on a terminal, presses keys as mutt's "push" takes them, and quits.
func (m *mutt) press(t *testing.T, mailbox string, keys ...string) {
	t.Helper()
	rc, err := os.ReadFile(filepath.Join(m.dir, "muttrc"))
	if err != nil {
		t.Fatal(err)
	}
	pushed := strings.Join(keys, "") + "<quit>"
	write(t, filepath.Join(m.dir, "pressrc"), string(rc)+"\npush '"+pushed+"'\n")
	run(t, m.dir, "", "script", "--quiet", "--return", "--command", m.program+" -F pressrc -f '"+mailbox+"'", "screen").ok()
}

// file gives what mutt wrote to a file.
func (m *mutt) file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		screen, _ := os.ReadFile(filepath.Join(m.dir, "screen"))
		t.Fatalf("%v; the screen was\n%q", err, screen)
	}
	return string(data)
}

// muttRound sends with mutt to another user of mutt, who lists, reads, flags, moves and deletes.
func muttRound(t *testing.T, s *site) { muttStory(t, s, "mutt") }

func muttStory(t *testing.T, s *site, program string) {
	sender, reader := s.newAccount(t, "anna"), s.newAccount(t, "bela")
	m := newMutt(t, program, sender)
	write(t, filepath.Join(m.dir, "grüße.txt"), "attached text\n")
	m.send(t, "plain text\n", "-s", "one", "--", reader.address).ok()
	m.send(t, "Grüße\n", "-s", "zwei für dich", "--", reader.address).ok()
	m.send(t, "see there\n", "-s", "three", "-a", "grüße.txt", "--", reader.address).ok()
	m.send(t, "to nobody\n", "-s", "four", "--", "nobody."+reader.address).exits(1)
	if program == "mutt" { // neomutt keeps no copy of what it sends without a terminal
		sender.expect(t, "Sent", `one \Seen`, `zwei für dich \Seen`, `three \Seen`)
	}
	reader.expect(t, "INBOX", "one", "zwei für dich", "three")

	r := newMutt(t, program, reader)
	if err := reader.dial(t).Create("Filed", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	// A copy of each message on disk shows that it was listed and fetched.
	r.press(t, "=INBOX", "<tag-pattern>~A<enter>", "<tag-prefix><copy-message>"+r.dir+"/all<enter>")
	all := r.file(t, "all")
	for _, want := range []string{"Subject: one", "plain text", "Subject: three", "see there", "attached text"} {
		if !strings.Contains(all, want) {
			t.Errorf("it did not read %q:\n%s", want, all)
		}
	}
	r.press(t, "=INBOX", "<limit>~s one<enter><flag-message>", "<limit>~s three<enter><set-flag>r", "<limit>~A<enter>")
	reader.expect(t, "INBOX", `one \Flagged`, "zwei für dich", `three \Answered \Seen`)
	r.press(t, "=INBOX", "<limit>~s zwei<enter><save-message>=Filed<enter><sync-mailbox>", "<limit>~A<enter>")
	r.press(t, "=INBOX", "<limit>~s three<enter><delete-message><sync-mailbox>", "<limit>~A<enter>")
	reader.expect(t, "INBOX", `one \Flagged`)
	reader.expect(t, "Filed", "zwei für dich")
}
