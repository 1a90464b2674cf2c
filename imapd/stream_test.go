package imapd_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// held is the most that a session may hold of a message that goes through it, whatever the message's size.
const held = 1 << 20

// heap is what the process holds beside the store's cache of blocks, and what its most was since it was made.
type heap struct {
	cached       func() int64 // octets of that cache
	before, most int64
}

// live measures while nobody allocates: what a session that runs makes and drops is not held. A session comes to rest
// when nobody takes what it sends, or gives it more.
func (h *heap) live() int64 {
	least := int64(math.MaxInt64)
	for range 1000 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runtime.GC()
		runtime.GC() // what pools gave up at the first
		runtime.ReadMemStats(&after)
		least = min(least, int64(after.HeapAlloc)-h.cached())
		if after.TotalAlloc-before.TotalAlloc < restless {
			break
		}
		time.Sleep(time.Millisecond) // the session goes on meanwhile
	}
	return least
}

// restless is how many octets are allocated around a measurement where somebody works.
const restless = 32 << 10

func newHeap(c *mailstoretest.Cluster) *heap {
	h := &heap{cached: c.Cached}
	h.before = h.live()
	h.most = h.before
	return h
}

func (h *heap) look() { h.most = max(h.most, h.live()) }

// grown checks what was held beyond the start.
func (h *heap) grown(t *testing.T, what string, most int64) {
	t.Helper()
	grown := h.most - h.before
	t.Logf("%s: %d KiB more were held, at most", what, grown>>10)
	if grown > most {
		t.Errorf("%s: %d octets more were held", what, grown)
	}
}

// largeMail is a message of size octets with a part in base64 that does not compress, made as it is read.
func largeMail(size int) io.Reader {
	const header = "Subject: large\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	return io.MultiReader(strings.NewReader(header), io.LimitReader(&lines{r: rand.NewChaCha8([32]byte{})}, int64(size-len(header))))
}

// lines are lines of base64 without end.
type lines struct {
	r    *rand.ChaCha8
	line [78]byte
	rest []byte // of line
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		var raw [57]byte
		l.r.Read(raw[:])
		l.rest = append(base64.StdEncoding.AppendEncode(l.line[:0], raw[:]), "\r\n"...)
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// slowLog is the log of a cluster that keeps no chunk of a body. From time to time it stops for a while: all
// that a session may have on its way comes together, and is looked at.
type slowLog struct {
	*mailstoretest.Cluster

	mu     sync.Mutex // guards what follows
	chunks int
	heap   *heap // nil: nobody looks
}

// Propose implements mailstore.Proposer.
func (l *slowLog) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	if c.Kind != command.StageChunk {
		return l.Cluster.Propose(ctx, g, c)
	}
	l.mu.Lock()
	if l.chunks++; l.chunks%50 == 0 && l.heap != nil {
		for range 5 {
			l.heap.look()
			time.Sleep(10 * time.Millisecond) // the session takes in what it can
		}
	}
	l.mu.Unlock()
	result, err := new(indexpb.Result).MarshalVT()
	return result, 1, err
}

// looked has the heap looked at from now on.
func (l *slowLog) looked() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heap = newHeap(l.Cluster)
}

// append sends a large message by APPEND.
func (w *wire) append(size int) (answer string) {
	w.t.Helper()
	if err := w.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	w.say("a APPEND INBOX {%d+}", size)
	if n, err := io.Copy(w.Conn, largeMail(size)); err != nil || n != int64(size) {
		w.t.Fatal(n, err)
	}
	w.say("")
	return w.until("a ")
}

// TestAppendHoldsLittle: an APPEND of 50 MiB is never held, also where the log is slower than the client.
func TestAppendHoldsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is weighed without the race detector, which makes pools forget")
	}
	c := mailstoretest.NewCluster(t)
	log := &slowLog{Cluster: c}
	h := newHouse(t, func(config *imapd.Config) {
		config.Mail = imapd.Mailstore(c.Store(func(c *mailstore.Config) { c.Proposer = log }))
	})
	w := h.dialTLS()
	w.do(login1)
	w.append(4 << 20) // what all sessions share is there from now on
	log.looked()
	if answer := w.append(mailstore.DefaultMaxMessage); !strings.HasPrefix(answer, "a NO [UNAVAILABLE]") { // the chunks are nowhere
		t.Error(answer)
	}
	log.heap.grown(t, "APPEND", held)
}

// TestFetchHoldsLittle: whatever of a message of 50 MiB is fetched, in whole, in part or decoded, and
// however slowly it is read, the message is never held.
func TestFetchHoldsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is weighed without the race detector, which makes pools forget")
	}
	c := mailstoretest.NewCachedCluster(t, 1) // what is cached is on the heap that is looked at
	h := newHouse(t, func(config *imapd.Config) { config.Mail = imapd.Mailstore(c.Store()) })
	w := h.dialTLS()
	w.do(login1)
	if answer := w.append(mailstore.DefaultMaxMessage); !strings.HasPrefix(answer, "a OK") {
		t.Fatal(answer)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	w.do("SELECT INBOX")
	w.say("fetched FETCH 1 BODY.PEEK[]")
	w.readSlowly(newHeap(c)) // what all sessions share is there from now on
	for _, items := range []string{"BODY.PEEK[]", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "(BODY.PEEK[1]<1000000.40000000> BODY.PEEK[TEXT]<49000000.1000000>)"} {
		seen := newHeap(c)
		if err := w.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.say("fetched FETCH 1 %s", items)
		w.readSlowly(seen)
		seen.grown(t, items, held)
	}
}

// readSlowly reads the answer to a FETCH, and stops from time to time to look at what the other side holds.
func (w *wire) readSlowly(h *heap) {
	w.t.Helper()
	for got, next := 0, 1; ; got++ {
		tail, err := w.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			w.t.Fatal(err)
		}
		if strings.HasPrefix(string(tail), "fetched ") {
			if !strings.HasPrefix(string(tail), "fetched OK") {
				w.t.Fatalf("%s", tail)
			}
			h.look()
			return
		}
		if got == next {
			h.look()
			next += 200000
		}
	}
}
