package node

import (
	"errors"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// answering is a directory that counts how often it is asked.
type answering struct {
	smtpd.Directory
	asked int
	found directory.Resolution
	err   error
}

func (a *answering) Resolve(string) (directory.Resolution, error) {
	a.asked++
	return a.found, a.err
}

// TestRecipients: an address is resolved once at each applied index, unless nobody has it, or many do.
func TestRecipients(t *testing.T) {
	at, behind := cluster.LogIndex(7), &answering{}
	now, one := error(nil), new(replica)
	d := newRecipients(behind, func() (*replica, cluster.LogIndex, error) { return one, at, now })
	asks := func(address string, want cluster.AccountID) bool {
		t.Helper()
		before := behind.asked
		found, err := d.Resolve(address)
		if want == 0 && !errors.Is(err, behind.err) {
			t.Fatalf("%s: %v, want %v", address, err, behind.err)
		}
		if want != 0 && (err != nil || found.Accounts[0].Account.ID != want) {
			t.Fatalf("%s: %v %v, want account %d", address, found, err, want)
		}
		return behind.asked > before
	}
	leadTo := func(ids ...cluster.AccountID) {
		behind.found, behind.err = directory.Resolution{}, nil
		for _, id := range ids {
			behind.found.Accounts = append(behind.found.Accounts, directory.Target{Account: directory.Account{ID: id}})
		}
	}
	leadTo(1)
	if !asks("ada@example.org", 1) || asks("ada@example.org", 1) || !asks("bob@example.org", 1) {
		t.Error("an address is resolved once, each for itself")
	}
	leadTo(2)
	if asks("ada@example.org", 1) {
		t.Error("resolved again, and the directory has applied nothing")
	}
	at++
	if !asks("ada@example.org", 2) || asks("ada@example.org", 2) {
		t.Error("what the directory applied is not seen")
	}
	behind.err = directory.ErrNoUser
	if !asks("eve@example.org", 0) || !asks("eve@example.org", 0) {
		t.Error("it is remembered that there is nobody")
	}
	leadTo(1, 2, 3, 4, 5)
	if !asks("all@example.org", 1) || !asks("all@example.org", 1) {
		t.Error("a long list is remembered")
	}
	now = cluster.ErrNoReplica
	if leadTo(3); !asks("ada@example.org", 3) {
		t.Error("something is remembered where it is not known what the directory has applied")
	}
}
