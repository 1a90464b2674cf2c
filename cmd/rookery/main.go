// Command rookery is the server and its operator's tool in one binary. Each subcommand is a file of
// this package; it only reads flags and configuration and calls cmd/internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// version is set by the linker.
var version = "0.1-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rookery:", err)
		code := 1
		if exit := (exitError{}); errors.As(err, &exit) {
			code = exit.code
		}
		os.Exit(code)
	}
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	error
}

// Unwrap gives the error.
func (e exitError) Unwrap() error { return e.error }

// options are the flags that every subcommand has.
type options struct {
	configPath string
	json       bool
}

// config reads the node's configuration.
func (o *options) config() (config.Config, error) { return config.Load(o.configPath) }

// client returns a client for the node's admin socket.
func (o *options) client() (*adminapi.Client, error) {
	cfg, err := o.config()
	if err != nil {
		return nil, err
	}
	return adminapi.Dial(cfg.Admin.Socket), nil
}

func root() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "rookery",
		Short: "A clustered mail platform: SMTP in, IMAP out, nothing lost",
		Long: "Rookery runs mail for an institution on one, three or more nodes that replicate every\n" +
			"mailbox by Raft. `rookery init` makes a cluster of one, `rookery join` adds nodes to it,\n" +
			"`rookery serve` runs a node; everything else asks the running node.",
		Example:       "  rookery init && rookery serve\n  rookery status",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	path := os.Getenv("ROOKERY_CONFIG")
	if path == "" {
		path = config.DefaultPath
	}
	cmd.PersistentFlags().StringVar(&o.configPath, "config", path, "the node's rookery.toml (environment: ROOKERY_CONFIG)")
	cmd.PersistentFlags().BoolVar(&o.json, "json", false, "print JSON")
	cmd.AddCommand(
		initCommand(o), joinCommand(o), serveCommand(o), statusCommand(o),
		domainCommand(o), dnsCommand(o), dnsblCommand(o), accountCommand(o), aliasCommand(o), banCommand(o), dkimCommand(o), mailboxCommand(o), blobCommand(o), recoverCommand(o), settingCommand(o), sieveCommand(o), vacationCommand(o),
		dmarcReportsCommand(o), tlsReportsCommand(o), tlsRuleCommand(o),
		filterCommand(o), queueCommand(o), traceCommand(o), explainCommand(o), senderCommand(o), policyCommand(o), routeCommand(o), egressCommand(o), spamCommand(o),
		tokenCommand(o), apiTokenCommand(o), nodeCommand(o), debugCommand(o), versionCommand(o),
	)
	return cmd
}

func versionCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  rookery version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.print(cmd, map[string]string{"version": version}, func(p *printer) { p.line("rookery %s", version) })
		},
	}
}
