package node

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/logintest"
)

// TestUserAuthorities: the file is read again when it changes, and a broken one changes nothing.
func TestUserAuthorities(t *testing.T) {
	first, second := logintest.NewAuthority(t, "first"), logintest.NewAuthority(t, "second")
	path := filepath.Join(t.TempDir(), "users.pem")
	age := time.Hour
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		age -= time.Minute // so that two files have two times
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	write(first.PEM())
	u, err := openUserAuthorities(path, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		u.mu.Lock()
		u.checked = time.Time{}
		u.mu.Unlock()
	}
	pool := u.get()
	if !pool.Equal(first.Pool()) {
		t.Error("not the authority of the file")
	}
	look()
	if u.get() != pool {
		t.Error("another pool of the same file")
	}
	write(append(first.PEM(), second.PEM()...))
	if u.get() != pool {
		t.Error("the file is looked at all the time")
	}
	look()
	both := first.Pool()
	both.AddCert(second.Certificate)
	if pool = u.get(); !pool.Equal(both) {
		t.Error("not the authorities of the new file")
	}
	write([]byte("nothing"))
	look()
	if u.get() != pool {
		t.Error("a broken file was taken")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look()
	if u.get() != pool {
		t.Error("a file that is not there was taken")
	}

	if _, err := openUserAuthorities(path, time.Now(), u.log); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opened what is not there: %v", err)
	}
	if none, err := openUserAuthorities("", time.Now(), u.log); err != nil || none.get() != nil {
		t.Errorf("authorities without a file: %v", err)
	}
}

func TestParseAuthorities(t *testing.T) {
	ca := logintest.NewAuthority(t, "users")
	broken := slices.Clone(ca.PEM())
	broken[60] = '!'
	for name, data := range map[string][]byte{
		"nothing": nil, "text": []byte("authority"), "half": ca.PEM()[:100], "a broken one, then a good one": append(broken, ca.PEM()...),
		"a good one, then a broken one": append(ca.PEM(), broken...),
		"a key":                         []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		"not a certificate":             []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"a user's":                      (&logintest.Authority{Certificate: ca.Issue(t, nil, "ann@example.org").Leaf}).PEM(),
	} {
		if _, err := parseAuthorities(data); !errors.Is(err, errNoAuthority) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseAuthorities(append([]byte("# of the users\n"), ca.PEM()...)); err != nil {
		t.Errorf("with a remark: %v", err)
	}
}

// TestExternal: a node whose configuration names authorities lets in who has a certificate of theirs.
func TestExternal(t *testing.T) {
	t.Parallel()
	users := logintest.NewAuthority(t, "users")
	path := filepath.Join(t.TempDir(), "users.pem")
	if err := os.WriteFile(path, users.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, 41)
	s.imap, s.more = true, fmt.Sprintf("[tls]\nuser_authorities = %q\n", path)
	s.start(1)
	dial := func(address string) *talk {
		t.Helper()
		conn, err := tls.Dial("tcp", s.config(1).IMAP.TLSListen[0], &tls.Config{
			InsecureSkipVerify: true, Certificates: []tls.Certificate{users.Issue(t, nil, address)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &talk{t: t, conn: conn, r: bufio.NewReader(conn)}
	}
	ada := dial("ada@example.org")
	ada.ok("AUTHENTICATE EXTERNAL =")
	ada.ok("SELECT INBOX")
	if answer, _ := dial("nobody@example.org").say("AUTHENTICATE EXTERNAL ="); len(answer) < 2 || answer[:2] != "NO" {
		t.Errorf("nobody was answered %s", answer)
	}
}
