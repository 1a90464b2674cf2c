package bodies

import (
	"context"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore/gc"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/packer"
	"github.com/rookery-mail/rookery/blobstore/reader"
	"github.com/rookery-mail/rookery/blobstore/setting"
)

// station is one store while the setting names it, with all that works on it.
type station struct {
	setting   setting.Setting
	failed    error         // why the store cannot be opened; all that is asked of it fails then
	raw       object.Bucket // the store itself
	bucket    object.Bucket // with retries and all
	count     *object.Count
	health    *health
	keys      keyring
	reader    *reader.Reader
	packer    *packer.Packer
	collector *gc.Collector

	life  context.Context // ends when the station is being closed
	end   context.CancelFunc
	users sync.WaitGroup // added to under Service.mu, as long as it is the service's station
}

// atOnce is how many requests a node has at the store at a time.
const atOnce = 24

// open makes a station of a setting. It asks the store nothing.
func (s *Service) open(ctx context.Context, c setting.Setting) *station {
	st := &station{setting: c, keys: keyring{view: s.c.View, setting: c}}
	st.life, st.end = context.WithCancel(ctx)
	raw, err := s.c.Open(c)
	if err != nil {
		s.c.Logger.Error("the object store cannot be opened", "url", c.URL, "error", err)
		st.failed, raw = err, closedBucket{err}
	}
	st.raw, st.count = raw, object.NewCount(raw)
	st.health = &health{bucket: st.count, asked: time.Now()}
	// The reader has deadlines and a breaker of its own: it is asked by somebody who waits.
	limited := object.NewLimit(st.health, object.LimitConfig{Requests: atOnce})
	st.reader = reader.New(st.life, reader.Config{Bucket: limited, Keys: st.keys.ClusterKey, Dir: s.c.CacheDir, Bytes: s.c.CacheBytes, Logger: s.c.Logger})
	st.bucket = object.NewRetry(limited, object.RetryConfig{})
	st.packer, err = packer.New(packer.Config{Bucket: st.bucket, Keys: st.keys, Cluster: s.c.Cluster, Dir: s.c.SpoolDir,
		Target: c.PackBytes, Age: c.PackAge(), Poll: poll(c), Now: time.Now, Logger: s.c.Logger})
	if err != nil && st.failed == nil {
		s.c.Logger.Error("packs cannot be made", "error", err)
		st.failed = err
	}
	st.collector = gc.New(gc.Config{Bucket: st.bucket, Policy: func() gc.Policy { return policy(c, c.Grace()) },
		Every: every(c), Now: time.Now, Logger: s.c.Logger})
	return st
}

// poll is how often a partition is looked at: often enough for the age of a pack.
func poll(c setting.Setting) time.Duration {
	return min(max(c.PackAge()/4, 250*time.Millisecond), 10*time.Second)
}

// every is how often packs are collected: often enough for the grace time.
func every(c setting.Setting) time.Duration {
	return min(max(c.Grace()/4, time.Second), 10*time.Minute)
}

// close ends all that works on the store and waits for it.
func (st *station) close() {
	st.end()
	st.reader.Close()
	st.users.Wait()
	Release(st.raw)
}
