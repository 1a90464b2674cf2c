package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func banCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "ban", Short: "Networks that are kept out",
		Long: "Networks that may not log in, to IMAP or to submission, nor hand over mail on port 25, on any node: those that you ban, those that failed to log in too often " +
			"(the settings ban_failures, ban_window_minutes, ban_minutes), and those that tried too many recipients whom nobody knows (harvest_recipients).\n\n" +
			"On port 25 a ban is told as one that passes (421), or as one that stays (554) where it lasts for more than five days.\nBans are shared by gossip and kept in memory: they outlast the restart of a node, " +
			"not that of all nodes at once.\nThe networks of the setting trusted_networks are never locked out.",
		Example: "  rookery ban add 192.0.2.7 --for 24h --reason \"guesses passwords\""}
	var lasts time.Duration
	var reason string
	add := &cobra.Command{
		Use: "add NETWORK", Short: "Ban an address or a network; an IPv6 address stands for its /64",
		Example: "  rookery ban add 198.51.100.0/24 --for 24h --reason \"guesses passwords\"", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			b := adminapi.Ban{Network: args[0], Reason: reason, Until: time.Now().Add(lasts)}
			if err := call("POST", "/v1/bans", b, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is banned for %v.", args[0], lasts)
		}),
	}
	add.Flags().DurationVar(&lasts, "for", 24*time.Hour, "how long, up to a year")
	add.Flags().StringVar(&reason, "reason", "", "why, for those who list the bans")
	cmd.AddCommand(add, &cobra.Command{
		Use: "list", Short: "List the bans", Example: "  rookery ban list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var bans []adminapi.Ban
			if err := call("GET", "/v1/bans", nil, &bans); err != nil {
				return err
			}
			return o.print(cmd, bans, func(p *printer) {
				p.row("NETWORK", "UNTIL", "REASON")
				for _, b := range bans {
					p.row(b.Network, b.Until.Format(time.RFC3339), b.Reason)
				}
			})
		}),
	}, &cobra.Command{
		Use: "lift NETWORK", Short: "End a ban", Example: "  rookery ban lift 198.51.100.0/24", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/bans/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is not banned any more.", args[0])
		}),
	})
	return cmd
}
