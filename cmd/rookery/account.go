package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func accountCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Accounts: who has a mailbox",
		Example: "  rookery account add ada@example.org"}
	cmd.AddCommand(accountAdd(o), accountList(o), accountShow(o), accountSet(o), accountPassword(o), accountHold(o), accountRelease(o), accountDelete(o))
	return cmd
}

func accountPath(address string) string { return "/v1/accounts/" + url.PathEscape(address) }

func accountAdd(o *options) *cobra.Command {
	var a adminapi.Account
	var stdin bool
	cmd := &cobra.Command{
		Use: "add ADDRESS", Short: "Make an account",
		Example: "  rookery account add ada@example.org\n  echo -n secret | rookery account add ada@example.org --password-stdin --quota-bytes 5000000000",
		Args:    cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			a.Address = args[0]
			var err error
			if a.Password, err = readPassword(cmd, stdin); err != nil {
				return err
			}
			var made adminapi.Account
			if err := call("POST", "/v1/accounts", a, &made); err != nil {
				return err
			}
			return o.print(cmd, made, func(p *printer) {
				p.line("Account %s is made, in partition %s.", made.Address, made.Partition)
			})
		}),
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input without asking")
	cmd.Flags().Uint64Var(&a.QuotaBytes, "quota-bytes", 0, "limit of the mailboxes together; 0 is the cluster's default")
	cmd.Flags().Uint64Var(&a.QuotaMessages, "quota-messages", 0, "limit of messages; 0 is the cluster's default")
	cmd.Flags().BoolVar(&a.Admin, "admin", false, "may set quotas and the server's annotations over IMAP")
	return cmd
}

func accountList(o *options) *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use: "list", Short: "List the accounts", Example: "  rookery account list --domain example.org", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var accounts []adminapi.Account
			if err := call("GET", "/v1/accounts?domain="+url.QueryEscape(domain), nil, &accounts); err != nil {
				return err
			}
			return o.print(cmd, accounts, func(p *printer) {
				p.row("ADDRESS", "PARTITION", "STATE")
				for _, a := range accounts {
					p.row(a.Address, a.Partition, accountState(a))
				}
			})
		}),
	}
	cmd.Flags().StringVar(&domain, "domain", "", "only of this domain")
	return cmd
}

func accountState(a adminapi.Account) string {
	state := "active"
	if a.Disabled {
		state = "disabled"
	}
	if a.Admin {
		state += ", administrator"
	}
	if a.Sending != nil && a.Sending.Held {
		state += ", mail to other domains is held"
	}
	return state
}

func accountShow(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show ADDRESS", Short: "Show one account with its use of the quota", Example: "  rookery account show ada@example.org",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var a adminapi.Account
			if err := call("GET", accountPath(args[0]), nil, &a); err != nil {
				return err
			}
			return o.print(cmd, a, func(p *printer) {
				p.row("address", a.Address)
				p.row("partition", a.Partition)
				p.row("state", accountState(a))
				p.row("used", fmt.Sprintf("%d bytes, %d messages", a.UsedBytes, a.UsedMessages))
				p.row("quota", fmt.Sprintf("%d bytes, %d messages (0: the cluster's default)", a.QuotaBytes, a.QuotaMessages))
				p.row("created", a.Created.Format("2006-01-02 15:04:05Z07:00"))
				printSending(p, a.Sending)
			})
		}),
	}
}

func accountSet(o *options) *cobra.Command {
	var bytes, messages uint64
	var disable, enable, admin, noAdmin bool
	cmd := &cobra.Command{
		Use: "set ADDRESS", Short: "Change an account's quota, whether it may log in, whether it administers",
		Example: "  rookery account set ada@example.org --quota-bytes 10000000000\n  rookery account set ada@example.org --disable\n" +
			"  rookery account set ada@example.org --admin",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var c adminapi.AccountChange
			if cmd.Flags().Changed("quota-bytes") {
				c.QuotaBytes = &bytes
			}
			if cmd.Flags().Changed("quota-messages") {
				c.QuotaMessages = &messages
			}
			if disable || enable {
				c.Disabled = &disable
			}
			if admin || noAdmin {
				c.Admin = &admin
			}
			if err := call("PATCH", accountPath(args[0]), c, nil); err != nil {
				return err
			}
			return o.say(cmd, "Account %s is changed.", args[0])
		}),
	}
	cmd.Flags().Uint64Var(&bytes, "quota-bytes", 0, "limit of the mailboxes together; 0 is the cluster's default")
	cmd.Flags().Uint64Var(&messages, "quota-messages", 0, "limit of messages; 0 is the cluster's default")
	cmd.Flags().BoolVar(&disable, "disable", false, "refuse logins; mail is still delivered")
	cmd.Flags().BoolVar(&enable, "enable", false, "accept logins again")
	cmd.Flags().BoolVar(&admin, "admin", false, "may set quotas and the server's annotations over IMAP")
	cmd.Flags().BoolVar(&noAdmin, "no-admin", false, "may do so no more")
	cmd.MarkFlagsMutuallyExclusive("disable", "enable")
	cmd.MarkFlagsMutuallyExclusive("admin", "no-admin")
	cmd.MarkFlagsOneRequired("quota-bytes", "quota-messages", "disable", "enable", "admin", "no-admin")
	return cmd
}

func accountPassword(o *options) *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use: "password ADDRESS", Short: "Set a new password", Example: "  rookery account password ada@example.org",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			password, err := readPassword(cmd, stdin)
			if err != nil {
				return err
			}
			if err := call("PATCH", accountPath(args[0]), adminapi.AccountChange{Password: &password}, nil); err != nil {
				return err
			}
			return o.say(cmd, "The password of %s is changed.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input without asking")
	return cmd
}

func accountDelete(o *options) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete ADDRESS", Short: "Delete an account and all of its mail", Example: "  rookery account delete ada@example.org --yes",
		Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if !yes {
				return fmt.Errorf("this deletes all mail of %s for ever: repeat it with --yes", args[0])
			}
			if err := call("DELETE", accountPath(args[0]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Account %s and its mail are deleted.", args[0])
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete the mail")
	return cmd
}

// readPassword reads one line. Without --password-stdin it asks first, and says that the terminal
// shows what is typed unless it is told otherwise.
func readPassword(cmd *cobra.Command, stdin bool) (string, error) {
	if !stdin {
		if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			restore := hideInput(os.Stdin)
			defer restore()
		}
		fmt.Fprint(cmd.ErrOrStderr(), "Password: ")
		defer fmt.Fprintln(cmd.ErrOrStderr())
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("the password is empty: type one, or pipe it in with --password-stdin")
	}
	return line, nil
}
