package main

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/cmd/internal/node"
)

func nodeCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Members of the cluster", Example: "  rookery node list"}
	cmd.AddCommand(nodeList(o),
		nodeAction(o, "drain", "Move all replicas and leaders away from a node", "POST", "/drain", "Node %s is being drained: see `rookery status`."),
		nodeAction(o, "resume", "Let a drained node hold replicas again", "POST", "/resume", "Node %s takes part again."),
		nodeAction(o, "remove", "Take a node out of the cluster for ever", "DELETE", "", "Node %s is removed; its name is not used again."),
		nodeRebuild(o))
	return cmd
}

func nodeList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the nodes", Example: "  rookery node list", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var nodes []adminapi.NodeStatus
			if err := call("GET", "/v1/nodes", nil, &nodes); err != nil {
				return err
			}
			return o.print(cmd, nodes, func(p *printer) {
				p.row("NODE", "REGION", "ADDRESS", "STATE", "VERSION")
				for _, n := range nodes {
					p.row(n.ID, n.Region, n.Address, n.State, n.Version)
				}
			})
		}),
	}
}

func nodeAction(o *options, use, short, method, suffix, said string) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Example: "  rookery node " + use + " mx3", Args: cobra.ExactArgs(1),
		RunE: o.run(func(cmd *cobra.Command, args []string, call caller) error {
			if err := call(method, "/v1/nodes/"+url.PathEscape(args[0])+suffix, nil, nil); err != nil {
				return err
			}
			return o.say(cmd, said, args[0])
		}),
	}
}

func nodeRebuild(o *options) *cobra.Command {
	var group string
	var yes bool
	cmd := &cobra.Command{
		Use: "rebuild", Short: "Drop this node's replica of a group, so that it is fetched anew from the others",
		Long: "rebuild is for a replica whose log or state is damaged. The node must be stopped. The replica's\n" +
			"log and state are deleted here, and nothing else; when the node serves again, the group's leader\n" +
			"sends it everything. Do it only while the group's other replicas are well: `rookery status` there.",
		Example: "  rookery node rebuild --group p7 --yes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config()
			if err != nil {
				return err
			}
			if !yes {
				return fmt.Errorf("this deletes the replica of %s on this node: repeat it with --yes once the other replicas are well", group)
			}
			if err := node.Rebuild(cmd.Context(), cfg, group); err != nil {
				return err
			}
			return o.say(cmd, "The replica of %s is dropped; `rookery serve` fetches it anew.", group)
		},
	}
	cmd.Flags().StringVar(&group, "group", "", "directory, p1, p2, … or all (required)")
	_ = cmd.MarkFlagRequired("group") // the flag exists: it is defined one line above
	cmd.Flags().BoolVar(&yes, "yes", false, "really delete the replica")
	return cmd
}

func debugCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "debug", Short: "Looking inside", Example: "  rookery debug hash"}
	cmd.AddCommand(&cobra.Command{
		Use: "hash", Short: "Hash this node's replicas, to compare with those of other nodes at rest",
		Example: "  rookery debug hash --json", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var h adminapi.Hashes
			if err := call("GET", "/v1/debug/hash", nil, &h); err != nil {
				return err
			}
			return o.print(cmd, h, func(p *printer) {
				p.row("GROUP", "APPLIED", "HASH")
				for _, g := range h.Groups {
					p.row(g.Group, g.Applied, g.Hash)
				}
			})
		}),
	}, &cobra.Command{
		Use: "snapshot", Short: "Take a snapshot of each replica of this node, which truncates its log",
		Example: "  rookery debug snapshot", Args: cobra.NoArgs,
		RunE: o.run(func(cmd *cobra.Command, _ []string, call caller) error {
			var taken []adminapi.GroupSnapshot
			if err := call("POST", "/v1/debug/snapshot", nil, &taken); err != nil {
				return err
			}
			return o.print(cmd, taken, func(p *printer) {
				p.row("GROUP", "MILLISECONDS", "")
				for _, g := range taken {
					p.row(g.Group, fmt.Sprintf("%.1f", g.Milliseconds), g.Error)
				}
			})
		}),
	})
	return cmd
}
