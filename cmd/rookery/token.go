package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func tokenCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Join tokens", Example: "  rookery token create"}
	ttl := time.Hour
	create := &cobra.Command{
		Use: "create", Short: "Make a token that lets one node join, once", Example: "  rookery token create --ttl 1h", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var t adminapi.JoinToken
			if err := call("POST", "/v1/tokens", adminapi.JoinTokenRequest{TTLSeconds: int64(ttl / time.Second)}, &t); err != nil {
				return err
			}
			return o.print(cmd, t, func(p *printer) { p.line("%s", t.Token) })
		}),
	}
	create.Flags().DurationVar(&ttl, "ttl", ttl, "how long it is good for, one minute to seven days")
	cmd.AddCommand(create)
	return cmd
}

func apiTokenCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "api-token", Short: "Tokens for the admin API over TLS", Example: "  rookery api-token create monitoring"}
	var ttl time.Duration
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token; it is shown only once", Example: "  rookery api-token create monitoring --ttl 8760h",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			in := adminapi.APIToken{Name: args[0]}
			if ttl > 0 {
				in.Expires = time.Now().Add(ttl).UTC()
			}
			var t adminapi.APIToken
			if err := call("POST", "/v1/api-tokens", in, &t); err != nil {
				return err
			}
			return o.print(cmd, t, func(p *printer) { p.line("%s", t.Secret) })
		}),
	}
	create.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good for; 0 is for ever")
	cmd.AddCommand(create, &cobra.Command{
		Use: "list", Short: "List the tokens", Example: "  rookery api-token list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var tokens []adminapi.APIToken
			if err := call("GET", "/v1/api-tokens", nil, &tokens); err != nil {
				return err
			}
			return o.print(cmd, tokens, func(p *printer) {
				p.row("ID", "NAME", "EXPIRES")
				for _, t := range tokens {
					expires := "never"
					if !t.Expires.IsZero() {
						expires = t.Expires.Format(time.RFC3339)
					}
					p.row(t.ID, t.Name, expires)
				}
			})
		}),
	}, &cobra.Command{
		Use: "delete ID", Short: "Delete a token", Example: "  rookery api-token delete 3f9a", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/api-tokens/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Token %s no longer opens the API.", args[0])
		}),
	})
	return cmd
}
