package main

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func aliasCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "alias", Short: "Addresses that stand for others",
		Example: "  rookery alias add office@example.org ada@example.org bert@example.org"}
	cmd.AddCommand(&cobra.Command{
		Use: "add ADDRESS TARGET...", Short: "Make or replace an alias",
		Example: "  rookery alias add office@example.org ada@example.org bert@example.org",
		Args:    cobra.MinimumNArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("POST", "/v1/aliases", adminapi.Alias{Address: args[0], Targets: args[1:]}, nil); err != nil {
				return err
			}
			return o.say(cmd, "Mail to %s goes to %s.", args[0], strings.Join(args[1:], ", "))
		}),
	}, &cobra.Command{
		Use: "list", Short: "List the aliases", Example: "  rookery alias list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var aliases []adminapi.Alias
			if err := call("GET", "/v1/aliases", nil, &aliases); err != nil {
				return err
			}
			return o.print(cmd, aliases, func(p *printer) {
				p.row("ALIAS", "TARGETS")
				for _, a := range aliases {
					p.row(a.Address, strings.Join(a.Targets, ", "))
				}
			})
		}),
	}, &cobra.Command{
		Use: "delete ADDRESS", Short: "Delete an alias", Example: "  rookery alias delete office@example.org",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/aliases/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Alias %s is deleted.", args[0])
		}),
	})
	return cmd
}
