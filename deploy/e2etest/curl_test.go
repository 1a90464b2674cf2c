package e2etest

import (
	"path/filepath"
	"strings"
	"testing"
)

// curl runs curl against a door by the name in its certificate, which has to be right.
func (a *account) curl(t *testing.T, d door, args ...string) output {
	t.Helper()
	common := []string{"--silent", "--show-error", "--cacert", a.site.authority, "--max-time", "20"}
	for _, address := range []string{d.mx, d.submission, d.submissions, d.imap, d.imaps} {
		common = append(common, "--resolve", d.host+":"+port(t, address)+":"+d.ip)
	}
	return run(t, t.TempDir(), "", "curl", append(common, args...)...)
}

// login is the account as curl takes it.
func (a *account) login() []string { return []string{"--user", a.address + ":" + a.password} }

// imapURL is a URL of curl's at the reading door, with TLS from the first byte.
func (a *account) imapURL(t *testing.T, path string) string {
	return "imaps://" + a.out.host + ":" + port(t, a.out.imaps) + "/" + path
}

func (a *account) smtpURL(t *testing.T, scheme, address string) string {
	return scheme + "://" + a.in.host + ":" + port(t, address) + "/client.example"
}

// curlSends delivers by curl: from outside with STARTTLS, and from users over both submission ports.
func curlSends(t *testing.T, s *site) {
	a, b := s.newAccount(t, "anna"), s.newAccount(t, "bela")
	dir := t.TempDir()
	send := func(subject, url string, args ...string) output {
		t.Helper()
		file := filepath.Join(dir, "message")
		write(t, file, message(a.address, b.address, subject, "first line\n.second begins with a dot\n\nend"))
		args = append(args, "--ssl-reqd", "--mail-from", a.address, "--mail-rcpt", b.address, "--upload-file", file, url)
		return a.curl(t, a.in, args...)
	}
	send("from outside", a.smtpURL(t, "smtp", a.in.mx)).ok()
	send("submitted with STARTTLS", a.smtpURL(t, "smtp", a.in.submission), a.login()...).ok()
	send("submitted with TLS", a.smtpURL(t, "smtps", a.in.submissions), a.login()...).ok()
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		send("auth "+mechanism, a.smtpURL(t, "smtps", a.in.submissions),
			append(a.login(), "--login-options", "AUTH="+mechanism)...).ok()
	}
	send("bad password", a.smtpURL(t, "smtps", a.in.submissions), "--user", a.address+":wrong").exits(67)
	b.expect(t, "INBOX", "from outside", "submitted with STARTTLS", "submitted with TLS", "auth PLAIN", "auth LOGIN")
	if text := b.text(t, "INBOX", "from outside"); !strings.HasSuffix(text, "\r\n\r\nfirst line\r\n.second begins with a dot\r\n\r\nend\r\n") {
		t.Errorf("the text is not what was sent:\n%q", text)
	}
}

// curlReads lists, searches, fetches, flags, appends, moves and deletes by curl.
func curlReads(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	imap := func(path string, args ...string) output {
		t.Helper()
		return a.curl(t, a.out, append(append(a.login(), args...), a.imapURL(t, path))...)
	}
	for _, subject := range []string{"one", "two", "three"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	imap("").ok().says("* LIST", "INBOX")
	imap("INBOX", "--request", "EXAMINE INBOX").ok().says("3 EXISTS", "UIDVALIDITY")
	imap("INBOX?SUBJECT%20two").ok().says("* SEARCH 2")
	imap("INBOX;MAILINDEX=2").ok().says("Subject: two", "text of two")
	imap("INBOX;UID=3;SECTION=HEADER.FIELDS%20(SUBJECT)").ok().says("Subject: three").hides("From:")
	imap("INBOX;UID=1;SECTION=TEXT").ok().says("text of one").hides("Subject:")
	imap("INBOX", "--request", "FETCH 1:* (FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE)").ok().
		says(`"three"`, `("text" "plain"`, `\Seen`)
	imap("INBOX", "--request", `STORE 1 +FLAGS (\Flagged \Answered)`).ok().says(`\Flagged`, `\Answered`)
	imap("", "--request", "CREATE Filed").ok()
	imap("", "--request", `LIST "" "*"`).ok().says("Filed", "INBOX")
	imap("INBOX", "--request", "UID MOVE 2 Filed").ok()
	imap("INBOX", "--request", `STORE 2 +FLAGS.SILENT (\Deleted)`).ok().hides("* 2 FETCH")
	imap("INBOX", "--request", "EXPUNGE").ok().says("* 2 EXPUNGE")
	file := filepath.Join(t.TempDir(), "message")
	write(t, file, message(a.address, a.address, "draft", "not yet sent"))
	imap("Filed", "--upload-file", file).ok()
	imap("", "--request", "STATUS Filed (MESSAGES UIDNEXT UNSEEN)").ok().says("MESSAGES 2", "UIDNEXT 3")

	a.expect(t, "INBOX", `one \Answered \Flagged \Seen`)
	a.expect(t, "Filed", `two \Seen`, `draft \Seen`)
}

// curlLogsIn tries the ways to log in to IMAP, and some that must not work.
func curlLogsIn(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	plain := "imap://" + a.out.host + ":" + port(t, a.out.imap) + "/"
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		a.curl(t, a.out, append(a.login(), "--ssl-reqd", "--login-options", "AUTH="+mechanism, plain)...).ok().says("INBOX")
	}
	a.curl(t, a.out, append(a.login(), plain)...).exits(67).hides("INBOX") // no password without TLS
	a.curl(t, a.out, "--user", a.address+":wrong", a.imapURL(t, "")).exits(67)
	a.curl(t, a.out, "--user", "nobody@"+domain+":"+a.password, a.imapURL(t, "")).exits(67)
}
