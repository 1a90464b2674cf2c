package imapd_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
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

const (
	// held is the most that a session may hold of a message that goes through it, whatever the message's size.
	held = 1 << 20
	// cached is room for what the store's cache does meanwhile, which is on the same heap.
	cached = 7 << 20
)

// heap is what the process holds, and what its most was since it was made.
type heap struct {
	before, most uint64
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools gave up at the first
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func newHeap() *heap {
	h := liveHeap()
	return &heap{before: h, most: h}
}

func (h *heap) look() { h.most = max(h.most, liveHeap()) }

// grown checks what was held beyond the start.
func (h *heap) grown(t *testing.T, what string, most int64) {
	t.Helper()
	grown := int64(h.most) - int64(h.before)
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
	l.heap = newHeap()
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
	c := mailstoretest.NewCluster(t)
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
	w.readSlowly(new(heap)) // what all sessions share is there from now on, the store's cache above all
	for _, items := range []string{"BODY.PEEK[]", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "(BODY.PEEK[1]<1000000.40000000> BODY.PEEK[TEXT]<49000000.1000000>)"} {
		seen := newHeap()
		if err := w.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		w.say("fetched FETCH 1 %s", items)
		w.readSlowly(seen)
		seen.grown(t, items, held+cached)
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
