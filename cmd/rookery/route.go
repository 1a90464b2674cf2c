package main

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func routeCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "route", Short: "By which hosts mail to other domains goes",
		Long: "By which hosts mail to other domains goes that does not go to the hosts of its domain: smart hosts, for some domains or some senders,\n" +
			"and which addresses of the cluster it may leave by. Of the routes that fit a message the one with the lowest order counts, then the first by name.",
		Example: "  rookery route set relay --hosts smtp.example.net:587 --username example --password\n  rookery route test ada@example.org bob@example.com"}
	cmd.AddCommand(routeListCommand(o), routeSetCommand(o), routeTestCommand(o), &cobra.Command{
		Use: "remove NAME", Short: "Take a route away", Example: "  rookery route remove relay", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/routes/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Route %s is gone.", args[0])
		}),
	})
	return cmd
}

func routeListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the routes in their order", Example: "  rookery route list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var routes []adminapi.Route
			if err := call("GET", "/v1/routes", nil, &routes); err != nil {
				return err
			}
			return o.print(cmd, routes, func(p *printer) {
				p.row("ORDER", "NAME", "RECIPIENTS", "SENDERS", "HOSTS", "LOGIN", "TLS", "LEAVES BY")
				for _, r := range routes {
					p.row(r.Order, r.Name, strings.Join(r.Recipients, ","), orAll(r.Senders), orElse(strings.Join(r.Hosts, ","), "of the domain"), orElse(r.Username, "-"), r.TLS, orAll(r.Egress))
				}
			})
		}),
	}
}

// orElse is a text, or another where it is empty.
func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func orAll(list []string) string { return orElse(strings.Join(list, ","), "any") }

func routeSetCommand(o *options) *cobra.Command {
	var r adminapi.Route
	var asks, stdin bool
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make or replace a route",
		Long: "Make or replace a route. Without --hosts the mail goes to the hosts of its domain: an exception from a route with a higher order, or a choice of\n" +
			"addresses to leave by. Without a password that of before stays, for the same login.",
		Example: "  rookery route set relay --hosts smtp.example.net:587,smtp2.example.net:587 --username example --password\n" +
			"  rookery route set partner --order 10 --recipients example.com,.example.com --hosts mx.partner.example --tls verify\n" +
			"  rookery route set bulk --order 20 --senders news@example.org --egress 192.0.2.20",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			r.Name = args[0]
			if asks || stdin {
				var err error
				if r.Password, err = readPassword(cmd, stdin); err != nil {
					return err
				}
			}
			if err := call("POST", "/v1/routes", r, nil); err != nil {
				return err
			}
			return o.say(cmd, "Route %s is set.", r.Name)
		}),
	}
	f := cmd.Flags()
	f.Uint32Var(&r.Order, "order", 100, "lower is asked first")
	f.StringSliceVar(&r.Recipients, "recipients", []string{"*"}, "domains, .domain for all below it, or *")
	f.StringSliceVar(&r.Senders, "senders", nil, "addresses, domains, .domain, or <> for reports; none is any")
	f.StringSliceVar(&r.Hosts, "hosts", nil, "host or host:port in order; port 465 is TLS from the start")
	f.StringVar(&r.Username, "username", "", "of the login at the hosts")
	f.BoolVar(&asks, "password", false, "ask for the password of the login")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input without asking")
	f.StringVar(&r.TLS, "tls", "", "may, encrypt or verify (default verify with a login, else may)")
	f.StringSliceVar(&r.Egress, "egress", nil, "addresses to leave by; none is any")
	return cmd
}

func routeTestCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "test SENDER RECIPIENT", Short: "Show how a message would leave now", Example: "  rookery route test ada@example.org bob@example.com\n  rookery route test '<>' example.com",
		Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var w adminapi.RouteWay
			if err := call("POST", "/v1/routes-test", adminapi.RouteTest{Sender: strings.Trim(args[0], "<>"), Recipient: args[1]}, &w); err != nil {
				return err
			}
			return o.print(cmd, w, func(p *printer) {
				p.line("route:    %s", orElse(w.Route, "none: the hosts of the domain"))
				p.line("receiver: %s", w.Site)
				p.line("hosts:    %s", orElse(strings.Join(w.Hosts, " "), "none: "+w.Problem))
				if w.TLS != "" {
					p.line("tls:      %s", w.TLS)
				}
				for _, e := range w.Egress {
					p.line("leaves by %s of node %s: %s", e.Address, e.Node, orElse(e.Why, "yes"))
				}
			})
		}),
	}
}
