// Package ab compares two systems: their samples are taken in pairs, so that whatever else the machine
// does meets both, and a verdict is given only where the pairs carry it. It does not know what it
// compares: the caller takes the samples.
package ab

import (
	"context"
	"fmt"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/stats"
)

// Side is A or B.
type Side int

// The sides.
const (
	A Side = iota
	B
)

// Config says what is compared.
type Config struct {
	Labels    [2]string
	Scenarios []string
	Rounds    int     // samples of each side
	Nodes     int     // for the report
	Alpha     float64 // probability of one false alarm in each scenario
	Threshold float64 // part of A below which a difference does not matter
	// Pair takes one sample of each side, as near to each other as it can; first is the side that begins.
	Pair     func(ctx context.Context, scenario string, round int, first Side) ([2]scenario.Result, error)
	Progress func(format string, args ...any)
}

// Row is one figure of both sides.
type Row struct {
	report.Series               // of A
	Other         report.Series // of B
	Answer        stats.Answer
}

// Comparison is the outcome for one scenario.
type Comparison struct {
	Scenario string        `json:"scenario"`
	Labels   [2]string     `json:"labels"`
	Runs     [2]report.Run `json:"runs"`
	Rows     []Row         `json:"rows"`
}

// Run takes the pairs. B begins in every second, so that neither is always the one that comes after a pause.
func Run(ctx context.Context, cfg Config) ([]Comparison, error) {
	var out []Comparison
	for _, name := range cfg.Scenarios {
		c := Comparison{Scenario: name, Labels: cfg.Labels}
		for side := range c.Runs {
			c.Runs[side] = report.Run{Scenario: name, Site: cfg.Labels[side], Nodes: cfg.Nodes}
		}
		for round := range cfg.Rounds {
			cfg.Progress("%s, round %d of %d", name, round+1, cfg.Rounds)
			both, err := cfg.Pair(ctx, name, round, Side(round%2))
			if err != nil {
				return out, fmt.Errorf("%s: %w", name, err)
			}
			for side := range both {
				c.Runs[side].Samples = append(c.Runs[side].Samples, both[side])
			}
		}
		out = append(out, c)
	}
	judge(out, cfg)
	return out, nil
}

// judge shares the accepted probability of a false alarm among the judged figures of a scenario (Bonferroni):
// twenty figures would else raise an alarm for nothing. It is not shared among scenarios, as the probability of ten
// pairs that all point one way, 0.002, could not pass then.
func judge(list []Comparison, cfg Config) {
	for i := range list {
		list[i].Rows = pair(list[i].Runs)
		judged := 0
		for _, row := range list[i].Rows {
			if row.Judged {
				judged++
			}
		}
		for j := range list[i].Rows {
			row := &list[i].Rows[j]
			q := stats.Question{HigherIsBetter: row.Higher, Alpha: cfg.Alpha / float64(max(1, judged)), Threshold: cfg.Threshold}
			row.Answer = q.Judge(ratios(list[i].Runs, row.Unit))
		}
	}
}

// ratios are those of B to A of one figure, one of each round: of the turns that followed each other, the middle one,
// else of the samples.
func ratios(runs [2]report.Run, unit string) []float64 {
	var out []float64
	for i := range runs[A].Samples {
		a, okA := runs[A].Samples[i].Figure(unit)
		b, okB := runs[B].Samples[i].Figure(unit)
		switch {
		case !okA || !okB:
		case len(a.Turns) > 0 && len(a.Turns) == len(b.Turns):
			out = append(out, stats.Ratio(a.Turns, b.Turns))
		default:
			out = append(out, stats.Ratio([]float64{a.Value}, []float64{b.Value}))
		}
	}
	return out
}

// pair joins the figures that both sides have.
func pair(runs [2]report.Run) []Row {
	var out []Row
	other := runs[B].Series()
	for _, s := range runs[A].Series() {
		for _, o := range other {
			if o.Unit == s.Unit {
				out = append(out, Row{Series: s, Other: o})
			}
		}
	}
	return out
}

// Outcome is the verdict on all judged figures: Worse if one is worse, else Unknown if one is unknown,
// else Better if one is better, else Same. Broken promises of B count as worse.
func Outcome(list []Comparison) stats.Verdict {
	seen := map[stats.Verdict]bool{}
	for _, c := range list {
		if len(c.Runs[B].Broken()) > len(c.Runs[A].Broken()) {
			seen[stats.Worse] = true
		}
		for _, row := range c.Rows {
			if row.Judged {
				seen[row.Answer.Verdict] = true
			}
		}
	}
	for _, v := range []stats.Verdict{stats.Worse, stats.Unknown, stats.Better} {
		if seen[v] {
			return v
		}
	}
	return stats.Same
}
