package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func policyCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "What becomes of mail for a domain or an account, where not as the settings say",
		Long: "What becomes of mail that comes in is said by settings (dmarc_policy, junk_score, refuse_score, subaddress_folders). A domain or an\n" +
			"account may have it otherwise, and mail that says it is from a domain may be held to less or more: from:DOMAIN. The account's own\n" +
			"comes last, before it from:DOMAIN, before that the domain's.",
		Example: "  rookery policy set example.org --junk-score 4\n  rookery policy set from:broken.example --dmarc tag\n  rookery policy show bob@example.org"}
	cmd.AddCommand(policySet(o), &cobra.Command{
		Use: "show [RECIPIENT]", Short: "Show what was set, or what holds for a recipient", Example: "  rookery policy show\n  rookery policy show bob@example.org", Args: cobra.MaximumNArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var list []adminapi.InboundPolicy
			if len(args) == 0 {
				if err := call("GET", "/v1/policies", nil, &list); err != nil {
					return err
				}
			} else {
				var one adminapi.InboundPolicy
				if err := call("GET", "/v1/policies/"+url.PathEscape(args[0]), nil, &one); err != nil {
					return err
				}
				list = append(list, one)
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("FOR", "DMARC", "JUNK", "REFUSE", "SUBADDRESS")
				for _, x := range list {
					p.row(x.Of, x.DMARC, scoreText(x.JunkScore), scoreText(x.RefuseScore), x.SubaddressFolders)
				}
			})
		}),
	}, &cobra.Command{
		Use: "remove OF", Short: "Go back to what the settings say", Example: "  rookery policy remove bob@example.org", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", "/v1/policies/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s has no policy of its own any more.", args[0])
		}),
	})
	return cmd
}

func policySet(o *options) *cobra.Command {
	var in adminapi.InboundPolicy
	var junk, refuse float64
	cmd := &cobra.Command{
		Use: "set OF", Short: "Set what a domain, an account, or mail from:DOMAIN has otherwise; what is not given stays",
		Example: "  rookery policy set bob@example.org --junk-score 3 --subaddress-folders existing\n  rookery policy set from:broken.example --dmarc tag", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			in.Of = args[0]
			if cmd.Flags().Changed("junk-score") {
				in.JunkScore = &junk
			}
			if cmd.Flags().Changed("refuse-score") {
				in.RefuseScore = &refuse
			}
			if err := call("POST", "/v1/policies", in, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s has a policy of its own: rookery policy show", args[0])
		}),
	}
	cmd.Flags().StringVar(&in.DMARC, "dmarc", "", "follow, quarantine or tag")
	cmd.Flags().Float64Var(&junk, "junk-score", 0, "from which on mail goes to Junk, 0 for never")
	cmd.Flags().Float64Var(&refuse, "refuse-score", 0, "from which on mail is refused, 0 for never")
	cmd.Flags().StringVar(&in.SubaddressFolders, "subaddress-folders", "", "off, or existing: user+folder@ is for the mailbox of that name")
	return cmd
}

func scoreText(s *float64) string {
	if s == nil {
		return ""
	}
	return strconv.FormatFloat(*s, 'f', -1, 64)
}
