package mailstore_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// TestURLKeys: a mailbox has one key until it is reset or all are dropped, and its own.
func TestURLKeys(t *testing.T) {
	c := mailstoretest.NewCluster(t)
	s := c.Store()
	a := s.Account(1)
	if key, err := a.URLKey(t.Context(), "INBOX"); key != nil || !errors.Is(err, index.ErrNoMailbox) {
		t.Fatalf("an account that was never used has the key %x: %v", key, err)
	}
	made := func(name string) []byte {
		t.Helper()
		key, err := a.MakeURLKey(t.Context(), name)
		if err != nil || len(key) != mailbox.URLKeySize {
			t.Fatalf("key %x of %s: %v", key, name, err)
		}
		if again, err := a.URLKey(t.Context(), name); err != nil || !bytes.Equal(key, again) {
			t.Fatalf("key %x of %s is read as %x: %v", key, name, again, err)
		}
		return key
	}
	first, sent := made("inbox"), made("Sent")
	if bytes.Equal(first, sent) || !bytes.Equal(first, made("INBOX")) {
		t.Fatalf("INBOX has the key %x, then %x, Sent %x", first, made("INBOX"), sent)
	}
	m, err := a.ResetURLKey(t.Context(), "INBOX")
	if err != nil || m.KeyResets != 1 || bytes.Equal(first, made("INBOX")) || !bytes.Equal(sent, made("Sent")) {
		t.Fatalf("reset of INBOX left %+v: %v", m, err)
	}
	if err := a.DropURLKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, resets := range map[string]uint32{"INBOX": 2, "Sent": 1, "Drafts": 0} {
		m, err := a.Mailbox(t.Context(), name)
		key, errKey := a.URLKey(t.Context(), name)
		if err != nil || errKey != nil || key != nil || m.KeyResets != resets {
			t.Errorf("without keys, %s has %x and %d resets: %v, %v", name, key, m.KeyResets, err, errKey)
		}
	}
	for _, name := range []string{"Nowhere", "a//b"} {
		_, err := a.MakeURLKey(t.Context(), name)
		_, err2 := a.ResetURLKey(t.Context(), name)
		if !errors.Is(err, index.ErrNoMailbox) || !errors.Is(err2, index.ErrNoMailbox) {
			t.Errorf("%q: %v, %v", name, err, err2)
		}
	}
	verify(t, c)
}

// TestURLKeyOfMany: sessions that sign at the same time sign with the same key.
func TestURLKeyOfMany(t *testing.T) {
	a := mailstoretest.New(t).Account(1)
	if _, err := a.Mailbox(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	keys := make([][]byte, 20)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := a.MakeURLKey(t.Context(), "INBOX")
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for i, key := range keys {
		if !bytes.Equal(key, keys[0]) {
			t.Errorf("key %d is %x, the first %x", i, key, keys[0])
		}
	}
}
