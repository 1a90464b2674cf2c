package node

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// blobs adds what bodies in object storage count.
func (c *counters) blobs(n *Node) { c.registry.MustRegister(blobCollector{n}) }

// blobCollector reads object storage when metrics are asked for.
type blobCollector struct{ n *Node }

// Describe is empty on purpose: which partitions there are changes.
func (blobCollector) Describe(chan<- *prometheus.Desc) {}

// blobGauges are the figures of a partition that this node leads.
func blobGauges() []struct {
	name, help string
	value      func(adminapi.BlobPartition) float64
} {
	return []struct {
		name, help string
		value      func(adminapi.BlobPartition) float64
	}{
		{"live_bytes", "Octets of bodies in packs that messages use.", func(p adminapi.BlobPartition) float64 { return float64(p.LiveBytes) }},
		{"dead_bytes", "Octets of bodies in packs that nobody uses.", func(p adminapi.BlobPartition) float64 { return float64(p.DeadBytes) }},
		{"object_bytes", "Octets of the objects of packs.", func(p adminapi.BlobPartition) float64 { return float64(p.ObjectBytes) }},
		{"packs", "Packs that are whole.", func(p adminapi.BlobPartition) float64 { return float64(p.Packs) }},
		{"open_packs", "Packs that are being made.", func(p adminapi.BlobPartition) float64 { return float64(p.Open) }},
		{"doomed_packs", "Packs whose objects are to be deleted.", func(p adminapi.BlobPartition) float64 { return float64(p.Doomed) }},
	}
}

// Collect gives the figures of this node and of the partitions that it leads.
func (b blobCollector) Collect(out chan<- prometheus.Metric) {
	if b.n.host == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // the collector is given none
	defer cancel()
	r := b.n.blobReport(ctx)
	b.node(out, r.Node)
	for _, p := range r.Partitions {
		for _, g := range blobGauges() {
			desc := prometheus.NewDesc("rookery_blob_"+g.name, g.help, []string{"group"}, nil)
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, g.value(p), fmt.Sprint("p", p.Partition))
		}
	}
}

func (b blobCollector) node(out chan<- prometheus.Metric, s adminapi.BlobNode) {
	up := 0.0
	if s.Up {
		up = 1
	}
	for _, g := range []struct {
		name, help string
		kind       prometheus.ValueType
		value      float64
	}{
		{"up", "1 where the object store answered the last request, or there is none.", prometheus.GaugeValue, up},
		{"staged_bytes", "Octets on this node that wait for the object store.", prometheus.GaugeValue, float64(s.Staged)},
		{"staging_bound_bytes", "Octets that may wait before mail is put off; 0 without an object store.", prometheus.GaugeValue, float64(s.StagingBound)},
		{"cache_bytes", "Octets of packs in the cache on the disk.", prometheus.GaugeValue, float64(s.Cache.Bytes)},
		{"cache_hits_total", "Chunks of bodies that were in the cache.", prometheus.CounterValue, float64(s.Cache.Hits)},
		{"cache_misses_total", "Chunks of bodies that were fetched.", prometheus.CounterValue, float64(s.Cache.Misses)},
		{"damaged_reads_total", "Chunks of bodies that were read without their checksum.", prometheus.CounterValue, float64(s.Cache.Damaged)},
		{"packed_bodies_total", "Bodies that this node packed.", prometheus.CounterValue, float64(s.Packed)},
		{"packed_bytes_total", "Octets of packs that this node made.", prometheus.CounterValue, float64(s.PackedBytes)},
		{"sent_bytes_total", "Octets that were put into the object store.", prometheus.CounterValue, float64(s.Sent)},
		{"received_bytes_total", "Octets that were read from the object store.", prometheus.CounterValue, float64(s.Received)},
	} {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("rookery_blob_"+g.name, g.help, nil, nil), g.kind, g.value)
	}
	requests := prometheus.NewDesc("rookery_blob_requests_total", "Requests to the object store by kind.", []string{"kind"}, nil)
	for kind, count := range s.Requests {
		out <- prometheus.MustNewConstMetric(requests, prometheus.CounterValue, float64(count), kind)
	}
}
