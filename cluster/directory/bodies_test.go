package directory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// TestBlobKeys: keys are kept one by one and forgotten one by one, and neither they nor the store are
// settings that an operator can see or make.
func TestBlobKeys(t *testing.T) {
	store, machine := &directorytest.Store{}, directory.New()
	view := directory.View{R: store}
	execute := func(c command.Command, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := machine.Execute(store, c); err != nil {
			t.Fatal(err)
		}
	}
	made := time.Date(2026, 11, 21, 9, 30, 5, 0, time.UTC)
	one := directory.BlobKey{ID: [8]byte{1}, Key: [32]byte{7, 8, 9}, Created: made}
	two := directory.BlobKey{ID: [8]byte{0xff, 2}, Key: [32]byte{31: 1}, Created: made.Add(time.Hour)}
	execute(directory.PutBlobKey(two))
	execute(directory.PutBlobKey(one))
	execute(directory.SetBlobStore(`{"url":"s3://mail"}`))
	keys, err := view.BlobKeys()
	if err != nil || len(keys) != 2 || keys[0] != one || keys[1] != two {
		t.Fatalf("keys %+v, %v", keys, err)
	}
	row, _, err := store.Get(append([]byte{0x11}, "blob_key/0100000000000000"...))
	const text = "BwgJAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 2026-11-21T09:30:05Z" // on disks for ever
	if err != nil || !strings.HasSuffix(string(row), text) {
		t.Errorf("the key is kept as %q, %v", row, err)
	}
	execute(directory.DeleteBlobKey(one.ID))
	if keys, err = view.BlobKeys(); err != nil || len(keys) != 1 || keys[0] != two {
		t.Fatalf("after one was forgotten: %+v, %v", keys, err)
	}
	if text, err := view.BlobStore(); err != nil || text != `{"url":"s3://mail"}` {
		t.Errorf("store %q, %v", text, err)
	}
	execute(directory.SetBlobStore(""))
	if text, err := view.BlobStore(); err != nil || text != "" {
		t.Errorf("store %q after it was taken back, %v", text, err)
	}
	for _, name := range []string{"blob_store", "blob_key/" + "0100000000000000"} {
		if _, err := directory.ParseSetting(name, "x"); err == nil {
			t.Errorf("an operator can set %s", name)
		}
	}
	if _, err := directory.PutBlobKey(directory.BlobKey{Created: made}); err == nil {
		t.Error("a key has the id that stands for no encryption")
	}
}
