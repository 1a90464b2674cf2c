package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func filterCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "filter", Short: "Programs that judge mail that comes in",
		Long: "Programs that judge mail that comes in: milters, rspamd, SpamAssassin's spamd and ClamAV's clamd. They are asked in their order once a\n" +
			"message is there, each about what those before it left of it, before the sender is told that it is taken. Every node asks them at\n" +
			"the address that is set: run one on each node, or one for all.",
		Example: "  rookery filter add spam rspamd 127.0.0.1:11333\n  rookery filter add virus clamd unix:/run/clamav/clamd.ctl --closed\n  rookery filter test < message"}
	cmd.AddCommand(filterListCommand(o), filterAddCommand(o), filterSetCommand(o), filterTestCommand(o), &cobra.Command{
		Use: "remove NAME", Short: "Ask a filter no longer", Example: "  rookery filter remove spam", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/filters/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Filter %s is gone.", args[0])
		}),
	})
	return cmd
}

func filterListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the filters in their order, with what this node saw of them", Example: "  rookery filter list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var list []adminapi.Filter
			if err := call("GET", "/v1/filters", nil, &list); err != nil {
				return err
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("ORDER", "NAME", "KIND", "ADDRESS", "TIMEOUT", "WITHOUT", "FOUND", "UP TO", "ASKED", "FAILED", "MEAN", "STATE")
				for _, f := range list {
					state := "ok"
					switch {
					case f.Paused:
						state = "paused"
					case !f.Seen.Answering:
						state = "no answer: " + f.Seen.Last
					case f.Seen.Asked == 0:
						state = "not asked yet"
					}
					p.row(f.Order, f.Name, f.Kind, f.Address, time.Duration(f.Seconds*float64(time.Second)), word(f.Closed, "deferred", "goes on"), f.Found,
						fmt.Sprintf("%d KiB", f.Most>>10), f.Seen.Asked, f.Seen.Failed, fmt.Sprintf("%.1f ms", f.Seen.MeanMS), state)
				}
			})
		}),
	}
}

// word is one of two.
func word(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}

// filterChoice are what can be set of a filter; change is what was given of them.
type filterChoice struct {
	address           string
	order             uint32
	timeout           time.Duration
	closed, paused    bool
	found, over, user string
	refuseAt, weight  float64
	most              int64
	atOnce            int
	asks, stdin       bool
}

func addFilterFlags(cmd *cobra.Command) *filterChoice {
	x, f := new(filterChoice), cmd.Flags()
	f.Uint32Var(&x.order, "order", 100, "lower is asked first")
	f.DurationVar(&x.timeout, "timeout", 15*time.Second, "for all of one message, up to 30s (rspamd: 10s)")
	f.BoolVar(&x.closed, "closed", false, "defer mail while it gives no answer (451); else mail goes on without it")
	f.StringVar(&x.found, "found", "", "what is done about what it finds: refuse, junk or tag (clamd: refuse; else junk); milters and rspamd say themselves what is refused")
	f.Float64Var(&x.refuseAt, "refuse-at", 15, "score from which spamd's spam is refused; 0 for never")
	f.Float64Var(&x.weight, "weight", 1, "how much scores of rspamd and spamd count in the score of a message; 0 for not at all")
	f.Int64Var(&x.most, "most", 0, "octets that it gets of a message (milter, rspamd: 52428800; clamd: 26214400; spamd: 512000)")
	f.StringVar(&x.over, "over", "skip", "longer messages: skip (it is not asked) or head (it gets as much as it may)")
	f.IntVar(&x.atOnce, "at-once", 20, "messages that a node asks it about at a time")
	f.StringVar(&x.user, "user", "", "spamd: whose preferences count; rspamd: the id of settings")
	f.BoolVar(&x.asks, "password", false, "rspamd: ask for the password of its worker")
	f.BoolVar(&x.stdin, "password-stdin", false, "rspamd: read the password from standard input without asking")
	f.BoolVar(&x.paused, "paused", false, "do not ask it for now")
	return x
}

// change is what was set.
func (x *filterChoice) change(cmd *cobra.Command) (c adminapi.FilterChange, err error) {
	seconds := x.timeout.Seconds()
	given(cmd, "address", &c.Address, &x.address)
	given(cmd, "order", &c.Order, &x.order)
	given(cmd, "timeout", &c.Seconds, &seconds)
	given(cmd, "closed", &c.Closed, &x.closed)
	given(cmd, "found", &c.Found, &x.found)
	given(cmd, "refuse-at", &c.RefuseAt, &x.refuseAt)
	given(cmd, "weight", &c.Weight, &x.weight)
	given(cmd, "most", &c.Most, &x.most)
	given(cmd, "over", &c.Over, &x.over)
	given(cmd, "at-once", &c.AtOnce, &x.atOnce)
	given(cmd, "user", &c.User, &x.user)
	given(cmd, "paused", &c.Paused, &x.paused)
	if x.asks || x.stdin {
		var password string
		if password, err = readPassword(cmd, x.stdin); err == nil {
			c.Password = &password
		}
	}
	return c, err
}

