package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
)

// TestGoals: the better of two servers counts, rates are turned round, and what was not measured is said to be so.
func TestGoals(t *testing.T) {
	run := func(name, site string, figures ...scenario.Figure) report.Run {
		return report.Run{Scenario: name, Site: site, Samples: []scenario.Result{{Figures: figures}}}
	}
	var b strings.Builder
	err := goals(&b, []report.Run{
		run("deliver-4k", "rookery-1", scenario.Figure{Unit: "cpu-s/kmsg", Value: 0.5}, scenario.Figure{Unit: "visible-msg/s", Value: 900, Higher: true}, scenario.Figure{Unit: "fsyncs/msg", Value: 0.1}),
		run("deliver-4k", "postfix+dovecot", scenario.Figure{Unit: "cpu-s/kmsg", Value: 4.5}, scenario.Figure{Unit: "visible-msg/s", Value: 100, Higher: true}),
		run("imap-5k", "rookery-1", scenario.Figure{Unit: "search-body-ms", Value: 10}),
		run("imap-5k", "dovecot-maildir", scenario.Figure{Unit: "search-body-ms", Value: 300}),
		run("imap-5k", "dovecot-mdbox", scenario.Figure{Unit: "search-body-ms", Value: 90}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`CPU for a message, one node, against Postfix \+ Dovecot +10 times +9 +NOT REACHED`,
		`Dovecot's LMTP +4 times +not measured`,
		`messages a second, one node, against Postfix \+ Dovecot +8 times +9 +reached`,
		`fsyncs for a message, one node +below 0.2 +0.1 +reached`,
		`search-body, 5,000 messages, against Dovecot +10 times +9 +NOT REACHED`,
		`three nodes, against Postfix \+ Dovecot +3 times +not measured`,
	} {
		if !regexp.MustCompile(want).MatchString(b.String()) {
			t.Errorf("%s is missing in\n%s", want, b.String())
		}
	}
}
