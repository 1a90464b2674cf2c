package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// vacationName is the name of the script that says that somebody is away.
const vacationName = "vacation"

func vacationCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "vacation", Short: "Tell senders that somebody is away",
		Long: "An answer to who writes to an account, once in a week to each sender and never to lists. It is a Sieve script called " + vacationName +
			", which is made active; an account with another active script says it there.",
		Example: "  rookery vacation set ada@example.org --text \"I am back on Monday.\" --until 2026-12-01"}
	cmd.AddCommand(vacationSet(o), vacationEnd(o))
	return cmd
}

func vacationSet(o *options) *cobra.Command {
	var text, subject, from, until string
	cmd := &cobra.Command{Use: "set ADDRESS", Short: "Answer who writes to an account", Args: cobra.ExactArgs(1),
		Example: "  rookery vacation set ada@example.org --text \"I am back on Monday.\" --from 2026-11-28 --until 2026-12-01",
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			script, err := vacationScript(text, subject, from, until)
			if err != nil {
				return err
			}
			var list []adminapi.Script
			if err := call("GET", scriptsOf("/v1/scripts", args[0], ""), nil, &list); err != nil {
				return err
			}
			for _, s := range list {
				if s.Active && s.Name != vacationName {
					return fmt.Errorf("%s has an active script, %q: put the answer into that (`rookery sieve get %s %s`), or end it with `rookery sieve activate %s`",
						args[0], s.Name, args[0], s.Name, args[0])
				}
			}
			if err := call("POST", scriptsOf("/v1/scripts", args[0], ""), adminapi.Script{Name: vacationName, Active: true, Text: script}, nil); err != nil {
				return err
			}
			return o.say(cmd, "Who writes to %s is answered.", args[0])
		})}
	cmd.Flags().StringVar(&text, "text", "", "what is answered")
	cmd.Flags().StringVar(&subject, "subject", "", "of the answer; else that of the message")
	cmd.Flags().StringVar(&from, "from", "", "the first day, such as 2026-11-28 (UTC); else at once")
	cmd.Flags().StringVar(&until, "until", "", "the last day (UTC); else until it is ended")
	_ = cmd.MarkFlagRequired("text") // it is there
	return cmd
}

// vacationScript is the script that answers with a text on the days from one to another, of which either may be open.
func vacationScript(text, subject, from, until string) (string, error) {
	var tests []string
	for _, day := range []struct{ match, value string }{{"ge", from}, {"le", until}} {
		if day.value == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, day.value); err != nil {
			return "", fmt.Errorf("%q is not a day such as 2026-11-28", day.value)
		}
		tests = append(tests, fmt.Sprintf("currentdate :zone \"+0000\" :value %q \"date\" %q", day.match, day.value))
	}
	action := "vacation"
	if subject != "" {
		action += " :subject " + sieveString(subject)
	}
	action += " " + sieveString(text) + ";\r\n"
	if len(tests) == 0 {
		return "require \"vacation\";\r\n" + action, nil
	}
	return "require [\"vacation\", \"date\", \"relational\"];\r\nif allof(" + strings.Join(tests, ", ") + ") {\r\n\t" + action + "}\r\n", nil
}

// sieveString is a text as a string of Sieve (RFC 5228, section 2.4.2).
func sieveString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r\n", "\r\n", "\n", "\r\n").Replace(s) + `"`
}

func vacationEnd(o *options) *cobra.Command {
	return &cobra.Command{Use: "end ADDRESS", Short: "Answer nobody any more", Example: "  rookery vacation end ada@example.org", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			var list []adminapi.Script
			if err := call("GET", scriptsOf("/v1/scripts", args[0], ""), nil, &list); err != nil {
				return err
			}
			for _, s := range list {
				if s.Name != vacationName || !s.Active {
					continue
				}
				if err := call("PUT", scriptsOf("/v1/active-script", args[0], ""), adminapi.Script{}, nil); err != nil {
					return err
				}
			}
			if err := call("DELETE", scriptsOf("/v1/scripts", args[0], vacationName), nil, nil); err != nil {
				return err
			}
			return o.say(cmd, "Nobody who writes to %s is answered.", args[0])
		})}
}
