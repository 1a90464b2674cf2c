package e2etest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// newOfflineIMAP sets offlineimap up to keep a Maildir in step with an account. It cannot be told the
// name that the certificate is for, so that it is given the fingerprint.
func newOfflineIMAP(t *testing.T, a *account) *maildir {
	t.Helper()
	m := &maildir{account: a, dir: t.TempDir()}
	write(t, filepath.Join(m.dir, "password"), a.password)
	write(t, filepath.Join(m.dir, ".offlineimaprc"), `
[general]
accounts = story
metadata = `+m.dir+`/metadata
maxsyncaccounts = 1

[Account story]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = `+m.dir+`/mail
sep = /

[Repository far]
type = IMAP
remotehost = `+a.out.ip+`
remoteport = `+port(t, a.out.imaps)+`
remoteuser = `+a.address+`
remotepassfile = `+m.dir+`/password
ssl = yes
ssl_version = tls1_2
cert_fingerprint = `+fingerprint(t, a.site.certificate(t, a.out))+`
maxconnections = 2
`)
	return m
}

// fingerprint is the SHA-1 of the first certificate in a PEM file, in hexadecimal.
func fingerprint(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatalf("no certificate in %s", file)
	}
	sum := sha1.Sum(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// offlineimapTwoWays syncs an account with a Maildir while both sides change.
func offlineimapTwoWays(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	for _, subject := range []string{"one", "two", "three"} {
		a.put(t, "INBOX", message("x@example.com", a.address, subject, "text of "+subject))
	}
	eye := a.dial(t)
	if err := eye.Create("Lists/Öffentlich", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	a.put(t, "Lists/Öffentlich", message("x@example.com", a.address, "listed", "text"), imap.FlagFlagged)

	m := newOfflineIMAP(t, a)
	sync := func() { t.Helper(); run(t, m.dir, "", "offlineimap", "-o", "-u", "basic").ok() }
	sync()
	m.holds(t, "INBOX", "one:", "two:", "three:")
	m.holds(t, "Lists/&ANY-ffentlich", "listed:F")

	// The reader of the Maildir reads, answers and deletes, and another client flags and moves.
	m.flag(t, "INBOX", "one", "S")
	m.flag(t, "INBOX", "two", "RS")
	if err := os.Remove(m.messages(t, "INBOX")["three"]); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(m.dir, "mail", "INBOX", "cur", "1700000000.1.story:2,S"),
		"From: x@example.com\nTo: "+a.address+"\nSubject: note\nMessage-ID: <note@story.example>\n\nto myself\n")
	sync()
	a.expect(t, "INBOX", `one \Seen`, `two \Answered \Seen`, `note \Seen`)

	if _, err := eye.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged}}
	if err := eye.Store(imap.SeqSetNum(2), store, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := eye.Move(imap.SeqSetNum(1), "Lists/Öffentlich").Wait(); err != nil {
		t.Fatal(err)
	}
	sync()
	m.holds(t, "INBOX", "two:FRS", "note:S")
	m.holds(t, "Lists/&ANY-ffentlich", "listed:F", "one:S")
	sync()
	a.expect(t, "INBOX", `two \Answered \Flagged \Seen`, `note \Seen`)
	a.expect(t, "Lists/Öffentlich", `listed \Flagged`, `one \Seen`)
}
