package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/rookery-mail/rookery/bench/report"
)

// goal is one line of what Rookery is to reach beside other servers.
type goal struct {
	text     string
	scenario string
	unit     string
	site     string
	others   []string // the best of them counts; none: the figure itself is bounded
	least    float64  // how many times better than others; without others, what the figure must be below
}

// peerGoals are those that `peers` can answer. Rates are held against each other until messages are visible: Postfix's
// 250 promises less.
func peerGoals() []goal {
	both, lmtp := []string{"postfix+dovecot"}, []string{"dovecot-lmtp"}
	out := []goal{
		{"CPU for a message, one node, against Postfix + Dovecot", "deliver-4k", "cpu-s/kmsg", "rookery-1", both, 10},
		{"CPU for a message, one node, against Dovecot's LMTP", "deliver-4k", "cpu-s/kmsg", "rookery-1", lmtp, 4},
		{"CPU for a message, three nodes, against Postfix + Dovecot", "deliver-4k", "cpu-s/kmsg", "rookery-3", both, 4},
		{"messages a second, one node, against Postfix + Dovecot", "deliver-4k", "visible-msg/s", "rookery-1", both, 8},
		{"messages a second, three nodes, against Postfix + Dovecot", "deliver-4k", "visible-msg/s", "rookery-3", both, 3},
		{"fsyncs for a message, one node", "deliver-4k", "fsyncs/msg", "rookery-1", nil, 0.2},
	}
	for _, op := range []string{"select", "fetch-flags", "fetch-envelopes", "fetch-bodies", "search-subject", "search-body", "store", "append", "move-100", "expunge-100"} {
		least := map[string]float64{"fetch-envelopes": 3, "search-body": 10}[op]
		out = append(out, goal{"IMAP " + op + ", 5,000 messages, against Dovecot", "imap-5k", op + "-ms", "rookery-1",
			[]string{"dovecot-maildir", "dovecot-mdbox"}, max(1, least)})
	}
	return out
}

// goals prints what was reached, what was not and what these runs do not tell.
func goals(w io.Writer, runs []report.Run) error {
	fmt.Fprint(w, "\nGoals (medians; the better of several servers counts)\n")
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, g := range peerGoals() {
		value, ok := g.value(runs)
		wanted, reached := fmt.Sprintf("%s times", report.Number(g.least)), value >= g.least
		if g.others == nil {
			wanted, reached = "below "+report.Number(g.least), value < g.least
		}
		switch {
		case !ok:
			fmt.Fprintf(t, "%s\t%s\t\tnot measured\n", g.text, wanted)
		case reached:
			fmt.Fprintf(t, "%s\t%s\t%s\treached\n", g.text, wanted, report.Number(value))
		default:
			fmt.Fprintf(t, "%s\t%s\t%s\tNOT REACHED\n", g.text, wanted, report.Number(value))
		}
	}
	return t.Flush()
}

// value is how many times better the goal's site is than the best of the others, or the figure itself.
func (g goal) value(runs []report.Run) (float64, bool) {
	own, ok := g.median(runs, g.site)
	if !ok || g.others == nil {
		return own.Summary.Median, ok
	}
	least := 0.0
	for i, name := range g.others {
		other, ok := g.median(runs, name)
		if !ok || own.Summary.Median == 0 || other.Summary.Median == 0 {
			return 0, false
		}
		ratio := other.Summary.Median / own.Summary.Median
		if own.Higher {
			ratio = 1 / ratio
		}
		if i == 0 || ratio < least {
			least = ratio
		}
	}
	return least, true
}

func (g goal) median(runs []report.Run, site string) (report.Series, bool) {
	i := slices.IndexFunc(runs, func(r report.Run) bool { return r.Scenario == g.scenario && r.Site == site })
	if i < 0 {
		return report.Series{}, false
	}
	series := runs[i].Series()
	i = slices.IndexFunc(series, func(s report.Series) bool { return s.Unit == g.unit })
	if i < 0 {
		return report.Series{}, false
	}
	return series[i], true
}
