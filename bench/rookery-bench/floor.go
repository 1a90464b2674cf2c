package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/floor"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/site"
)

// floorCommand runs one bare replica. The scenario of that name starts them; people have no use for it.
func floorCommand() *cobra.Command {
	var cfg floor.Config
	var control string
	cmd := &cobra.Command{
		Use: "floor", Short: "Run one bare Raft replica, for the scenario floor", Hidden: true, Args: cobra.NoArgs,
		Example: "  rookery-bench floor --dir /tmp/r1 --listen 127.0.0.1:7720 --peers 127.0.0.1:7720 --control 127.0.0.1:7721",
		RunE:    func(cmd *cobra.Command, _ []string) error { return floor.Serve(cmd.Context(), cfg, control) },
	}
	cmd.Flags().StringVar(&cfg.Dir, "dir", "", "where its files go")
	cmd.Flags().StringVar(&cfg.Address, "listen", "", "its Raft address")
	cmd.Flags().StringSliceVar(&cfg.Peers, "peers", nil, "the Raft addresses of all replicas")
	cmd.Flags().StringVar(&control, "control", "", "where it is told what to commit")
	return cmd
}

// startFloor starts bare replicas from this program.
func (c *common) startFloor(ctx context.Context, replicas int) (scenario.Floor, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	f, err := site.StartFloor(ctx, site.FloorConfig{Program: program, Replicas: replicas, Parent: c.dir})
	if err != nil {
		return nil, err
	}
	return f, nil
}