// given sets to where a flag was given.
func given[T any](cmd *cobra.Command, name string, to **T, value *T) {
	if cmd.Flags().Changed(name) {
		*to = value
	}
}

func filterAddCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "add NAME KIND ADDRESS", Short: "Add a filter: milter, rspamd, spamd or clamd, at host:port or unix:/path",
		Example: "  rookery filter add spam rspamd 127.0.0.1:11333 --order 10\n  rookery filter add virus clamd unix:/run/clamav/clamd.ctl --closed --order 20\n" +
			"  rookery filter add sa spamd 127.0.0.1:783 --refuse-at 10\n  rookery filter add dmarc milter 127.0.0.1:8893 --timeout 10s",
		Args: cobra.ExactArgs(3),
	}
	x := addFilterFlags(cmd)
	cmd.RunE = o.run(func(cmd *cobra.Command, args []string, call caller) error {
		c, err := x.change(cmd)
		if err != nil {
			return err
		}
		c.Address = &args[2]
		if err := call("POST", "/v1/filters", adminapi.NewFilter{Name: args[0], Kind: args[1], FilterChange: c}, nil); err != nil {
			return err
		}
		return o.say(cmd, "Filter %s is asked about mail from now on; `rookery filter test` shows what it says.", args[0])
	})
	return cmd
}

func filterSetCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a filter: what is not given stays",
		Example: "  rookery filter set spam --timeout 5s --closed\n  rookery filter set spam --closed=false --paused", Args: cobra.ExactArgs(1),
	}
	x := addFilterFlags(cmd)
	cmd.Flags().StringVar(&x.address, "address", "", "host:port or unix:/path")
	cmd.RunE = o.run(func(cmd *cobra.Command, args []string, call caller) error {
		c, err := x.change(cmd)
		if err != nil {
			return err
		}
		if err := call("PATCH", "/v1/filters/"+url.PathEscape(args[0]), c, nil); err != nil {
			return err
		}
		return o.say(cmd, "Filter %s is set.", args[0])
	})
	return cmd
}

// maxTestMessage is how long a message to test may be.
const maxTestMessage = 64 << 20

func filterTestCommand(o *options) *cobra.Command {
	var t adminapi.FilterTest
	cmd := &cobra.Command{
		Use: "test", Short: "Show what the filters say of a message on standard input, which goes nowhere",
		Example: "  rookery filter test --client 192.0.2.7 --from ada@example.com --to bob@example.org < message\n  rookery filter test --only virus < message", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var err error
			if t.Text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxTestMessage+1)); err != nil {
				return fmt.Errorf("read the message: %w", err)
			}
			if len(t.Text) == 0 || len(t.Text) > maxTestMessage {
				return fmt.Errorf("a message is needed on standard input, of up to %d octets", maxTestMessage)
			}
			var v adminapi.FilterVerdict
			if err := call("POST", "/v1/filters-test", t, &v); err != nil {
				return err
			}
			return o.print(cmd, v, func(p *printer) { printVerdict(p, v) })
		}),
	}
	f := cmd.Flags()
	f.StringVar(&t.Only, "only", "", "ask one filter alone, even if it is paused")
	f.StringVar(&t.Client, "client", "", "address that the message comes from")
	f.StringVar(&t.Name, "name", "", "name that the address has in DNS, both ways")
	f.StringVar(&t.Hello, "helo", "", "what the client said in EHLO")
	f.StringVar(&t.Login, "login", "", "who had logged in")
	f.StringVar(&t.From, "from", "", "sender of the envelope; none is <>")
	f.StringSliceVar(&t.To, "to", nil, "recipients of the envelope")
	return cmd
}

func printVerdict(p *printer, v adminapi.FilterVerdict) {
	for _, f := range v.Filters {
		p.line("%s: %s", f.Name, f.Verdict)
		for _, x := range f.Findings {
			p.line("  %-10s %6.2f  %s", x.Result, x.Score, x.Detail)
		}
	}
	if len(v.Filters) == 0 {
		p.line("There are no filters that are asked.")
	}
	for _, r := range v.Refused {
		p.line("recipient refused: %s", r)
	}
	for _, r := range v.Removed {
		p.line("recipient removed: %s", r)
	}
	if v.Changed != "" {
		p.line("The message was changed; its header is now:\n%s", strings.TrimRight(strings.ReplaceAll(v.Changed, "\r\n", "\n"), "\n"))
	}
}
