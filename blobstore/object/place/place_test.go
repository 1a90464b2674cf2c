package place_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/object/place"
	"github.com/rookery-mail/rookery/blobstore/object/s3"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// parse reads a setting as the directory has it.
func parse(t *testing.T, text string) setting.Setting {
	t.Helper()
	s, ok, err := setting.Parse(text)
	if err != nil || !ok {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("key\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := place.Open(parse(t, `{"url":"file://`+dir+`"}`), place.Local{})
	if err != nil {
		t.Fatal(err)
	}
	objecttest.Put(t, b, "a", []byte("x"))
	if _, err := os.Stat(filepath.Join(dir, "a")); err != nil {
		t.Error(err)
	}
	if _, err := place.Open(parse(t, `{"url":"file://`+dir+`/none"}`), place.Local{}); !errors.Is(err, object.ErrNotFound) {
		t.Errorf("a directory that is not there: %v", err)
	}
	bucket := parse(t, `{"url":"s3://mail/prefix","credentials":"file","credentials_file":"/no/such/file"}`)
	if _, err := place.Open(bucket, place.Local{}); !errors.Is(err, object.ErrDenied) {
		t.Errorf("credentials that are not there: %v", err)
	}
	opened, err := place.Open(bucket, place.Local{CredentialsFile: keys})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := opened.(*s3.Bucket); !ok {
		t.Errorf("opened a %T", opened)
	}
	if _, err := place.Open(setting.Setting{URL: "ftp://mail"}, place.Local{}); !errors.Is(err, setting.ErrInvalid) {
		t.Errorf("ftp: %v", err)
	}
}

// TestReal opens a real store by a setting.
func TestReal(t *testing.T) {
	store, err := stores.Start(t.Context(), stores.Config{Kind: stores.Versitygw, Dir: t.TempDir()})
	if errors.Is(err, stores.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := parse(t, `{"url":"s3://`+store.Bucket()+`/a/b/","credentials":"file","endpoint":"`+store.Endpoint()+`","credentials_file":"`+store.CredentialsFile()+`"}`)
	b, err := place.Open(s, place.Local{})
	if err != nil {
		t.Fatal(err)
	}
	if err := object.Check(t.Context(), b); err != nil {
		t.Error(err)
	}
	objecttest.Put(t, b, "c", []byte("octets"))
	objects, err := store.Objects(t.Context(), "")
	if err != nil || len(objects) != 1 || objects[0] != (stores.Object{Name: "a/b/c", Size: 6}) {
		t.Errorf("the store has %v, error %v", objects, err)
	}
}
