package e2etest

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
)

// swaks runs swaks against an address of the account's door for incoming mail.
func (a *account) swaks(t *testing.T, address string, args ...string) output {
	t.Helper()
	common := []string{"--server", a.in.ip, "--port", port(t, address), "--helo", "client.example",
		"--tls-verify", "--tls-ca-path", a.site.authority, "--tls-sni", a.in.host, "--timeout", "20"}
	return run(t, t.TempDir(), "", "swaks", append(common, args...)...)
}

// Exit statuses of swaks.
const (
	swaksRecipient = 24 // no recipient was accepted
	swaksAuth      = 28 // authentication failed
)

// swaksFromOutside sends as another mail server would.
func swaksFromOutside(t *testing.T, s *site) {
	a, b := s.newAccount(t, "anna"), s.newAccount(t, "bela")
	from := []string{"--from", "someone@elsewhere.example"}
	send := func(args ...string) output {
		t.Helper()
		return a.swaks(t, a.in.mx, append(from, args...)...)
	}
	send("--to", a.address, "--header", "Subject: plain").ok().
		says("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "STARTTLS", "ENHANCEDSTATUSCODES")
	send("--to", a.address+","+b.address, "--tls", "--header", "Subject: to two with TLS", "--pipeline").ok().
		says("=== TLS started")

	local, _, _ := strings.Cut(a.address, "@")
	send("--to", strings.ToUpper(local)+"+tag@EXAMPLE.org", "--tls", "--header", "Subject: tagged").ok()
	alias := "sales." + local + "@" + domain
	s.addAlias(t, alias, a.address)
	send("--to", alias, "--tls", "--header", "Subject: to an alias").ok()

	send("--to", "nobody."+a.address).exits(swaksRecipient).says("550 5.1.1")
	send("--to", "someone@elsewhere.example").exits(swaksRecipient).says("550 5.7.1")
	send("--to", "nobody."+a.address+","+b.address, "--header", "Subject: to one of two").ok().says("550 5.1.1")

	attachment := filepath.Join(t.TempDir(), "attachment.bin")
	write(t, attachment, strings.Repeat("\x00\xff\r\n.", 100_000))
	send("--to", a.address, "--tls", "--header", "Subject: attached", "--body", "see there", "--attach", "@"+attachment).ok()

	a.expect(t, "INBOX", "plain", "to two with TLS", "tagged", "to an alias", "attached")
	b.expect(t, "INBOX", "to two with TLS", "to one of two")
	text := a.text(t, "INBOX", "attached")
	head := strings.ToLower(text[:strings.Index(text, "\r\n\r\n")])
	for _, want := range []string{"return-path: <someone@elsewhere.example>", "received: from client.example"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in the header:\n%s", want, head)
		}
	}
	body := strings.ReplaceAll(text, "\r\n", "")
	if want := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00\xff\r\n.", 100_000))); !strings.Contains(body, want) {
		t.Error("the attachment is not what was sent")
	}
}

// swaksSubmits sends as a user, and tries what a user may not do.
func swaksSubmits(t *testing.T, s *site) {
	a, b := s.newAccount(t, "anna"), s.newAccount(t, "bela")
	send := func(address string, args ...string) output {
		t.Helper()
		return a.swaks(t, address, append([]string{"--from", a.address, "--to", b.address}, args...)...)
	}
	credentials := []string{"--auth-user", a.address, "--auth-password", a.password}
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		send(a.in.submission, append(credentials, "--tls", "--auth", mechanism, "--header", "Subject: by "+mechanism)...).
			ok().says("235 ")
	}
	send(a.in.submissions, append(credentials, "--tls-on-connect", "--auth", "PLAIN", "--header", "Subject: by TLS")...).ok()

	send(a.in.submission, append(credentials, "--auth", "PLAIN")...).exits(swaksAuth) // not offered without TLS
	send(a.in.submissions, "--tls-on-connect", "--auth", "PLAIN", "--auth-user", a.address, "--auth-password", "wrong").
		exits(swaksAuth).says("535 5.7.8")
	if o := send(a.in.submission, "--tls"); o.status == 0 {
		t.Errorf("mail was submitted without a password:\n%s", o.text)
	}

	b.expect(t, "INBOX", "by PLAIN", "by LOGIN", "by TLS")
	text := b.text(t, "INBOX", "by TLS")
	head := text[:strings.Index(text, "\r\n\r\n")]
	if !strings.Contains(head, "Received: ") || strings.Contains(head, "127.") || strings.Contains(head, "client.example [") {
		t.Errorf("the Received field of a submission is missing or shows the client's address:\n%s", head)
	}
}
