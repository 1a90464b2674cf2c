package links

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a link that carries nothing.
type fake struct {
	set    *Set[*fake]
	peer   cluster.NodeID
	opened error         // what came of Open, valid once done
	over   chan struct{} // takes why it failed
	done   chan struct{} // closed when Run returns
}

func (f *fake) Run() {
	defer close(f.done)
	conn, err := f.set.Open(f.peer)
	if f.opened = err; err != nil {
		f.Fail(err)
		return
	}
	<-f.over
	_ = conn.Close()
}

func (f *fake) Fail(err error) {
	f.set.Drop(f.peer, f, err)
	select {
	case f.over <- struct{}{}:
	default:
	}
}

// start makes a Set whose peers answer a new stream as answer does.
func start(t *testing.T, answer func(net.Conn)) *Set[*fake] {
	t.Helper()
	var s *Set[*fake]
	s = New(t.Context(), Config{Version: 1, What: "parcels", Timeout: time.Second, OldPeer: time.Minute,
		Dial: func(context.Context, cluster.NodeID) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				answer(there)
				_ = there.Close()
			}()
			return here, nil
		},
	}, func(peer cluster.NodeID) *fake {
		return &fake{set: s, peer: peer, over: make(chan struct{}, 1), done: make(chan struct{})}
	})
	t.Cleanup(s.Close)
	return s
}

// waits answers with a version and keeps the stream until the other end closes it.
func waits(c net.Conn) {
	_, _ = c.Write([]byte{1})
	_, _ = c.Read(make([]byte, 1))
}

func TestOneLinkToEachPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, waits)
		a, err := s.To("a")
		if err != nil {
			t.Fatal(err)
		}
		again, _ := s.To("a")
		if b, _ := s.To("b"); again != a || b == a || len(s.All()) != 2 {
			t.Errorf("links %p, %p and %p, %d in all", a, again, b, len(s.All()))
		}
		synctest.Wait() // both are open
		a.Fail(errors.New("broken"))
		<-a.done
		if _, ok := s.Lookup("a"); ok || a.opened != nil {
			t.Errorf("a link that failed is still there, opened with %v", a.opened)
		}
		if later, err := s.To("a"); err != nil || later == a {
			t.Errorf("link %p after %p, %v", later, a, err)
		}
		s.Close()
		if _, err := s.To("c"); !errors.Is(err, cluster.ErrStopped) || len(s.All()) != 0 {
			t.Errorf("after Close: %v, %d links", err, len(s.All()))
		}
	})
}

func TestOldPeerIsAskedAgainLater(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"closes at once":    func(net.Conn) {},
		"too low a version": func(c net.Conn) { _, _ = c.Write([]byte{0}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, answer)
				l, err := s.To("a")
				if err != nil {
					t.Fatal(err)
				}
				if <-l.done; !errors.Is(l.opened, ErrOldPeer) {
					t.Errorf("opened: %v", l.opened)
				}
				time.Sleep(time.Minute - 1)
				if _, err := s.To("a"); !errors.Is(err, ErrOldPeer) {
					t.Errorf("within a minute: %v", err)
				}
				time.Sleep(1)
				if _, err := s.To("a"); err != nil {
					t.Errorf("after a minute: %v", err)
				}
			})
		})
	}
}

func TestSilentPeerIsNotAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
		l, err := s.To("a")
		if err != nil {
			t.Fatal(err)
		}
		if <-l.done; l.opened == nil || errors.Is(l.opened, ErrOldPeer) {
			t.Errorf("opened: %v", l.opened)
		}
		if _, err := s.To("a"); err != nil {
			t.Errorf("once more: %v", err)
		}
	})
}

// TestCloseEndsAnOpening: a peer that does not answer holds nobody up.
func TestCloseEndsAnOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
		begun := time.Now()
		if _, err := s.To("a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}
