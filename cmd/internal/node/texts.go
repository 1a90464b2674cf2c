package node

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/concordance"
)

// openTexts opens the search index, or deletes it where it is turned off: what is not kept up to date is of no use,
// and holds what users have deleted. A node does without an index that cannot be opened.
func (n *Node) openTexts() {
	if !n.cfg.Search.Index {
		if err := os.RemoveAll(n.layout.search()); err != nil {
			n.log.Warn("the search index is turned off and cannot be deleted", "error", err)
		}
		return
	}
	x, err := concordance.Open(n.layout.search(), concordance.Config{
		Open: n.openText, Identity: n.record.Cluster, Full: n.logs.Full, Logger: n.log,
	})
	if err != nil {
		n.log.Warn("SEARCH does without an index", "error", err)
		return
	}
	n.texts = x
	n.counters.texts(x.Stats)
	n.onStop("the search index", func(context.Context) error {
		n.indexing.Wait()
		return x.Close()
	})
}

// keepTexts brings the search index up to date until the doors close. Before they open, the directory may be behind and
// know of accounts nothing.
func (n *Node) keepTexts(life context.Context) {
	if n.texts != nil {
		n.indexing.Go(func() { n.texts.Run(life) })
	}
}

// touched tells the search index of an account that changed.
func (n *Node) touched(a index.AccountID) {
	if n.texts != nil {
		n.texts.Touched(a)
	}
}

// openText opens a mailbox for the search index. One of a partition that went to other nodes is index.ErrGone: it is
// searched there.
func (n *Node) openText(ctx context.Context, a index.AccountID, m index.MailboxID) (concordance.Mailbox, error) {
	if _, err := n.fresh(cluster.DirectoryGroup); err != nil {
		return nil, err // without it no account can be told from one that is gone
	}
	box, err := n.store.Account(a).OpenID(ctx, m)
	if err == nil {
		return box, nil
	}
	if g, problem := n.locate(a); errors.Is(err, cluster.ErrNoReplica) && problem == nil && !n.book.lists(g, n.id) {
		return nil, fmt.Errorf("%v is on other nodes: %w", g, index.ErrGone)
	}
	return nil, err
}

// texts adds what the search index counts itself.
func (c *counters) texts(stats func() concordance.Stats) {
	gauge := func(name, help string, value func(concordance.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rookery_search_" + name, Help: help},
			func() float64 { return value(stats()) })
	}
	counter := func(name, help string, value func(concordance.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rookery_search_" + name + "_total", Help: help},
			func() float64 { return float64(value(stats())) })
	}
	c.registry.MustRegister(
		gauge("index_bytes", "The search index on disk.", func(s concordance.Stats) float64 { return float64(s.Bytes) }),
		gauge("mailboxes", "Mailboxes in the search index.", func(s concordance.Stats) float64 { return float64(s.Mailboxes) }),
		counter("narrowed", "Searches that the index narrowed.", func(s concordance.Stats) uint64 { return s.Searches }),
		counter("opened", "Messages that narrowed searches left to be looked at.", func(s concordance.Stats) uint64 { return s.Opened }),
		counter("spared", "Messages that narrowed searches need not look at.", func(s concordance.Stats) uint64 { return s.Spared }),
		counter("messages", "Messages taken into the search index.", func(s concordance.Stats) uint64 { return s.Messages }),
		counter("discarded", "Mailboxes whose index was not to be trusted and was made anew.", func(s concordance.Stats) uint64 { return s.Discarded }))
}
