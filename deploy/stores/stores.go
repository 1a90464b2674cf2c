// Package stores runs a real object store, versitygw or MinIO, on loopback, for tests, the chaos run and
// the bench suite. deploy/stores/install builds them. It knows nothing of Rookery, and S3 only as far as it
// makes a bucket and lists it.
package stores

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Kind is which store is run.
type Kind string

// The stores that can be run.
const (
	Versitygw Kind = "versitygw" // objects are files of a directory
	MinIO     Kind = "minio"
)

// versions are those that deploy/stores/install builds.
func (k Kind) version() string {
	if k == MinIO {
		return "v0.0.0-20260212201848-7aac2a2c5b7c"
	}
	return "v1.8.0"
}

// ErrNotBuilt says that the store has to be built first.
var ErrNotBuilt = errors.New("the store is not built")

// Find gives the path of the store's binary, or ErrNotBuilt with what builds it.
func Find(kind Kind) (string, error) {
	cache := os.Getenv("ROOKERY_STORES")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find %s: %w", kind, err)
		}
		cache = filepath.Join(user, "rookery", "stores")
	}
	path := filepath.Join(cache, string(kind)+"-"+kind.version(), string(kind))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run deploy/stores/install %s", ErrNotBuilt, kind)
	}
	return path, nil
}

// Config says which store to run.
type Config struct {
	Kind Kind
	Dir  string // where its data, log and credentials go; made when it is not there
	// Slowable puts a proxy in front of the store, for Slow.
	Slowable bool
}

// The bucket that a store has, and who may do everything.
const (
	bucket    = "mail"
	accessKey = "rookery"
	secretKey = "rookery-on-loopback"
)

// Store is a store and, while it runs, its process. Its methods are for one goroutine at a time.
type Store struct {
	config  Config
	binary  string
	address string // host:port
	client  *minio.Client
	process *process // nil while it does not run
	proxy   *proxy   // nil unless Config.Slowable
}

// Start runs a store with an empty bucket, or with that of an earlier one in the same directory, and
// waits until it serves.
func Start(ctx context.Context, c Config) (*Store, error) {
	binary, err := Find(c.Kind)
	if err != nil {
		return nil, err
	}
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Kind, err)
	}
	s := &Store{config: c, binary: binary}
	// Somebody else may listen at the address before the store does.
	for range startTries {
		if err = s.prepare(ctx); err != nil {
			err = fmt.Errorf("start %s: %w", c.Kind, err)
		} else if err = s.Restart(ctx); err == nil {
			break
		}
		s.Close()
		if ctx.Err() != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if err := s.makeBucket(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("make the bucket of %s: %w", c.Kind, err)
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.data(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(s.CredentialsFile(), []byte(accessKey+"\n"+secretKey+"\n"), 0o600); err != nil {
		return err
	}
	if s.address, err = freeAddress(); err != nil {
		return err
	}
	if s.config.Slowable {
		if s.proxy, err = newProxy(ctx, s.address); err != nil {
			return err
		}
	}
	s.client, err = minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""),
		Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1})
	return err
}

// makeBucket makes the bucket where it is not there.
func (s *Store) makeBucket(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, bucket)
	if err != nil || there {
		return err
	}
	return s.client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{})
}

func (s *Store) data() string { return filepath.Join(s.config.Dir, "data") }

// Endpoint is the store's URL.
func (s *Store) Endpoint() string {
	if s.proxy != nil {
		return "http://" + s.proxy.listener.Addr().String()
	}
	return "http://" + s.address
}

// Slow makes the store, which has to be Slowable, answer each request so much later; 0 is at once.
func (s *Store) Slow(by time.Duration) { s.proxy.delay.Store(int64(by)) }

// Close ends the store. Its data stays.
func (s *Store) Close() {
	s.Kill()
	if s.proxy != nil {
		s.proxy.close()
		s.proxy = nil
	}
}

// Region is what requests are signed for.
func (s *Store) Region() string { return "us-east-1" }

// Bucket is the name of its bucket.
func (s *Store) Bucket() string { return bucket }

// CredentialsFile is a file of two lines, the access key and its secret.
func (s *Store) CredentialsFile() string { return filepath.Join(s.config.Dir, "credentials") }

// LogPath is where its output goes, over all of its starts.
func (s *Store) LogPath() string { return filepath.Join(s.config.Dir, "log") }

// Object is what a store lists.
type Object struct {
	Name string
	Size int64 // octets
}

// Objects lists the objects whose names begin with prefix.
func (s *Store) Objects(ctx context.Context, prefix string) (objects []Object, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range s.client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, fmt.Errorf("list the bucket of %s: %w", s.config.Kind, o.Err)
		}
		objects = append(objects, Object{o.Key, o.Size})
	}
	return objects, nil
}

// waitServing asks the store until it answers, or its process ends.
func (s *Store) waitServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		_, err := s.client.BucketExists(ctx, bucket)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.done:
			return fmt.Errorf("start %s: it ended (%v): %s", s.config.Kind, s.process.err, s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("wait until %s serves: %w: %w", s.config.Kind, ctx.Err(), err)
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// startTries is how many addresses a store is tried at.
const startTries = 3

// startPatience is how long a store may take to serve.
const startPatience = time.Minute
