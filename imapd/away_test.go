package imapd_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/blobstore/reader"
	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// warehouse is a house whose bodies can be put into packs.
type warehouse struct {
	*house
	cluster *mailstoretest.Cluster
	bucket  *object.Fault
	reader  *reader.Reader
}

func newWarehouse(t *testing.T, change func(*reader.Config)) *warehouse {
	t.Helper()
	files, err := object.OpenFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &warehouse{cluster: mailstoretest.NewCluster(t), bucket: object.NewFault(files)}
	c := reader.Config{Bucket: w.bucket, Dir: filepath.Join(t.TempDir(), "blobs"), Timeout: time.Minute}
	if change != nil {
		change(&c)
	}
	w.reader = reader.New(context.WithoutCancel(t.Context()), c)
	t.Cleanup(w.reader.Close)
	store := w.cluster.Store(func(c *mailstore.Config) { c.Blobs = w.reader })
	w.house = newHouse(t, func(config *imapd.Config) { config.Mail = imapd.Mailstore(store) })
	w.store = store
	return w
}

func (w *warehouse) pack() {
	w.t.Helper()
	for g := cluster.GroupID(1); g <= mailstoretest.Partitions; g++ {
		w.cluster.Pack(w.t, g, w.bucket, 1<<20)
	}
}

// TestStoreDoesNotAnswer: a session whose FETCH meets a store that does not answer is told so in time, and goes
// on; another one reads what is there, and the first reads all once the store is back.
func TestStoreDoesNotAnswer(t *testing.T) {
	w := newWarehouse(t, func(c *reader.Config) { c.Timeout, c.Probe = time.Second, 10*time.Millisecond })
	for i := range 3 {
		w.deliver(fmt.Sprintf("Subject: packed %d\r\n\r\nbody %d\r\n", i, i))
	}
	w.pack()
	w.deliver("Subject: staged\r\n\r\nbody\r\n")
	w.bucket.Set(object.Faults{Slow: time.Hour})
	c := w.dialTLS()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.do(login1)
	c.do("SELECT INBOX")
	c.say("f FETCH 1:4 (BODY.PEEK[])")
	if line := c.until("* "); !strings.HasPrefix(line, "* 4 FETCH (BODY[] {") {
		t.Errorf("the message that is there: %s", line)
	}
	if answer := c.until("f "); !strings.HasPrefix(answer, "f NO [UNAVAILABLE]") {
		t.Error(answer)
	}
	for _, command := range []string{"UID FETCH 1:4 (FLAGS ENVELOPE)", `UID SEARCH SUBJECT packed`, "COPY 1 Trash", "NOOP"} {
		if answer := c.do(command); !strings.HasPrefix(answer, "t OK") {
			t.Errorf("%s: %s", command, answer)
		}
	}
	other := w.dialTLS()
	other.do(login1)
	other.do("SELECT INBOX")
	if answer := other.do("FETCH 4 BODY[]"); !strings.HasPrefix(answer, "t OK") {
		t.Error(answer)
	}
	w.bucket.Heal()
	for { // until a probe was answered; c's deadline bounds it
		answer := c.do("FETCH 1:4 (BODY[])")
		if strings.HasPrefix(answer, "t OK") {
			break
		}
		if !strings.HasPrefix(answer, "t NO [UNAVAILABLE]") {
			t.Fatal(answer)
		}
	}
}

// TestShutdownWhileStoreIsSlow: a session that waits for the store does not hold up the end of the server.
func TestShutdownWhileStoreIsSlow(t *testing.T) {
	w := newWarehouse(t, func(c *reader.Config) { c.Timeout = time.Hour })
	w.deliver("Subject: packed\r\n\r\nbody\r\n")
	w.pack()
	w.bucket.Set(object.Faults{Slow: time.Hour})
	c := w.dialTLS()
	c.do(login1)
	c.do("SELECT INBOX")
	c.say("f FETCH 1 BODY[]")
	for w.reader.Stats().Gets == 0 {
		time.Sleep(time.Millisecond) // a GET without an answer shows nowhere else
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w.down = true
	if err := w.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) { // and it comes back
		t.Errorf("the session did not wait for the store: %v", err)
	}
}

// TestFetchOfPackedHoldsLittle: a large message that comes from a pack is never held either.
func TestFetchOfPackedHoldsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is weighed without the race detector, which makes pools forget")
	}
	w := newWarehouse(t, nil)
	c := w.dialTLS()
	c.do(login1)
	if answer := c.append(20 << 20); !strings.HasPrefix(answer, "a OK") {
		t.Fatal(answer)
	}
	w.pack()
	if err := w.cluster.Flush(); err != nil {
		t.Fatal(err)
	}
	c.do("SELECT INBOX")
	if err := c.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	const blocks = 16 * 256 << 10 // that the reader keeps, beside one for each GET
	for _, items := range []string{"BODY.PEEK[HEADER]", "BODY.PEEK[]"} {
		seen := newHeap(w.cluster)
		c.say("fetched FETCH 1 %s", items)
		c.readSlowly(seen)
		seen.grown(t, items, held+blocks)
	}
	if gets := w.reader.Stats().Gets; gets > 20 {
		t.Errorf("%d GETs", gets)
	}
}
