package goals

import "math"

// The commands that measure what a pass of all scenarios does not.
const (
	fromPeers    = "rookery-bench peers --three"
	fromIMAP     = "rookery-bench peers imap-5k"
	fromRun      = "rookery-bench run "
	fromClusters = fromRun + "--nodes 3 "
)

// All lists the goals in the order of their importance to an operator.
func All() []Goal {
	out := append(delivery(), cluster()...)
	return append(append(append(out, mailboxes()...), objectStore()...), checks()...)
}

// Peers are those that a run of peers can tell.
func Peers() []Goal { return append(beside(), mailboxes()...) }

func delivery() []Goal {
	return append(beside(),
		figure("CPU of a delivery over a bare commit, one node", 3, "floor", 1, "x-floor"),
		figure("CPU of a delivery over a bare commit, three nodes", 3, "floor", 3, "x-floor"))
}

// beside are deliveries beside other servers. Rates are held against each other until messages are visible:
// Postfix's 250 promises less.
func beside() []Goal {
	const both, lmtp = "postfix+dovecot", "dovecot-lmtp"
	peer := func(text string, bound float64, rookery, unit string, higher bool, peer string) Goal {
		return Goal{Text: text, Bound: bound, Least: true, From: fromPeers, value: func(r runs) float64 {
			return r.times("deliver-4k", rookery, unit, higher, peer)
		}}
	}
	return []Goal{
		peer("deliver-4k per CPU second, one node, over Postfix + Dovecot", 10, "rookery-1", "cpu-s/kmsg", false, both),
		peer("deliver-4k per CPU second, one node, over Dovecot's LMTP", 4, "rookery-1", "cpu-s/kmsg", false, lmtp),
		peer("deliver-4k per CPU second, three nodes, over Postfix + Dovecot", 4, "rookery-3", "cpu-s/kmsg", false, both),
		peer("deliver-4k visible messages/s, one node, over Postfix + Dovecot", 8, "rookery-1", "visible-msg/s", true, both),
		peer("deliver-4k visible messages/s, three nodes, over Postfix + Dovecot", 3, "rookery-3", "visible-msg/s", true, both),
		figure("deliver-4k fsyncs per message, one node", 0.2, "deliver-4k", 1, "fsyncs/msg"),
	}
}

func cluster() []Goal {
	gap := figure("failover: p99 of the gap of a partition, ms", 2000, "failover", 3, "gap-led-p99-ms")
	gap.value = func(r runs) float64 { // the worse of those that lost their leader and the others
		return math.Max(r.median("failover", "", 3, "gap-led-p99-ms"), r.median("failover", "", 3, "gap-others-p99-ms"))
	}
	kept := figure("growth: rate at 3 million messages over that of an empty cluster, %", 90, "growth", 0, "kept-%@3000000")
	kept.Least = true
	return []Goal{
		figure("serial, three nodes: p50 over two synced writes and a round trip", 2, "serial", 3, "x-reference"),
		figure("serial, three nodes: p99, ms", 20, "serial", 3, "p99-ms"),
		figure("CPU of a node that nobody uses, three nodes, % of a core", 2, "rest", 3, "cpu-%/node"),
		kept,
		figure("idle connection over TLS, KiB of server memory", 48, "idle", 0, "KiB/connection"),
		gap,
		figure("failover: messages lost", 1, "failover", 3, "lost"),
		figure("failover: messages doubled", 1, "failover", 3, "doubled"),
	}
}

// mailboxes are the IMAP operations, over the better of Dovecot's mailbox formats.
func mailboxes() []Goal {
	var out []Goal
	for _, op := range []struct {
		unit  string
		bound float64
	}{
		{"select", 1}, {"fetch-flags", 1}, {"fetch-envelopes", 3}, {"fetch-bodies", 1}, {"search-subject", 1}, {"search-body", 10},
		{"store", 1}, {"append", 1}, {"move-100", 1}, {"expunge-100", 1},
	} {
		out = append(out, Goal{Text: "imap-5k " + op.unit + ", times as fast as Dovecot", Bound: op.bound, Least: true, From: fromIMAP,
			value: func(r runs) float64 {
				return r.times("imap-5k", "rookery-1", op.unit+"-ms", false, "dovecot-maildir", "dovecot-mdbox")
			}})
	}
	return out
}

// checks are the figures of what is asked about mail that comes in.
func checks() []Goal {
	rate := figure("checks: delivery rate over that without them, %", 70, "checks", 0, "rate-%")
	rate.Least = true
	return []Goal{rate}
}

// objectStore are the figures of bodies in object storage.
func objectStore() []Goal {
	const scenario = "object-store"
	rate := figure("object store: delivery rate over that without one, %", 90, scenario, 0, "rate-%")
	rate.Least = true
	return []Goal{
		rate,
		figure("object store: PUT requests for 1,000 messages", 5, scenario, 0, "puts/kmsg"),
		figure("object store: octets in the bucket over those of the compressed bodies", 1.05, scenario, 0, "bucket/compressed"),
		figure("object store: GET requests of a FETCH of 1,000 cold bodies", 100, scenario, 0, "cold-gets"),
	}
}

// figure is a goal for one figure as it is, to be below the bound.
func figure(text string, bound float64, scenario string, nodes int, unit string) Goal {
	from := fromRun + scenario
	if nodes > 1 {
		from = fromClusters + scenario
	}
	return Goal{Text: text, Bound: bound, From: from, value: func(r runs) float64 { return r.median(scenario, "", nodes, unit) }}
}
