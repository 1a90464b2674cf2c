package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/inbound"
)

func explainCommand(o *options) *cobra.Command {
	var q adminapi.ExplainQuery
	var at string
	cmd := &cobra.Command{
		Use: "explain --client ADDRESS --to RECIPIENT < MESSAGE", Short: "Tell what would become of a message on standard input, and why",
		Long: "Decides about a saved message as if it came in now from a client, by the same code, and says what each check found, which rule decided,\n" +
			"and which mailboxes would get it. Nothing is delivered, answered, learnt or counted. Filters are asked. DNS is asked as it is now,\n" +
			"not as it was when the message came; what became of that is told by `rookery trace`.",
		Example: "  rookery explain --client 192.0.2.7 --helo mx.example.com --from ada@example.com --to bob@example.org < message", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return fmt.Errorf("--at %q: use a time such as 2026-11-22T08:00:00Z", at)
				}
				q.At = t
			}
			var err error
			if q.Message, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), adminapi.MaxExplained+1)); err != nil {
				return fmt.Errorf("read the message: %w", err)
			}
			var x adminapi.Explanation
			if err := call("POST", "/v1/explain", q, &x); err != nil {
				return err
			}
			return o.print(cmd, x, func(p *printer) { printExplanation(p, x) })
		}),
	}
	cmd.Flags().StringVar(&q.Client, "client", "", "the address of the host that hands the message over")
	cmd.Flags().StringVar(&q.Helo, "helo", "", "the name in its greeting")
	cmd.Flags().BoolVar(&q.TLS, "tls", false, "it comes over TLS")
	cmd.Flags().StringVar(&q.From, "from", "", "the sender of the envelope (default the null sender)")
	cmd.Flags().StringSliceVar(&q.To, "to", nil, "a recipient; may be given several times")
	cmd.Flags().StringVar(&at, "at", "", "when it came, such as 2026-11-22T08:00:00Z (default now)")
	_ = cmd.MarkFlagRequired("client") // fails for a flag that is not there alone
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func printExplanation(p *printer, x adminapi.Explanation) {
	switch {
	case x.Refused != "":
		p.line("The client would be refused %s", x.Refused)
		return
	case x.Reply != "":
		p.line("The message would not be taken: %s", x.Reply)
	default:
		p.line("The message would be taken.")
	}
	for _, r := range x.Recipients {
		p.line("")
		p.line("%s: %s, score %.1f, since %s", r.Recipient, r.Action, r.Score, r.Rule)
		if len(r.Mailboxes) > 0 {
			p.line("  into %s of %s", strings.Join(r.Mailboxes, ", "), r.Account)
		}
		printChecks(p, r.Findings)
		printChecks(p, r.Script)
		for _, t := range r.Tokens {
			p.row("", fmt.Sprintf("%.2f", t.Probability), t.Text, fmt.Sprintf("%d spam, %d ham by the %s", t.Spam, t.Ham, t.Of))
		}
	}
	if x.Fields != "" {
		p.line("")
		p.line("%s", strings.TrimRight(x.Fields, "\n"))
	}
	for _, n := range x.Notes {
		p.line("Note: %s.", n)
	}
}

func printChecks(p *printer, list []inbound.Finding) {
	for _, f := range list {
		p.row("", fmt.Sprintf("%+.1f", f.Score), f.Check, f.Result, f.Detail)
	}
}
