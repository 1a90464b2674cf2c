package e2etest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// getmailGets gets mail with getmail: what is new, with the rest kept; then everything, deleting it.
func getmailGets(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	m := &maildir{account: a, dir: t.TempDir()}
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.MkdirAll(filepath.Join(m.dir, "mail", "got", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(m.dir, "password"), a.password)
	setUp := func(deleting string) {
		write(t, filepath.Join(m.dir, "getmailrc"), `
[retriever]
type = SimpleIMAPSSLRetriever
server = `+a.out.ip+`
port = `+port(t, a.out.imaps)+`
ca_certs = `+s.authority+`
ssl_cert_hostname = `+a.out.host+`
username = `+a.address+`
password_command = ("cat", "`+m.dir+`/password")
mailboxes = ("INBOX", "Filed")

[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > $(mktemp `+m.dir+`/mail/got/new/XXXXXX)")
allow_root_commands = true

[options]
read_all = false
delivered_to = false
received = false
delete = `+deleting+`
`)
	}
	get := func() { t.Helper(); run(t, m.dir, "", "getmail", "--getmaildir", m.dir).ok() }
	if err := a.dial(t).Create("Filed", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	a.put(t, "INBOX", message("x@example.com", a.address, "one", "text of one"))
	a.put(t, "Filed", message("x@example.com", a.address, "two", "text of two"))
	setUp("false")
	get()
	m.holds(t, "got", "one:", "two:")
	if err := os.Remove(m.messages(t, "got")["one"]); err != nil {
		t.Fatal(err)
	}
	a.put(t, "INBOX", message("x@example.com", a.address, "three", "text of three"))
	get() // one is known by its UID and not got again
	m.holds(t, "got", "two:", "three:")
	setUp("true")
	a.put(t, "INBOX", message("x@example.com", a.address, "four", "text of four"))
	get()
	m.holds(t, "got", "two:", "three:", "four:")
	a.expect(t, "INBOX")
	a.expect(t, "Filed")
}

// fetchmailFetches fetches with fetchmail: with STARTTLS and keeping, then with TLS and deleting.
func fetchmailFetches(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	dir := t.TempDir()
	quoted := "'" + strings.ReplaceAll(a.password, `\`, `\\`) + "'"
	fetch := func(address, options string) output {
		t.Helper()
		write(t, filepath.Join(dir, "fetchmailrc"), `
set no bouncemail
poll `+a.out.ip+` protocol IMAP port `+port(t, address)+` timeout 20
  user "`+a.address+`" password `+quoted+` is "story" here
  sslcertck sslcertfile "`+s.authority+`" sslcommonname "`+a.out.host+`" `+options+`
  mda "cat >> `+dir+`/mbox && printf '\n' >> `+dir+`/mbox"
`)
		return run(t, dir, "", "fetchmail", "--verbose", "--nosyslog", "--fetchmailrc", "fetchmailrc", "--pidfile", dir+"/pid")
	}
	a.put(t, "INBOX", message("x@example.com", a.address, "one", "text of one\n.\nand more"))
	a.put(t, "INBOX", message("x@example.com", a.address, "two", "text of two"))
	fetch(a.out.imap, `sslproto "TLS1.2+" keep`).ok()
	a.expect(t, "INBOX", `one \Seen`, `two \Seen`)
	const nothingNew = 1
	fetch(a.out.imap, `sslproto "TLS1.2+" keep`).exits(nothingNew)

	a.put(t, "INBOX", message("x@example.com", a.address, "three", "text of three"))
	fetch(a.out.imaps, "ssl nokeep").ok()
	a.expect(t, "INBOX", `one \Seen`, `two \Seen`)
	fetch(a.out.imaps, "ssl nokeep fetchall").ok()
	a.expect(t, "INBOX")

	got, err := os.ReadFile(filepath.Join(dir, "mbox"))
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{"Subject: one\n": 2, "Subject: two\n": 2, "Subject: three\n": 1, "\n.\nand more\n": 2} {
		if n := strings.Count(string(got), want); n != times {
			t.Errorf("%q was fetched %d times, want %d:\n%s", want, n, times, got)
		}
	}
}
