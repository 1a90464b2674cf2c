package node

import (
	"context"
	"time"

	"github.com/rookery-mail/rookery/blobstore/setting"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// BlobStats adds up what object storage holds and takes.
func (n *Node) BlobStats(ctx context.Context) (s adminapi.BlobStats, err error) {
	b, err := n.Blobs(ctx)
	if err != nil {
		return s, err
	}
	s.Requests, s.RequestsPer1000 = map[string]uint64{}, map[string]float64{}
	for _, p := range b.Partitions {
		s.Packs, s.Open, s.Doomed = s.Packs+p.Packs, s.Open+p.Open, s.Doomed+p.Doomed
		s.ObjectBytes, s.LiveBytes, s.LiveBodies = s.ObjectBytes+p.ObjectBytes, s.LiveBytes+p.LiveBytes, s.LiveBodies+p.LiveBodies
		s.DeadBytes, s.StagedBytes, s.StagedBodies = s.DeadBytes+p.DeadBytes, s.StagedBytes+p.StagedBytes, s.StagedBodies+p.StagedBodies
	}
	now := time.Now()
	for _, m := range b.Nodes {
		for kind, count := range m.Requests {
			s.Requests[kind] += count
		}
		s.Packed, s.Sent, s.Received = s.Packed+m.Packed, s.Sent+m.Sent, s.Received+m.Received
		if m.Answers {
			s.Seconds = max(s.Seconds, now.Sub(m.Since).Seconds())
		}
	}
	for kind, count := range s.Requests {
		if s.Packed > 0 {
			s.RequestsPer1000[kind] = float64(count) * 1000 / float64(s.Packed)
		}
	}
	s.Cost = monthly(b.Setting.Prices, s)
	return s, nil
}

const (
	monthSeconds = 365.25 / 12 * 24 * 3600
	gib          = 1 << 30
)

// monthly estimates what a month costs: what is kept now, and requests at the rate that they came at. Of
// less than an hour no rate is made.
func monthly(p setting.Prices, s adminapi.BlobStats) adminapi.BlobCost {
	c := adminapi.BlobCost{Storage: float64(s.ObjectBytes) / gib * p.GiBMonth, Currency: p.Currency, Source: p.Source}
	if months := s.Seconds / monthSeconds; s.Seconds >= 3600 {
		c.Requests = (float64(s.Requests["put"]+s.Requests["list"])*p.Puts + float64(s.Requests["get"]+s.Requests["stat"])*p.Gets) / 1000 / months
		c.Egress = float64(s.Received) / gib * p.Egress / months
	}
	c.Total = c.Storage + c.Requests + c.Egress
	return c
}
