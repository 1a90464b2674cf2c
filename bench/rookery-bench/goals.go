package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/rookery-mail/rookery/bench/goals"
	"github.com/rookery-mail/rookery/bench/report"
)

func goalsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "goals FILE…", Short: "Hold runs that were saved against what Rookery sets out to reach",
		Long: "goals reads what run and peers wrote with --save, or with --format json, and prints each goal: reached, not\n" +
			"reached, or not measured and which command measures it. Of a figure in several files, the last counts.",
		Example: "  rookery-bench run deliver-4k floor --save one.json\n" +
			"  rookery-bench peers --three --save peers.json\n  rookery-bench goals one.json peers.json",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var all []report.Run
			for _, name := range args {
				runs, err := readRuns(name)
				if err != nil {
					return err
				}
				all = append(all, runs...)
			}
			return goals.Table(cmd.OutOrStdout(), goals.All(), all)
		},
	}
}

func readRuns(name string) ([]report.Run, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read saved runs: %w", err)
	}
	defer f.Close()
	runs, err := report.Read(f)
	if err != nil {
		return nil, fmt.Errorf("read saved runs: %s: %w", name, err)
	}
	return runs, nil
}
