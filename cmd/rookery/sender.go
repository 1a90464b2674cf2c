package main

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func senderCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "sender", Short: "Senders whose mail is always taken, or never",
		Long: "Lists of senders, of the cluster, of a domain, or of an account: an account's own is asked first, then that of the domain by which\n" +
			"it is written to, then the cluster's, and the first entry that names a message decides.\n\n" +
			"A sender is an address, a domain, .domain for all below it, or a network of clients. Who is allowed must be proven: a message whose\n" +
			"author or envelope only claims the name (no DMARC, aligned DKIM or SPF for it) is not. Allowing somebody spares him what mail looks\n" +
			"like, not viruses, nor forgeries that DMARC refuses.",
		Example: "  rookery sender allow partner.example\n  rookery sender block spam.example --for bob@example.org --junk"}
	cmd.AddCommand(
		senderPut(o, "allow", "Always take mail of a sender", "  rookery sender allow boss@partner.example --for bob@example.org\n  rookery sender allow 198.51.100.0/24 --note \"the scanners of the press\""),
		senderPut(o, "block", "Refuse mail of a sender, or put it to Junk", "  rookery sender block .spam.example\n  rookery sender block news@shop.example --for example.org --junk"),
		senderList(o), senderRemove(o))
	return cmd
}

func senderPut(o *options, word, short, example string) *cobra.Command {
	var of, note string
	junk := false
	cmd := &cobra.Command{
		Use: word + " SENDER", Short: short, Example: example, Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			e := adminapi.SenderEntry{Of: of, Sender: args[0], Action: word, Note: note}
			if word == "block" {
				if e.Action = "refuse"; junk {
					e.Action = "junk"
				}
			}
			if err := call("POST", "/v1/senders", e, nil); err != nil {
				return err
			}
			return o.say(cmd, "Mail from %s for %s: %s.", args[0], ofWords(of), e.Action)
		}),
	}
	cmd.Flags().StringVar(&of, "for", "", "whose list: a domain, or an account's address (default the cluster's)")
	cmd.Flags().StringVar(&note, "note", "", "why, for those who list them")
	if word == "block" {
		cmd.Flags().BoolVar(&junk, "junk", false, "put it to Junk in place of refusing it")
	}
	return cmd
}

// ofWords are whose a list is.
func ofWords(of string) string {
	if of == "" || of == "*" {
		return "the cluster"
	}
	return of
}

func senderList(o *options) *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use: "list", Short: "List senders", Example: "  rookery sender list\n  rookery sender list --for bob@example.org", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var list []adminapi.SenderEntry
			if err := call("GET", "/v1/senders?of="+url.QueryEscape(of), nil, &list); err != nil {
				return err
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("FOR", "SENDER", "ACTION", "SINCE", "NOTE")
				for _, e := range list {
					p.row(ofWords(e.Of), e.Sender, e.Action, e.Created.Format("2006-01-02"), e.Note)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&of, "for", "", "whose list: *, a domain, or an account's address (default all)")
	return cmd
}

func senderRemove(o *options) *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use: "remove SENDER", Short: "Take a sender from a list", Example: "  rookery sender remove spam.example --for bob@example.org", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/senders?of="+url.QueryEscape(of)+"&sender="+url.QueryEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is not in the list of %s any more.", args[0], ofWords(of))
		}),
	}
	cmd.Flags().StringVar(&of, "for", "", "whose list: a domain, or an account's address (default the cluster's)")
	return cmd
}
