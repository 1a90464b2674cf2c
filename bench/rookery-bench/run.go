package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/site"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the scenarios", Example: "  rookery-bench list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 2, 0, 2, ' ', 0)
			for _, s := range scenario.All() {
				fmt.Fprintf(t, "%s\t%s\n", s.Name, s.Brief)
			}
			return t.Flush()
		},
	}
}

// runFlags are those of the run command.
type runFlags struct {
	common
	binary   string
	count    int
	targets  []string
	accounts []string
	pids     []int
	sink     string
}

func runCommand() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "run SCENARIO…", Short: "Run scenarios against a cluster, or against a server that runs already",
		Example: "  rookery-bench run deliver-4k serial --nodes 3 --count 5\n" +
			"  rookery-bench run deliver-mix --corpus ~/Maildir --format json\n" +
			"  rookery-bench run deliver-4k --target smtp://mx.example.org,imap://mx.example.org --account ada@example.org:secret",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args) },
	}
	f.register(cmd, 1)
	cmd.Flags().StringVar(&f.binary, "binary", "bin/rookery", "the program that the cluster is made of")
	cmd.Flags().IntVar(&f.count, "count", 1, "how many samples, each with a cluster of its own")
	cmd.Flags().StringSliceVar(&f.targets, "target", nil, "addresses of a running server: smtp://, submission://, imap:// (STARTTLS), imaps://, imap+plain://")
	cmd.Flags().StringArrayVar(&f.accounts, "account", nil, "an account of the target, ADDRESS:PASSWORD; once for each")
	cmd.Flags().IntSliceVar(&f.pids, "pid", nil, "the target's processes, if they are on this machine")
	cmd.Flags().StringVar(&f.sink, "sink", "", "outbound: HOST:PORT of this machine, to which the target sends mail for sink.test")
	return cmd
}

func (f *runFlags) run(ctx context.Context, names []string) error {
	if err := f.prepare(); err != nil {
		return err
	}
	var runs []report.Run
	for _, name := range names {
		s, err := scenario.Find(name)
		if err != nil {
			return err
		}
		if err := f.fits(s); err != nil {
			return err
		}
		run := report.Run{Scenario: name, Nodes: f.nodes, Quick: f.options.Quick}
		if f.targets != nil {
			run.Nodes = 0
		}
		for i := range max(1, f.count) {
			f.options.Progress("%s, sample %d of %d", name, i+1, max(1, f.count))
			result, err := f.sample(ctx, s, i)
			if err != nil {
				return err
			}
			run.Site = result.Site
			run.Samples = append(run.Samples, result)
		}
		runs = append(runs, run)
	}
	return f.print(runs)
}

// fits says why a scenario cannot run as asked.
func (f *runFlags) fits(s scenario.Scenario) error {
	switch {
	case s.Name == "rehearse":
		return errors.New("a rehearsal has a command of its own: rookery-bench rehearse A B")
	case f.targets != nil && !s.Peers:
		return fmt.Errorf("%s starts and ends nodes: it cannot be run against --target", s.Name)
	case f.targets == nil && f.nodes < s.Nodes:
		return fmt.Errorf("%s needs %d nodes: --nodes %d", s.Name, s.Nodes, s.Nodes)
	}
	return nil
}

// sample runs one scenario once.
func (f *runFlags) sample(ctx context.Context, s scenario.Scenario, i int) (scenario.Result, error) {
	o := f.options
	o.Run = fmt.Sprintf("%s.%d", o.Run, i)
	if f.targets == nil {
		cfg := site.RookeryConfig{Binary: f.binary, Nodes: f.nodes, Parent: f.dir, Progress: o.Progress}
		return onCluster(ctx, s, o, cfg)
	}
	accounts, err := parseAccounts(f.accounts)
	if err != nil {
		return scenario.Result{}, err
	}
	t, err := site.NewTarget(ctx, site.TargetConfig{URLs: f.targets, Accounts: accounts, PIDs: f.pids, Sink: f.sink})
	if err != nil {
		return scenario.Result{}, err
	}
	return s.Run(ctx, t, o)
}

// onCluster starts a cluster, runs the scenario and ends the cluster.
func onCluster(ctx context.Context, s scenario.Scenario, o scenario.Options, cfg site.RookeryConfig) (r scenario.Result, err error) {
	cfg.Outgoing = s.Name == "outbound"
	o.Twin = func(ctx context.Context) (site.Site, error) { return site.StartRookery(ctx, cfg) }
	o.Store = func(ctx context.Context) (scenario.Store, error) { return startStore(ctx, cfg.Parent) }
	c, err := site.StartRookery(ctx, cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return s.Run(ctx, c, o)
}
