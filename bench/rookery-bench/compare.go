package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/ab"
	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/site"
	"github.com/rookery-mail/rookery/bench/stats"
)

// compareFlags are those of compare.
type compareFlags struct {
	common
	rounds    int
	threshold float64
	html      string
	rehearse  bool
}

func compareCommand() *cobra.Command {
	f := &compareFlags{}
	cmd := &cobra.Command{
		Use: "compare A B SCENARIO…", Short: "Say whether build B may replace build A",
		Long: "compare starts a cluster of each build for every round, drives both in short turns (deliveries) or one after\n" +
			"the other, and judges the ratios of the rounds by Wilcoxon's signed-rank test. A and B are programs or git revisions of the repository around the working directory.\n" +
			"With --rehearse a cluster of three is upgraded from A to B under load as well.\n\n" +
			"Exit status: 0 B is not worse, 1 nothing was measured, 2 B is worse, 3 the noise hides the answer.",
		Example: "  rookery-bench compare HEAD~5 HEAD deliver-4k imap-5k --html report.html\n" +
			"  rookery-bench compare /usr/bin/rookery bin/rookery deliver-4k --nodes 3 --rehearse",
		Args: cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args) },
	}
	f.register(cmd, 1)
	cmd.Flags().IntVar(&f.rounds, "rounds", 10, "pairs of samples, each of two new clusters")
	cmd.Flags().Float64Var(&f.threshold, "threshold", 0.1, "the part by which a figure may change without mattering")
	cmd.Flags().StringVar(&f.html, "html", "", "write a report with plots to this file")
	cmd.Flags().BoolVar(&f.rehearse, "rehearse", false, "rehearse the rolling upgrade from A to B first")
	return cmd
}

func (f *compareFlags) run(ctx context.Context, args []string) (err error) {
	if err := f.prepare(); err != nil {
		return err
	}
	for _, name := range args[2:] {
		s, err := scenario.Find(name)
		if err != nil {
			return err
		}
		if s.Nodes > f.nodes {
			return fmt.Errorf("%s needs %d nodes: --nodes %d", name, s.Nodes, s.Nodes)
		}
	}
	binaries, cleanup, err := builds(ctx, args[:2], f.options.Progress)
	defer func() { err = errors.Join(err, cleanup()) }()
	if err != nil {
		return err
	}
	if f.rehearse {
		if err := f.rehearsal(ctx, binaries); err != nil {
			return err
		}
	}
	list, err := ab.Run(ctx, ab.Config{Labels: [2]string{args[0], args[1]}, Scenarios: args[2:], Rounds: f.rounds, Nodes: f.nodes, Alpha: 0.05,
		Threshold: f.threshold, Progress: f.options.Progress,
		Pair: func(ctx context.Context, name string, round int, first ab.Side) (both [2]scenario.Result, err error) {
			s, err := scenario.Find(name)
			if err != nil {
				return both, err
			}
			o := f.options
			o.Run = fmt.Sprintf("%s.%d", o.Run, round)
			o.Progress = func(string, ...any) {} // the comparison tells its own
			return pairOfClusters(ctx, s, o, f.clusters(binaries, args), int(first))
		}})
	if err != nil {
		return err
	}
	return f.tell(list)
}

// clusters are those of a round.
func (f *compareFlags) clusters(binaries [2]string, labels []string) (out [2]site.RookeryConfig) {
	for side := range out {
		out[side] = site.RookeryConfig{Binary: binaries[side], Label: labels[side], Nodes: f.nodes, Parent: f.dir}
	}
	return out
}

// pairOfClusters runs a scenario on two new clusters, side by side where it can be cut into turns.
func pairOfClusters(ctx context.Context, s scenario.Scenario, o scenario.Options, cfg [2]site.RookeryConfig, first int) (both [2]scenario.Result, err error) {
	if s.Pair == nil {
		for i := range both {
			side := (first + i) % 2
			if both[side], err = onCluster(ctx, s, o, cfg[side]); err != nil {
				return both, fmt.Errorf("with %s: %w", cfg[side].Label, err)
			}
		}
		return both, nil
	}
	var sites [2]site.Site
	for i := range sites {
		side := (first + i) % 2
		c, err2 := site.StartRookery(ctx, cfg[side])
		if err2 != nil {
			return both, fmt.Errorf("with %s: %w", cfg[side].Label, err2)
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		sites[side] = c
	}
	return s.Pair(ctx, sites, first, o)
}

// tell prints the comparison and turns the verdict into an exit status.
func (f *compareFlags) tell(list []ab.Comparison) error {
	machine := report.ThisMachine()
	if f.html != "" {
		if err := writeFile(f.html, func(w io.Writer) error { return ab.HTML(w, machine, list) }); err != nil {
			return err
		}
	}
	printer := ab.Table
	switch f.format {
	case "json":
		printer = ab.JSON
	case "gobench":
		printer = func(w io.Writer, m report.Machine, list []ab.Comparison) error {
			var runs []report.Run
			for _, c := range list {
				runs = append(runs, c.Runs[:]...)
			}
			return report.GoBench(w, m, runs)
		}
	}
	if err := writeFile(f.out, func(w io.Writer) error { return printer(w, machine, list) }); err != nil {
		return err
	}
	switch ab.Outcome(list) {
	case stats.Worse:
		return &codeError{exitWorse, "B is worse than A"}
	case stats.Unknown:
		return &codeError{exitNoVerdict, "no verdict: the noise could hide a difference that matters; a quiet machine or more --rounds would tell"}
	}
	return nil
}

// writeFile lets f write to a file, or to standard output when there is no name.
func writeFile(name string, f func(io.Writer) error) (err error) {
	if name == "" {
		return f(os.Stdout)
	}
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return f(file)
}

func (f *common) rehearsal(ctx context.Context, binaries [2]string) error {
	s, err := scenario.Find("rehearse")
	if err != nil {
		return err
	}
	o := f.options
	o.Binary = binaries[1]
	o.Run += "r"
	nodes := max(3, f.nodes)
	r, err := onCluster(ctx, s, o, site.RookeryConfig{Binary: binaries[0], Nodes: nodes, Parent: f.dir, Progress: o.Progress})
	if err != nil {
		return fmt.Errorf("rehearse the upgrade: %w", err)
	}
	return f.print([]report.Run{{Scenario: "rehearse", Site: r.Site, Nodes: nodes, Samples: []scenario.Result{r}}})
}

func rehearseCommand() *cobra.Command {
	f := &common{}
	cmd := &cobra.Command{
		Use: "rehearse A B", Short: "Upgrade a cluster of three from build A to build B while mail flows",
		Long: "rehearse replaces the binary of one node after the other under load, and then holds what was acknowledged\n" +
			"against what can be read. A and B are programs or git revisions.",
		Example: "  rookery-bench rehearse v0.1.0 bin/rookery", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := f.prepare(); err != nil {
				return err
			}
			binaries, cleanup, err := builds(cmd.Context(), args, f.options.Progress)
			defer func() { err = errors.Join(err, cleanup()) }()
			if err != nil {
				return err
			}
			return f.rehearsal(cmd.Context(), binaries)
		},
	}
	f.register(cmd, 3)
	return cmd
}
