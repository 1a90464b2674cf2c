package floor

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain: raft's network transport leaves the connections that it accepted to their other ends, which
// in the bench are processes that end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*NetworkTransport).handleConn"))
}

// addresses finds free ports; they stay free for as long as nobody else takes them.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out
}

// TestCommit commits through three replicas and finds the messages in the state of each.
func TestCommit(t *testing.T) {
	peers := addresses(t, 3)
	replicas := make([]*Replica, len(peers))
	for i, p := range peers {
		r, err := Open(Config{Dir: t.TempDir(), Address: p, Peers: peers})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		replicas[i] = r
	}
	leader := waitFor(t, func() (*Replica, bool) {
		for _, r := range replicas {
			if r.Leads() {
				return r, true
			}
		}
		return nil, false
	})
	const n = 100
	w := httptest.NewRecorder()
	leader.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, fmt.Sprintf("/commit?messages=%d&size=4096&concurrency=20", n), nil))
	if w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	for i, r := range replicas {
		waitFor(t, func() (int, bool) { got := count(t, r); return got, got == n })
		if first, err := r.log.FirstIndex(); err != nil || first != 1 {
			t.Errorf("replica %d: first index %d, %v", i, first, err)
		}
	}
}

// TestRefusals: what a request lacks is said.
func TestRefusals(t *testing.T) {
	r, err := Open(Config{Dir: t.TempDir(), Address: addresses(t, 1)[0], Peers: []string{"127.0.0.1:1", "127.0.0.1:2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for target, want := range map[string]int{"/commit?messages=1&size=0&concurrency=1": 400, "/commit?messages=1&size=9&concurrency=1": 500} {
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, target, nil))
		if w.Code != want || strings.TrimSpace(w.Body.String()) == "" {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

func count(t *testing.T, r *Replica) int {
	t.Helper()
	it, err := r.state.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	n := 0
	for it.First(); it.Valid(); it.Next() {
		if value, err := it.ValueAndErr(); err == nil && len(value) == 4096 {
			n++
		}
	}
	return n
}

func waitFor[T any](t *testing.T, f func() (T, bool)) T {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range 3000 {
		if v, ok := f(); ok {
			return v
		}
		<-ticker.C
	}
	t.Fatal("it did not come about in 30 s")
	panic("unreachable")
}
