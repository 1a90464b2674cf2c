package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/object/s3"
	"github.com/rookery-mail/rookery/blobstore/objecttest"
	"github.com/rookery-mail/rookery/deploy/stores"
)

// running starts a real store, or skips the test where it is not built. MinIO is for `make s3-test`
// only, which sets ROOKERY_S3_TEST.
func running(t *testing.T, kind stores.Kind) *stores.Store {
	t.Helper()
	if kind == stores.MinIO && os.Getenv("ROOKERY_S3_TEST") == "" {
		t.Skip("make s3-test tests with MinIO")
	}
	store, err := stores.Start(t.Context(), stores.Config{Kind: kind, Dir: t.TempDir(), Slowable: true})
	if errors.Is(err, stores.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// config is how a real store is opened, with multipart uploads of what is larger than 6 MiB.
func config(store *stores.Store, prefix string) s3.Config {
	return s3.Config{Endpoint: store.Endpoint(), Region: store.Region(), Bucket: store.Bucket(), Prefix: prefix,
		Credentials: s3.Credentials{File: store.CredentialsFile()}, SinglePut: 6 << 20, PartSize: 5 << 20}
}

func open(t *testing.T, c s3.Config) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestRealStores(t *testing.T) {
	for _, kind := range []stores.Kind{stores.Versitygw, stores.MinIO} {
		t.Run(string(kind), func(t *testing.T) {
			store := running(t, kind)
			var opened atomic.Int64
			objecttest.Contract(t, func(t *testing.T) object.Bucket {
				return open(t, config(store, fmt.Sprintf("contract/%d", opened.Add(1))))
			})
			t.Run("check", func(t *testing.T) { checkReal(t, store) })
			t.Run("more than a page", func(t *testing.T) { morePages(t, store) })
			t.Run("changed on the way", func(t *testing.T) { changed(t, store) })
			t.Run("outages", func(t *testing.T) { outages(t, store) })
		})
	}
}

func checkReal(t *testing.T, store *stores.Store) {
	b := open(t, config(store, "check"))
	if err := object.Check(t.Context(), b); err != nil {
		t.Error(err)
	}
	if names := objecttest.Names(t, b, ""); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
	wrong := config(store, "check")
	wrong.Bucket = "nothing-here"
	if err := object.Check(t.Context(), open(t, wrong)); !errors.Is(err, object.ErrDenied) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	file := t.TempDir() + "/credentials"
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = nobody\naws_secret_access_key = at=all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong = config(store, "check")
	wrong.Credentials.File = file
	b = open(t, wrong)
	var short *object.Shortcoming
	if err := object.Check(t.Context(), b); !errors.Is(err, object.ErrDenied) || !errors.As(err, &short) || short.Permission != "s3:PutObject" {
		t.Errorf("wrong credentials: %v", err)
	}
	// The file is read again when it changes.
	keys, err := os.ReadFile(store.CredentialsFile())
	if err == nil {
		err = os.WriteFile(file, keys, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := object.Check(t.Context(), b); err != nil {
		t.Errorf("credentials that were put right: %v", err)
	}
}

// morePages lists more names than a store gives at once.
func morePages(t *testing.T, store *stores.Store) {
	const count = 1003
	b := open(t, config(store, "pages"))
	var want []string
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i := range count {
		name := fmt.Sprintf("many/%04d", i)
		want = append(want, name)
		group.Go(func() error { return b.Put(ctx, name, bytes.NewReader(nil), 0) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := objecttest.Names(t, b, "many/"); !slices.Equal(got, want) {
		t.Errorf("%d names of %d, or not in their order", len(got), count)
	}
}

// changing gives other octets when it is read for a second time, as if they changed on their way.
type changing struct {
	*bytes.Reader
	octets []byte
	from   int64 // octets before are given as they are
	seeks  int
}

// Seek implements io.Seeker.
func (c *changing) Seek(offset int64, whence int) (int64, error) {
	if offset >= c.from {
		c.seeks++
	}
	if c.seeks == 2 {
		c.octets[len(c.octets)-1] ^= 1
	}
	return c.Reader.Seek(offset, whence)
}

// changed puts octets that are not those of the checksum: in one request, and in the second part.
func changed(t *testing.T, store *stores.Store) {
	c := config(store, "changed")
	b := open(t, c)
	for name, size := range map[string]int{"small": 100_000, "large": 8 << 20} {
		octets := objecttest.Octets(1, size)
		r := &changing{Reader: bytes.NewReader(octets), octets: octets, from: int64(size / (6 << 20) * 5 << 20)}
		if err := b.Put(t.Context(), name, r, int64(size)); err == nil {
			t.Errorf("%s: no error", name)
		}
		if r.seeks < 2 {
			t.Errorf("%s: nothing was changed", name)
		}
	}
	if names := objecttest.Names(t, b, ""); len(names) != 0 {
		t.Errorf("the store has %q", names)
	}
	lines, err := os.ReadFile(store.CredentialsFile())
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(lines))
	keys := credentials.NewStaticV4(words[0], words[1], "")
	client, err := minio.NewCore(strings.TrimPrefix(store.Endpoint(), "http://"), &minio.Options{Creds: keys, Region: store.Region()})
	if err != nil {
		t.Fatal(err)
	}
	uploads, err := client.ListMultipartUploads(t.Context(), store.Bucket(), "changed/", "", "", "", 100)
	if err != nil || len(uploads.Uploads) != 0 {
		t.Errorf("parts that nobody needs: %+v, error %v", uploads.Uploads, err)
	}
}

// outages kills and freezes a store, and reads and writes as before when it is back.
func outages(t *testing.T, store *stores.Store) {
	c := config(store, "outages")
	c.Timeout = 500 * time.Millisecond
	b := open(t, c)
	octets := objecttest.Octets(1, 100_000)
	objecttest.Put(t, b, "a", octets)
	if err := store.Pause(); err != nil {
		t.Fatal(err)
	}
	// Its threads may answer once more before the signal reaches them.
	var err error
	for began := time.Now(); err == nil && time.Since(began) < 30*time.Second; {
		_, err = objecttest.Get(t.Context(), b, "a")
	}
	if !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a frozen store: %v", err)
	}
	if err := store.Resume(); err != nil {
		t.Fatal(err)
	}
	// A frozen store may have to be asked until it has thawed.
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		if _, err = objecttest.Get(t.Context(), b, "a"); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("a store that goes on: %v", err)
	}
	store.Slow(time.Minute)
	if _, err := objecttest.Get(t.Context(), b, "a"); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a slow store: %v", err)
	}
	store.Slow(0)
	store.Kill()
	if err := object.Check(t.Context(), b); !errors.Is(err, blobstore.ErrUnavailable) {
		t.Errorf("a store that was killed: %v", err)
	}
	if err := store.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b = open(t, config(store, "outages"))
	if got, err := objecttest.Get(t.Context(), b, "a"); err != nil || !slices.Equal(got, octets) {
		t.Errorf("%d octets of an object from before, error %v", len(got), err)
	}
}
