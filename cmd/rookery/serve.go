package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/config"
	"github.com/rookery-mail/rookery/cmd/internal/node"
)

func serveCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run this machine's node in the foreground",
		Long: "serve runs the node until it is told to stop by SIGTERM or SIGINT: then it closes its doors,\n" +
			"lets sessions finish, hands leadership over and writes its state down.",
		Example: "  rookery serve --config /etc/rookery/rookery.toml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			logger, err := newLogger(cmd.ErrOrStderr(), cfg.Log)
			if err != nil {
				return err
			}
			return node.Serve(cmd.Context(), cfg, node.Options{Version: version, Logger: logger})
		},
	}
}

func newLogger(w io.Writer, cfg config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		return nil, fmt.Errorf("log.level = %q: use debug, info, warn or error", cfg.Level)
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}
