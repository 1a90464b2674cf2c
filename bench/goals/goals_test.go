package goals

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
)

func run(name, site string, nodes int, unit string, values ...float64) report.Run {
	r := report.Run{Scenario: name, Site: site, Nodes: nodes}
	for _, v := range values {
		r.Samples = append(r.Samples, scenario.Result{Figures: []scenario.Figure{{Unit: unit, Value: v}}})
	}
	return r
}

func TestJudge(t *testing.T) {
	list := []report.Run{
		run("deliver-4k", "rookery-1", 1, "cpu-s/kmsg", 0.5, 0.4, 0.9),
		run("deliver-4k", "postfix+dovecot", 1, "cpu-s/kmsg", 5),
		run("deliver-4k", "rookery-1", 1, "visible-msg/s", 900),
		run("deliver-4k", "postfix+dovecot", 1, "visible-msg/s", 100),
		run("deliver-4k", "dovecot-lmtp", 1, "cpu-s/kmsg", 1.9),
		run("serial", "rookery", 1, "p99-ms", 1), // one node says nothing of three
		run("serial", "rookery", 3, "x-reference", 2),
		run("failover", "rookery", 3, "lost", 0),
		run("growth", "rookery", 1, "kept-%@3000000", 90),
		run("growth", "rookery", 1, "kept-%@20000", 50),
		run("imap-5k", "rookery-1", 1, "store-ms", 7),
		run("imap-5k", "dovecot-maildir", 1, "store-ms", 8),
		run("imap-5k", "dovecot-mdbox", 1, "store-ms", 6),
		run("imap-5k", "rookery-1", 1, "select-ms", 1),
		run("imap-5k", "dovecot-maildir", 1, "select-ms", 2), // and nothing of mdbox
	}
	want := map[string]struct {
		value float64
		state State
	}{
		"deliver-4k per CPU second, one node, over Postfix + Dovecot":         {10, Reached},
		"deliver-4k per CPU second, one node, over Dovecot's LMTP":            {3.8, NotReached},
		"deliver-4k visible messages/s, one node, over Postfix + Dovecot":     {9, Reached},
		"serial, three nodes: p99, ms":                                        {math.NaN(), NotMeasured},
		"serial, three nodes: p50 over two synced writes and a round trip":    {2, NotReached},
		"failover: messages lost":                                             {0, Reached},
		"failover: p99 of the gap of a partition, ms":                         {math.NaN(), NotMeasured},
		"growth: rate at 3 million messages over that of an empty cluster, %": {90, Reached},
		"imap-5k select, times as fast as Dovecot":                            {math.NaN(), NotMeasured},
		"imap-5k store, times as fast as Dovecot":                             {6.0 / 7, NotReached},
		"deliver-4k visible messages/s, three nodes, over Postfix + Dovecot":  {math.NaN(), NotMeasured},
	}
	for _, g := range All() {
		w, ok := want[g.Text]
		if !ok {
			continue
		}
		delete(want, g.Text)
		v, state := g.Judge(list)
		if state != w.state || !math.IsNaN(w.value) && math.Abs(v-w.value) > 1e-9 {
			t.Errorf("%s: %v, %s; want %v, %s", g.Text, v, state, w.value, w.state)
		}
	}
	if len(want) > 0 {
		t.Errorf("there are no such goals: %v", want)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := Table(&out, All(), []report.Run{run("deliver-4k", "rookery", 1, "fsyncs/msg", 0.15)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"< 0.2", "0.15", "reached", "not measured: rookery-bench run --nodes 3 failover"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}
