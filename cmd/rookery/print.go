package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// printer writes lines and aligned rows for a person.
type printer struct {
	w   io.Writer
	tab *tabwriter.Writer
}

func (p *printer) line(format string, args ...any) {
	_ = p.tab.Flush() // rows before this line stand above it
	fmt.Fprintf(p.w, format+"\n", args...)
}

func (p *printer) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(p.tab, "\t")
		}
		fmt.Fprint(p.tab, c)
	}
	fmt.Fprintln(p.tab)
}

// print writes v as JSON when --json was given and lets text write it for a person otherwise.
func (o *options) print(cmd *cobra.Command, v any, text func(*printer)) error {
	out := cmd.OutOrStdout()
	if o.json {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	p := &printer{w: out, tab: tabwriter.NewWriter(out, 2, 8, 2, ' ', 0)}
	text(p)
	return p.tab.Flush()
}

// say reports that something was done: a line for a person, {"ok": true} for a program.
func (o *options) say(cmd *cobra.Command, format string, args ...any) error {
	return o.print(cmd, map[string]bool{"ok": true}, func(p *printer) { p.line(format, args...) })
}

// run wraps a subcommand that asks the node.
func (o *options) run(f func(cmd *cobra.Command, args []string, c caller) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		client, err := o.client()
		if err != nil {
			return err
		}
		return f(cmd, args, func(method, path string, in, out any) error {
			return client.Do(cmd.Context(), method, path, in, out)
		})
	}
}

// caller sends one request to the node.
type caller func(method, path string, in, out any) error
