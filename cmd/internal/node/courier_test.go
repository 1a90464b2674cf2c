package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/partition"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/smtpd"
)

// round is a courier over a store in memory, with a look into its queues.
type round struct {
	courier
	t       *testing.T
	cluster *mailstoretest.Cluster
	store   *mailstore.Store
}

func newRound(t *testing.T) *round {
	t.Helper()
	c := mailstoretest.NewExtendedCluster(t, func(cluster.GroupID) []partition.Extension { return []partition.Extension{queue.New()} })
	r := &round{t: t, cluster: c, store: c.Store()}
	r.courier = courier{store: smtpd.Mailstore(r.store), queue: openQueue{}}
	return r
}

// openQueue is the door of a queue that takes all.
type openQueue struct{}

func (openQueue) Refuses() *mta.Reply { return nil }

func (openQueue) May(index.AccountID, int) error { return nil }

func (openQueue) Caretaker() (index.AccountID, error) { return 9, nil }

func (openQueue) Entry(s queue.Submission) *mailstore.Also {
	s.Expires = time.Now().Add(time.Hour)
	return s.Also()
}

func (r *round) carry(to string, who directory.Resolution, text string) error {
	return r.courier.carry(r.t.Context(), parcel{id: "X", env: mta.Envelope{From: "ada@example.net"}, to: mta.Recipient{Address: to}, forward: true,
		text: strings.NewReader(text)}, who)
}

// queued lists what waits in a partition.
func (r *round) queued(g cluster.GroupID) (list []string) {
	r.t.Helper()
	s := r.cluster.Group(g).Snapshot()
	defer s.Close()
	err := queue.Entries(s, 0, func(id queue.EntryID, e *queuepb.EntryRecord) (bool, error) {
		_, to, _, err := queue.Entry(s, id)
		for _, p := range to {
			list = append(list, fmt.Sprintf("%d: <%s> to <%s> %s forward %v", e.Account, e.Sender, p.Record.Address, p.Record.Orcpt, e.Forward))
		}
		return true, err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// inbox counts the messages of an account.
func (r *round) inbox(a index.AccountID) uint64 {
	r.t.Helper()
	u, err := r.store.Account(a).Usage(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Messages
}

func resolved(remote []string, accounts ...index.AccountID) (who directory.Resolution) {
	for _, a := range accounts {
		who.Accounts = append(who.Accounts, directory.Target{Account: directory.Account{ID: a}})
	}
	who.Remote = remote
	return who
}

const courierText = "Message-ID: <1@example.net>\r\n\r\nhello\r\n"

// TestCourier: mailboxes and queue have the message, once however often it is carried.
func TestCourier(t *testing.T) {
	r := newRound(t)
	for range 2 {
		if err := r.carry("team@example.org", resolved([]string{"eve@example.com"}, 2, 3), courierText); err != nil {
			t.Fatal(err)
		}
	}
	if r.inbox(2) != 1 || r.inbox(3) != 1 {
		t.Errorf("%d and %d messages", r.inbox(2), r.inbox(3))
	}
	want := "2: <ada@example.net> to <eve@example.com> rfc822;team@example.org forward true"
	if got := r.queued(1); len(got) != 1 || got[0] != want || len(r.queued(2)) != 0 {
		t.Errorf("queued %q and %q", got, r.queued(2))
	}
	if err := r.carry("eve@example.com", resolved([]string{"eve@example.com"}), courierText); err != nil {
		t.Fatal(err)
	}
	want = "9: <ada@example.net> to <eve@example.com>  forward true"
	if got := r.queued(2); len(got) != 1 || got[0] != want {
		t.Errorf("for nobody's: %q", got)
	}
}

func TestCourierRefuses(t *testing.T) {
	r := newRound(t)
	if err := r.carry("team@example.org", resolved(nil), courierText); !errors.Is(err, directory.ErrNoUser) {
		t.Errorf("nobody: %v", err)
	}
	r.cluster.Fail(cluster.ErrUnavailable)
	if err := r.carry("bob@example.org", resolved(nil, 2), courierText); !errors.Is(err, cluster.ErrUnavailable) {
		t.Errorf("a partition that cannot: %v", err)
	}
	r.courier.queue = smtpd.NoQueue{}
	var reply *mta.Reply
	if err := r.carry("team@example.org", resolved([]string{"eve@example.com"}, 2), courierText); !errors.As(err, &reply) || !reply.Permanent() {
		t.Errorf("without a queue: %v", err)
	}
	r.cluster.Fail(nil)
	if r.inbox(2) != 0 {
		t.Error("a message that was refused was delivered")
	}
}

func TestNote(t *testing.T) {
	n := &Node{}
	n.cfg.SMTP.Hostname = "mx.example.org"
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	p := n.note("held-7-1", at, "ada@example.org", "Größe", "One\ntwo\n")
	want := "From: Mail system <postmaster@mx.example.org>\r\nTo: <ada@example.org>\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n" +
		"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <held-7-1@mx.example.org>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nOne\r\ntwo\r\n"
	if string(p.Message) != want || p.From != "" || p.To != "ada@example.org" {
		t.Errorf("%q", p.Message)
	}
	if bodyOf(p.Message) != mta.Body7Bit || bodyOf([]byte("ö")) != mta.Body8Bit {
		t.Error("body")
	}
}
