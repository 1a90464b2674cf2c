package packing_test

import (
	"fmt"
	"testing"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
	"github.com/rookery-mail/rookery/index/packing"
)

// BenchmarkPick describes the staged bodies of one pack: 8,192 messages of 4 KiB in 100 accounts.
func BenchmarkPick(b *testing.B) {
	c := mailstoretest.NewCluster(b)
	store := c.Store()
	part := packing.New(packing.Config{Group: 1, Proposer: c, Replica: func() (packing.Replica, error) { return c.Group(1), nil }})
	if err := part.SetMode(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	if _, err := part.ListUsers(b.Context()); err != nil {
		b.Fatal(err)
	}
	text := make([]byte, 4000)
	for i := range text {
		text[i] = 'a' + byte(i*i%23)
	}
	const messages = 8192
	for n := range messages {
		account := index.AccountID(2 + 2*(n%100))
		in := store.NewIncoming(b.Context(), []index.AccountID{account}, nil)
		if _, err := fmt.Fprintf(in, "Message-ID: <%d@example.org>\r\n\r\n%s\r\n", n, text); err != nil {
			b.Fatal(err)
		}
		if _, err := in.Deliver(b.Context(), mailstore.Delivery{Targets: []mailstore.Target{{Account: account}}}); err != nil {
			b.Fatal(err)
		}
		in.Discard()
	}
	for b.Loop() {
		m, err := part.Pick(b.Context(), 1<<40, messages)
		if err != nil || len(m.Bodies) != messages {
			b.Fatal(err)
		}
	}
}
