package main

import (
	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/node"
)

func initCommand(o *options) *cobra.Command {
	opts := node.InitOptions{Partitions: 16, ReplicationFactor: 3}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a new cluster of one node on this machine",
		Long: "init makes the data directory, the cluster's own certificate authority, the directory and\n" +
			"the partitions. The number of partitions is for ever; 16 serve some 10,000 accounts well.",
		Example: "  rookery init --config /etc/rookery/rookery.toml\n  rookery serve",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			opts.Version = version
			id, err := node.Init(cmd.Context(), cfg, opts)
			if err != nil {
				return err
			}
			return o.print(cmd, map[string]string{"cluster": id, "node": cfg.Node}, func(p *printer) {
				p.line("Cluster %s is made, with node %s in %s.", id, cfg.Node, cfg.DataDir)
				p.line("Next: `rookery serve`, then `rookery domain add` and `rookery account add`.")
			})
		},
	}
	cmd.Flags().IntVar(&opts.Partitions, "partitions", opts.Partitions, "number of partitions, 1 to 256, fixed for ever")
	cmd.Flags().IntVar(&opts.ReplicationFactor, "replication-factor", opts.ReplicationFactor, "replicas of each partition once there are that many nodes")
	return cmd
}

func joinCommand(o *options) *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "join HOST:PORT",
		Short: "Make this machine a node of an existing cluster",
		Long: "join asks any member, by its cluster address, to take this node in. It needs a token from\n" +
			"`rookery token create` on a member. After it, `rookery serve` brings the node up; replicas\n" +
			"move to it by themselves.",
		Example: "  rookery join --token rookery1-… mx1.example.org:7700\n  rookery serve",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			id, err := node.Join(cmd.Context(), cfg, node.JoinOptions{Token: token, Member: args[0], Version: version})
			if err != nil {
				return err
			}
			return o.print(cmd, map[string]string{"cluster": id, "node": cfg.Node}, func(p *printer) {
				p.line("Node %s is part of cluster %s.", cfg.Node, id)
				p.line("Next: `rookery serve` here, and `rookery status` on any node to see its replicas arrive.")
			})
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "the join token (required)")
	_ = cmd.MarkFlagRequired("token") // the flag exists: it is defined one line above
	return cmd
}
