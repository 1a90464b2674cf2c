package node

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/keychain"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/srs"
)

// TestReturning: what went out with a changed sender finds back, and what was forged is nobody.
func TestReturning(t *testing.T) {
	dir := directorytest.New(t, "example.org")
	dir.AddAccount(t, "ann@example.org", "")
	dir.Must(t)(directory.UpdateDomain("example.org", "ann@example.org")) // a catch-all takes no forgeries either
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	d := returning{Directory: smtpd.Members(dir), now: func() time.Time { return now }, view: func(read func(directory.View) error) error {
		return read(dir.View())
	}}
	expect := func(text, want string) {
		t.Helper()
		found, err := d.Resolve(text)
		got := fmt.Sprint(found.Remote)
		if len(found.Accounts) > 0 {
			got = found.Accounts[0].Account.Address
		}
		for word, sentinel := range map[string]error{"nobody": directory.ErrNoUser, "elsewhere": directory.ErrNoDomain, "invalid": directory.ErrInvalid} {
			if errors.Is(err, sentinel) {
				got = word
			}
		}
		if got != want {
			t.Errorf("%s leads to %s, %v; want %s", text, got, err, want)
		}
	}
	secret := func(use string, number uint64, key string) {
		s := keychain.Secret{Number: number, Secret: &directorypb.Secret{Key: []byte(key), Created: now.UnixMilli()}}
		dir.Must(t)(directory.PutMail(directory.MailChange{Record: s.Record(use)}))
	}
	tag := func(number uint64, key string) string {
		return batv.Tag("ann@example.org", batv.Key{Number: number, Secret: []byte(key)}, now)
	}
	rewrite := func(sender, key string) string {
		text, err := srs.Rewrite(sender, "example.org", []byte(key), now)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	expect(tag(1, "one"), "ann@example.org") // the catch-all's: nothing was tagged here yet
	secret(keychain.BATV, 1, "one")
	secret(keychain.BATV, 2, "two")
	secret(keychain.SRS, 1, "one")
	secret(keychain.SRS, 2, "two")
	expect("ann@example.org", "ann@example.org")
	expect(tag(1, "one"), "ann@example.org")
	expect(tag(2, "two"), "ann@example.org")
	expect(tag(2, "one"), "nobody")
	expect("prvs=1234567890=ann@far.example", "elsewhere")
	expect("prvs=1234567890=ann", "invalid")
	expect(rewrite("bob@far.example", "one"), "[bob@far.example]")
	expect(rewrite("bob@far.example", "two"), "[bob@far.example]")
	expect(rewrite("bob@far.example", "three"), "nobody")
	expect(rewrite("SRS0=A=B=c.example=d@far.example", "one"), "[SRS0=A=B=c.example=d@far.example]")
	expect(rewrite("ann@example.org", "one"), "ann@example.org")
	expect("SRS0=AAAAAA=AA=far.example=bob@far.example", "elsewhere")
	expect("SRS0=AAAAAA=AA=far.example=bob@example.org", "nobody")
	now = now.AddDate(0, 0, 40)
	expect(tag(1, "one"), "ann@example.org")
	late := rewrite("bob@far.example", "one")
	now = now.AddDate(0, 0, 40)
	expect(late, "nobody")
}
