package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/goals"
	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/site"
)

// peersFlags are those of peers.
type peersFlags struct {
	common
	binary string
	rounds int
	three  bool
	fsyncs bool
}

func peersCommand() *cobra.Command {
	f := &peersFlags{}
	cmd := &cobra.Command{
		Use: "peers [SCENARIO…]", Short: "Measure Rookery and Postfix with Dovecot in turn, and print the ratios",
		Long: "peers installs Postfix and Dovecot when it runs as root on Debian, starts them with directories of their own on\n" +
			"loopback, fsync as they ship, and gives them the same loads as Rookery, in turn. Ratios are the result: absolute\n" +
			"times are those of this machine. Delivery is measured against Dovecot's LMTP alone too, which syncs before its\n" +
			"250 as Rookery does; IMAP against maildir and mdbox.",
		Example: "  rookery-bench peers\n  rookery-bench peers deliver-4k imap-5k --rounds 5 --three",
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args) },
	}
	f.register(cmd, 1)
	cmd.Flags().StringVar(&f.binary, "binary", "bin/rookery", "the program of Rookery")
	cmd.Flags().IntVar(&f.rounds, "rounds", 3, "samples of each system")
	cmd.Flags().BoolVar(&f.three, "three", false, "measure a Rookery cluster of three as well")
	cmd.Flags().BoolVar(&f.fsyncs, "fsyncs", false, "count the syncs of all systems with strace, in a short pass of its own after the deliveries")
	return cmd
}

// system is one column of the result.
type system struct {
	name  string
	nodes int
	start func(ctx context.Context) (site.Site, error)
}

func (f *peersFlags) systems(name string) []system {
	rookery := func(label string, nodes int) system {
		return system{label, nodes, func(ctx context.Context) (site.Site, error) {
			return site.StartRookery(ctx, site.RookeryConfig{Binary: f.binary, Label: label, Nodes: nodes, Parent: f.dir, Outgoing: name == "outbound"})
		}}
	}
	peer := func(label string, cfg site.PeersConfig) system {
		cfg.Parent = f.dir
		return system{label, 1, func(ctx context.Context) (site.Site, error) { return site.StartPeers(ctx, cfg) }}
	}
	out := []system{rookery("rookery-1", 1)}
	if f.nodes > 1 {
		out = []system{rookery(fmt.Sprintf("rookery-%d", f.nodes), f.nodes)}
	}
	if f.three {
		out = append(out, rookery("rookery-3", 3))
	}
	if slices.Contains([]string{"imap-5k", "imap-200k"}, name) {
		return append(out, peer("dovecot-maildir", site.PeersConfig{Format: "maildir", LMTPOnly: true}), peer("dovecot-mdbox", site.PeersConfig{Format: "mdbox", LMTPOnly: true}))
	}
	if name == "submission" || name == "outbound" {
		return append(out, peer("postfix+dovecot", site.PeersConfig{Format: "maildir"}))
	}
	return append(out, peer("postfix+dovecot", site.PeersConfig{Format: "maildir"}), peer("dovecot-lmtp", site.PeersConfig{Format: "maildir", LMTPOnly: true}))
}

func (f *peersFlags) run(ctx context.Context, names []string) error {
	if err := f.prepare(); err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{"deliver-4k", "serial", "imap-5k"}
	}
	var list []scenario.Scenario
	for _, name := range names {
		s, err := scenario.Find(name)
		if err != nil {
			return err
		}
		if !s.Peers {
			return fmt.Errorf("%s cannot be run against Postfix and Dovecot", name)
		}
		list = append(list, s)
	}
	if err := site.InstallPeers(ctx, f.options.Progress); err != nil {
		return err
	}
	var runs []report.Run
	for _, s := range list {
		one, err := f.interleave(ctx, s)
		if err != nil {
			return err
		}
		runs = append(runs, one...)
	}
	if err := f.print(runs); err != nil || f.format != "table" {
		return err
	}
	return writeFile("", func(w io.Writer) error { return errors.Join(ratios(w, runs), goals.Table(w, goals.Peers(), runs)) })
}

// interleave takes samples of all systems in turn.
func (f *peersFlags) interleave(ctx context.Context, s scenario.Scenario) ([]report.Run, error) {
	systems := f.systems(s.Name)
	runs := make([]report.Run, len(systems))
	for round := range f.rounds {
		for i, sys := range systems {
			f.options.Progress("%s, round %d of %d: %s", s.Name, round+1, f.rounds, sys.name)
			r, err := f.sample(ctx, s, sys, round)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", s.Name, sys.name, err)
			}
			runs[i].Scenario, runs[i].Site, runs[i].Nodes, runs[i].Quick = s.Name, sys.name, sys.nodes, f.options.Quick
			runs[i].Samples = append(runs[i].Samples, r)
		}
	}
	if !f.fsyncs {
		return runs, nil
	}
	for i, sys := range systems {
		f.options.Progress("%s, syncs: %s", s.Name, sys.name)
		if err := f.syncs(ctx, s, sys, &runs[i].Samples[0]); err != nil {
			return nil, fmt.Errorf("count the syncs of %s on %s: %w", s.Name, sys.name, err)
		}
	}
	return runs, nil
}

// tracedMessages is how many messages a system gets while each of its system calls is traced.
const tracedMessages = 400

// syncs adds what strace counted to a sample, of deliveries: other scenarios have no such figure.
func (f *peersFlags) syncs(ctx context.Context, s scenario.Scenario, sys system, sample *scenario.Result) (err error) {
	if s.Pair == nil {
		return nil
	}
	server, err := sys.start(ctx)
	if err != nil {
		return err
	}
	traced, err := site.Trace(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, traced.Close()) }()
	o := f.options
	o.Run += ".traced"
	if o.Messages = tracedMessages; f.options.Messages > 0 {
		o.Messages = min(o.Messages, f.options.Messages)
	}
	o.Progress = func(string, ...any) {}
	r, err := s.Run(ctx, traced, o)
	if n, ok := r.Get("fsyncs/msg"); ok && err == nil {
		sample.Figures = append(sample.Figures, scenario.Figure{Unit: "strace-syncs/msg", Value: n})
	}
	return err
}

func (f *peersFlags) sample(ctx context.Context, s scenario.Scenario, sys system, round int) (r scenario.Result, err error) {
	server, err := sys.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	o := f.options
	o.Run = fmt.Sprintf("%s.%d", o.Run, round)
	o.Progress = func(string, ...any) {} // the command tells its own
	return s.Run(ctx, server, o)
}

// ratios prints how many times better Rookery is, figure by figure: above 1 is better, whatever the unit.
func ratios(w io.Writer, runs []report.Run) error {
	fmt.Fprintf(w, "\nHow many times better the first system of each scenario is (medians; below 1 is worse)\n")
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	var first report.Run
	for _, r := range runs {
		if r.Scenario != first.Scenario {
			first = r
			continue
		}
		fmt.Fprintf(t, "%s: %s over %s\t\t\n", r.Scenario, first.Site, r.Site)
		other := r.Series()
		for _, a := range first.Series() {
			i := slices.IndexFunc(other, func(s report.Series) bool { return s.Unit == a.Unit })
			if i < 0 || a.Summary.Median == 0 || other[i].Summary.Median == 0 {
				continue
			}
			ratio := other[i].Summary.Median / a.Summary.Median
			if a.Higher {
				ratio = 1 / ratio
			}
			fmt.Fprintf(t, "%s\t%s\t\n", a.Unit, report.Number(ratio))
		}
	}
	return t.Flush()
}
