package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func blobStatus(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Where bodies are, how far they moved, and whether the store answers",
		Example: "  rookery blob status", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var b adminapi.Blobs
			if err := call("GET", "/v1/blobs", nil, &b); err != nil {
				return err
			}
			return o.print(cmd, b, func(p *printer) { printBlobs(p, b) })
		}),
	}
}

func printBlobs(p *printer, b adminapi.Blobs) {
	switch {
	case b.Setting.URL == "":
		p.line("Bodies are embedded: on the disks of the nodes.")
		return
	case b.Setting.Embedded:
		p.line("Bodies come home from %s.\n", b.Setting.URL)
	default:
		p.line("Bodies go to %s.\n", b.Setting.URL)
	}
	p.row("NODE", "STORE", "STAGED", "OF", "CACHE", "OF", "HITS", "MISSES", "DAMAGED")
	for _, n := range b.Nodes {
		if !n.Answers {
			p.row(n.Node, "the node does not answer")
			continue
		}
		p.row(n.Node, upDown(n.Up), octets(n.Staged), octets(n.StagingBound), octets(n.Cache.Bytes), octets(n.Cache.Bound),
			n.Cache.Hits, n.Cache.Misses, n.Cache.Damaged)
	}
	p.line("")
	p.row("PARTITION", "LEADER", "MODE", "STAGED", "BODIES", "PACKS", "LIVE", "DEAD", "OPEN", "DOOMED", "DOING")
	for _, g := range b.Partitions {
		leader := g.Leader
		if leader == "" {
			leader = "NONE"
		}
		p.row(fmt.Sprint("p", g.Partition), leader, g.Mode, octets(g.StagedBytes), g.StagedBodies, g.Packs, octets(g.LiveBytes),
			octets(g.DeadBytes), g.Open, g.Doomed, doing(g))
	}
	for _, n := range b.Nodes {
		if n.LastError != "" {
			p.line("\n! the store, from node %s: %s", n.Node, n.LastError)
		}
	}
	for _, g := range b.Partitions {
		if g.LastError != "" {
			p.line("\n! partition %d: %s", g.Partition, g.LastError)
		}
	}
}

func upDown(up bool) string {
	if up {
		return "answers"
	}
	return "DOWN"
}

func doing(g adminapi.BlobPartition) string {
	text := g.Doing
	if g.Rate > 0 {
		text += fmt.Sprintf(", %s/s", octets(uint64(g.Rate)))
	}
	return text
}

// octets is a number of octets for a person.
func octets(n uint64) string {
	value, unit := float64(n), ""
	for _, u := range []string{"Ki", "Mi", "Gi", "Ti"} {
		if value < 1000 {
			break
		}
		value, unit = value/1024, u
	}
	if unit == "" {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.1f%sB", value, unit)
}

func blobStats(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "stats", Short: "What object storage holds, how often it is asked, and about what a month costs",
		Long: "What object storage holds, how often it is asked, and about what a month costs: what is kept now, and\n" +
			"requests as they came since the nodes started, at the prices of `rookery blob set`.",
		Example: "  rookery blob stats --format json", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var s adminapi.BlobStats
			if err := call("GET", "/v1/blobs/stats", nil, &s); err != nil {
				return err
			}
			return o.print(cmd, s, func(p *printer) { printBlobStats(p, s) })
		}),
	}
}

func printBlobStats(p *printer, s adminapi.BlobStats) {
	p.row("packs", fmt.Sprintf("%d with %s, %d being made, %d to be deleted", s.Packs, octets(s.ObjectBytes), s.Open, s.Doomed))
	p.row("live", fmt.Sprintf("%s in %d bodies", octets(s.LiveBytes), s.LiveBodies))
	p.row("dead", octets(s.DeadBytes))
	p.row("staged", fmt.Sprintf("%s in %d bodies", octets(s.StagedBytes), s.StagedBodies))
	p.row("packed", fmt.Sprintf("%d bodies in %v", s.Packed, time.Duration(s.Seconds*float64(time.Second)).Round(time.Second)))
	p.row("requests", perKind(s))
	p.row("sent, received", fmt.Sprintf("%s, %s", octets(s.Sent), octets(s.Received)))
	c := s.Cost
	p.row("a month", fmt.Sprintf("%.2f %s: storage %.2f, requests %.2f, reading %.2f (prices: %s)", c.Total, c.Currency, c.Storage, c.Requests, c.Egress, c.Source))
}

func perKind(s adminapi.BlobStats) string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(s.Requests)) {
		text := fmt.Sprintf("%d %s", s.Requests[kind], kind)
		if rate, ok := s.RequestsPer1000[kind]; ok {
			text += fmt.Sprintf(" (%.2f for 1,000 bodies)", rate)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
