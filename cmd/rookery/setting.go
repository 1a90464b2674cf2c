package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func settingCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "setting", Short: "Settings of the cluster",
		Example: "  rookery setting set subaddress_delimiter -"}
	settings := func(call caller) (s []adminapi.Setting, err error) {
		err = call("GET", "/v1/settings", nil, &s)
		return s, err
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List all settings with their meaning", Example: "  rookery setting list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			all, err := settings(call)
			if err != nil {
				return err
			}
			return o.print(cmd, all, func(p *printer) {
				p.row("NAME", "VALUE", "DEFAULT", "MEANING")
				for _, s := range all {
					p.row(s.Name, s.Value, s.Default, s.Help)
				}
			})
		}),
	}, &cobra.Command{
		Use: "get NAME", Short: "Print one setting", Example: "  rookery setting get subaddress_delimiter", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			all, err := settings(call)
			if err != nil {
				return err
			}
			for _, s := range all {
				if s.Name == args[0] {
					return o.print(cmd, s, func(p *printer) { p.line("%s", s.Value) })
				}
			}
			return fmt.Errorf("no setting %q: see `rookery setting list`", args[0])
		}),
	}, &cobra.Command{
		Use: "set NAME VALUE", Short: "Set one setting for the whole cluster", Example: "  rookery setting set subaddress_delimiter -",
		Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("PUT", "/v1/settings/"+url.PathEscape(args[0]), adminapi.Setting{Name: args[0], Value: args[1]}, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is now %s.", args[0], args[1])
		}),
	})
	return cmd
}
