package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

func sieveCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "sieve", Short: "Sieve scripts, which sort mail that comes in",
		Long: "The Sieve scripts of accounts. One of an account is active: it is run over each message before that is acknowledged. Users keep their own by ManageSieve.\n\n" +
			"Where ADDRESS is -, the scripts of the cluster are meant: those that scripts may include with \":global\". The one that is called default is run for accounts that have " +
			"no active script, before it default@DOMAIN for those of a domain.",
		Example: "  rookery sieve put ada@example.org main --file main.sieve --activate"}
	cmd.AddCommand(sieveList(o), sievePut(o), sieveGet(o), sieveCheck(o), sieveActivate(o), sieveRemove(o))
	return cmd
}

// scriptsOf is the path of the scripts of an address, or of one of them.
func scriptsOf(path, address, name string) string {
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	if address == "-" {
		return path
	}
	return path + "?owner=" + url.QueryEscape(address)
}

func sieveList(o *options) *cobra.Command {
	return &cobra.Command{Use: "list ADDRESS", Short: "List the scripts of an account", Example: "  rookery sieve list ada@example.org", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var list []adminapi.Script
			if err := call("GET", scriptsOf("/v1/scripts", args[0], ""), nil, &list); err != nil {
				return err
			}
			return o.print(cmd, list, func(p *printer) {
				p.row("NAME", "ACTIVE", "OCTETS", "CHANGED")
				for _, s := range list {
					active := ""
					if s.Active {
						active = "yes"
					}
					p.row(s.Name, active, fmt.Sprint(s.Size), s.Changed.Format(time.RFC3339))
				}
			})
		})}
}

// readScript reads a file, or the input where it is -.
func readScript(cmd *cobra.Command, file string) (string, error) {
	if file == "-" {
		text, err := io.ReadAll(cmd.InOrStdin())
		return string(text), err
	}
	text, err := os.ReadFile(file)
	return string(text), err
}

func sievePut(o *options) *cobra.Command {
	var file string
	var activate bool
	cmd := &cobra.Command{Use: "put ADDRESS NAME", Short: "Store a script, in the place of one that has the name", Args: cobra.ExactArgs(2),
		Example: "  rookery sieve put ada@example.org main --file main.sieve --activate",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			text, err := readScript(cmd, file)
			if err != nil {
				return err
			}
			if err := call("POST", scriptsOf("/v1/scripts", args[0], ""), adminapi.Script{Name: args[1], Active: activate, Text: text}, nil); err != nil {
				return err
			}
			if activate {
				return o.say(cmd, "%s is stored and run for what comes in.", args[1])
			}
			return o.say(cmd, "%s is stored.", args[1])
		})}
	cmd.Flags().StringVar(&file, "file", "-", "the script; - is the input")
	cmd.Flags().BoolVar(&activate, "activate", false, "run it from now on, and no other")
	return cmd
}

func sieveGet(o *options) *cobra.Command {
	return &cobra.Command{Use: "get ADDRESS NAME", Short: "Print a script", Example: "  rookery sieve get ada@example.org main > main.sieve", Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var s adminapi.Script
			if err := call("GET", scriptsOf("/v1/scripts", args[0], args[1]), nil, &s); err != nil {
				return err
			}
			_, err := io.WriteString(cmd.OutOrStdout(), s.Text)
			return err
		})}
}

func sieveCheck(o *options) *cobra.Command {
	return &cobra.Command{Use: "check FILE", Short: "Say what is wrong with a script; - is the input", Example: "  rookery sieve check main.sieve", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			text, err := readScript(cmd, args[0])
			if err != nil {
				return err
			}
			if err := call("POST", "/v1/script-check", adminapi.Script{Text: text}, nil); err != nil {
				return err
			}
			return o.say(cmd, "The script is correct.")
		})}
}

func sieveActivate(o *options) *cobra.Command {
	return &cobra.Command{Use: "activate ADDRESS [NAME]", Short: "Run a script from now on, and no other; without a name none", Args: cobra.RangeArgs(1, 2),
		Example: "  rookery sieve activate ada@example.org main",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			name := strings.Join(args[1:], "")
			if err := call("PUT", scriptsOf("/v1/active-script", args[0], ""), adminapi.Script{Name: name}, nil); err != nil {
				return err
			}
			if name == "" {
				return o.say(cmd, "No script of %s is run.", args[0])
			}
			return o.say(cmd, "%s is run for what comes to %s.", name, args[0])
		})}
}

func sieveRemove(o *options) *cobra.Command {
	return &cobra.Command{Use: "remove ADDRESS NAME", Short: "Remove a script that is not active", Example: "  rookery sieve remove ada@example.org old", Args: cobra.ExactArgs(2),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call("DELETE", scriptsOf("/v1/scripts", args[0], args[1]), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "%s is removed.", args[1])
		})}
}
