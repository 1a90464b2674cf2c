// Package goals holds what was measured against what Rookery sets out to reach: a line for each goal, reached,
// not reached or not measured. It measures nothing and knows no threshold of a comparison (package ab).
package goals

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rookery-mail/rookery/bench/report"
)

// Goal is one figure with its bound.
type Goal struct {
	Text  string
	Bound float64
	Least bool // the figure is to be Bound or more; else it is to be below Bound
	// value finds the figure among runs; NaN where they do not hold it.
	value func(runs runs) float64
	// From tells the command that measures it.
	From string
}

// State is what the runs say of a goal.
type State string

// The states.
const (
	Reached     State = "reached"
	NotReached  State = "not reached"
	NotMeasured State = "not measured"
)

// Judge gives the figure, NaN where it was not measured, and what it means.
func (g Goal) Judge(list []report.Run) (float64, State) {
	v := g.value(list)
	switch {
	case math.IsNaN(v):
		return v, NotMeasured
	case g.Least && v >= g.Bound, !g.Least && v < g.Bound:
		return v, Reached
	}
	return v, NotReached
}

// Table prints goals, and how they are measured that were not.
func Table(w io.Writer, goals []Goal, list []report.Run) error {
	fmt.Fprintf(w, "\nAgainst the goals (medians)\n")
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	for _, g := range goals {
		v, state := g.Judge(list)
		bound := "< " + report.Number(g.Bound)
		if g.Least {
			bound = "≥ " + report.Number(g.Bound)
		}
		if state == NotMeasured {
			fmt.Fprintf(t, "  %s\t%s\t\t%s: %s\n", g.Text, bound, state, g.From)
			continue
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", g.Text, bound, report.Number(v), state)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the goals: %w", err)
	}
	if slices.ContainsFunc(list, func(r report.Run) bool { return r.Quick }) {
		fmt.Fprintln(w, "  Quick passes are among these runs: they show that things work, and their figures are rough.")
	}
	return nil
}

// runs finds figures.
type runs []report.Run

// median is that of a figure in the last run that has it; site "" is Rookery under any label, nodes 0 any.
func (r runs) median(scenario, site string, nodes int, unit string) float64 {
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].Scenario != scenario || site != "" && r[i].Site != site || site == "" && !strings.HasPrefix(r[i].Site, "rookery") || nodes > 0 && r[i].Nodes != nodes {
			continue
		}
		for _, s := range r[i].Series() {
			if s.Unit == unit {
				return s.Summary.Median
			}
		}
	}
	return math.NaN()
}

// times tells how many times better Rookery is than the best of the peers, all of which must be measured.
func (r runs) times(scenario, rookery, unit string, higher bool, peers ...string) float64 {
	best := math.NaN()
	for i, p := range peers {
		v := r.median(scenario, p, 0, unit)
		if !higher {
			v = 1 / v
		}
		if i == 0 || math.IsNaN(v) || v > best {
			best = v
		}
		if math.IsNaN(best) {
			return best
		}
	}
	ours := r.median(scenario, rookery, 0, unit)
	if !higher {
		ours = 1 / ours
	}
	return ours / best
}
