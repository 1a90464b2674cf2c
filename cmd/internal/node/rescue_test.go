package node

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// halfDead is a cluster whose partition 2 does not answer; it may have done what it was told all the same.
type halfDead struct {
	*mailstoretest.Cluster

	mu   sync.Mutex // guards what follows
	dead bool
	deaf bool // it does nothing, either
}

func (h *halfDead) Propose(ctx context.Context, g cluster.GroupID, c command.Command) ([]byte, cluster.LogIndex, error) {
	h.mu.Lock()
	dead, deaf := h.dead && g == 2, h.deaf
	h.mu.Unlock()
	if dead && deaf {
		return nil, 0, cluster.ErrUnavailable
	}
	data, at, err := h.Cluster.Propose(ctx, g, c)
	if dead {
		return nil, 0, cluster.ErrUnavailable
	}
	return data, at, err
}

// team is a directory with one alias, of accounts 2 and 3, which are in partitions 1 and 2.
type team struct{}

func (team) Resolve(string) (directory.Resolution, error) { return resolved(nil, 2, 3), nil }
func (team) Owns(index.AccountID, string) (bool, error)   { return false, nil }
func (team) Bounds() smtpd.Bounds                         { return smtpd.Bounds{MaxMessage: 1 << 20, MaxRecipients: 100} }

func serveTeam(t *testing.T, r *round) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtpd.New(smtpd.Config{Hostname: "mx.example.org", Directory: team{}, Store: smtpd.Mailstore(r.store), Queue: openQueue{}})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l, smtpd.MX); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return l.Addr().String()
}

// TestPartitionThatCannot: who is in a partition that cannot take a message gets it by the queue of another one, and once,
// whether the partition did what it was told or not, and also if the peer sends again.
func TestPartitionThatCannot(t *testing.T) {
	for _, deaf := range []bool{true, false} {
		r := newRound(t)
		h := &halfDead{Cluster: r.cluster, dead: true, deaf: deaf}
		r.store = r.cluster.Store(func(c *mailstore.Config) { c.Proposer = h })
		server := serveTeam(t, r)
		const text = "Message-ID: <team@example.net>\r\n\r\nhello\r\n"
		for range 2 {
			if err := send(server, "team@example.org", text); err != nil {
				t.Fatal(err)
			}
		}
		want := "2: <x@example.net> to <team@example.org>  forward true"
		if got := r.queued(1); len(got) != 1 || got[0] != want || r.inbox(2) != 1 {
			t.Fatalf("queued %q, and %d in the inbox", got, r.inbox(2))
		}
		h.mu.Lock()
		h.dead = false
		h.mu.Unlock()
		for range 2 { // the second as after a leader that had not told of the first
			if res := r.sendQueued(1); res.Kind != remote.Delivered {
				t.Errorf("delivered later: %+v", res)
			}
		}
		if err := send(server, "team@example.org", text); err != nil {
			t.Fatal(err)
		}
		if r.inbox(2) != 1 || r.inbox(3) != 1 {
			t.Errorf("deaf %v: %d and %d messages", deaf, r.inbox(2), r.inbox(3))
		}
	}
}

// sendQueued has the first recipient of a partition's queue delivered here.
func (r *round) sendQueued(g cluster.GroupID) (res remote.Result) {
	r.t.Helper()
	s := r.cluster.Group(g).Snapshot()
	defer s.Close()
	err := queue.Entries(s, 0, func(id queue.EntryID, e *queuepb.EntryRecord) (bool, error) {
		_, list, _, err := queue.Entry(s, id)
		if err != nil {
			return false, err
		}
		body, err := r.store.OpenStored(r.t.Context(), g, index.BodyID(e.Body))
		if err != nil {
			return false, err
		}
		defer body.Close()
		to := list[0].Record
		n := &Node{store: r.store, host: newHost(hostConfig{})}
		res = sender{n: n}.local(r.t.Context(), remote.Job{Destination: to.Destination, Envelope: queue.EnvelopeOf(e), Forward: e.Forward,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(body, 0, body.Size())), nil }},
			mta.Recipient{Address: to.Address, Owed: mta.Owed{Account: to.Account, Key: string(to.DedupKey)}})
		return false, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}
