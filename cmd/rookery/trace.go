package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func traceCommand(o *options) *cobra.Command {
	var since time.Duration
	limit := 0
	cmd := &cobra.Command{
		Use: "trace ADDRESS|MESSAGE-ID|ID", Short: "Tell what became of messages: received, stored, queued, each attempt, delivered or reported",
		Long: "Tell what became of messages to or from an address, with a Message-ID, or with the id that stands in Received fields, logs and\n" +
			"the reply to the message. Any node answers, for the whole cluster. Stories are kept for as many days as the setting trace_days says.",
		Example: "  rookery trace bob@example.com --since 24h\n  rookery trace '<20261121.17@example.org>'", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			q := adminapi.TraceQuery{Name: args[0], Limit: limit}
			if since > 0 {
				q.Since = time.Now().Add(-since)
			}
			var t adminapi.Traces
			if err := call("POST", "/v1/trace", q, &t); err != nil {
				return err
			}
			return o.print(cmd, t, func(p *printer) { printTraces(p, t) })
		}),
	}
	cmd.Flags().DurationVar(&since, "since", 0, "only messages that came since, such as 24h")
	cmd.Flags().IntVar(&limit, "limit", 20, "of the latest messages, up to 500")
	return cmd
}

func printTraces(p *printer, t adminapi.Traces) {
	for i, m := range t.Messages {
		if i > 0 {
			p.line("")
		}
		p.line("%s", strings.TrimSpace(m.Transaction+"  "+m.MessageID))
		to := make([]string, 0, 3)
		for _, r := range m.Recipients[:min(len(m.Recipients), 3)] {
			to = append(to, bracketed(r))
		}
		if more := len(m.Recipients) - len(to); more > 0 {
			to = append(to, fmt.Sprintf("%d more", more))
		}
		p.line("from %s to %s", bracketed(m.Sender), strings.Join(to, ", "))
		for _, e := range m.Events {
			first, more, _ := strings.Cut(eventText(e), "\n") // a finding of a check in each line behind
			p.row("  "+e.At.Local().Format("2006-01-02 15:04:05.000"), e.What, first)
			for line := range strings.Lines(more) {
				p.row("", "", "  "+strings.TrimRight(line, "\n"))
			}
		}
		if m.More {
			p.line("  … and more")
		}
	}
	if len(t.Messages) == 0 {
		p.line("No message is known by that name.")
	}
	printProblems(p, t.Problems)
}

// eventText is a step of a story as a person reads it.
func eventText(e adminapi.TraceEvent) string {
	var parts []string
	say := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch e.What {
	case "received":
		say("by node %s (%s)", e.Node, e.Client)
		if e.Login != "" {
			say("from %s, who had logged in", e.Login)
		}
		if e.Checked != "" {
			say("%s", e.Checked)
		}
	case "stored":
		say("for %s as UID %d in %s", cmp.Or(e.Account, e.Recipient), e.UID, e.Mailbox)
	case "repeated":
		say("%s", strings.TrimSpace(e.Account+" "+cmp.Or(e.Text, "had it already")))
	case "queued", "held":
		say("as %s", e.Entry)
		if e.Recipient != "" {
			say("for %s", e.Recipient)
		}
		if e.Text != "" {
			say("%s", e.Text)
		}
	case "deferred", "delivered", "failed":
		attemptText(e, say)
	default:
		say("%s", strings.TrimSpace(cmp.Or(e.Account, e.Recipient)+" "+e.Text))
	}
	return strings.Join(parts, "; ")
}

func attemptText(e adminapi.TraceEvent, say func(string, ...any)) {
	if e.Recipient != "" {
		say("for %s", e.Recipient)
	}
	a := e.Attempt
	if a == nil {
		return
	}
	if d := e.At.Sub(a.At); d > time.Minute {
		say("given up; the last attempt was %s ago", brief(d))
	}
	host := strings.TrimSpace(a.Host + " " + a.Address)
	switch {
	case host != "" && a.TLS != "":
		say("by node %s at %s over %s", a.Node, host, a.TLS)
	case host != "":
		say("by node %s at %s without TLS", a.Node, host)
	case a.Node != "":
		say("by node %s", a.Node)
	}
	say("%s", a.Reply)
}
