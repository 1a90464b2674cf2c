package ab

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/stats"
)

// Table prints comparisons for people.
func Table(w io.Writer, machine report.Machine, list []Comparison) error {
	fmt.Fprintf(w, "%s\n", machine)
	for _, c := range list {
		fmt.Fprintf(w, "\n%s: A = %s, B = %s, pairs: %d\n", c.Scenario, c.Labels[A], c.Labels[B], len(c.Runs[A].Samples))
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "\tA\t\tB\t\tB against A\tp\tverdict\t\n")
		for _, r := range c.Rows {
			fmt.Fprintf(t, "%s\t%s\t± %.0f %%\t%s\t± %.0f %%\t%s\t%.4f\t%s\t\n", r.Unit, report.Number(r.Summary.Median), r.Summary.Spread()*100,
				report.Number(r.Other.Summary.Median), r.Other.Summary.Spread()*100, r.change(), r.Answer.P, r.verdict())
		}
		if err := t.Flush(); err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
		for side, run := range c.Runs {
			for _, b := range run.Broken() {
				fmt.Fprintf(w, "  BROKEN with %s: %s\n", c.Labels[side], b)
			}
		}
	}
	fmt.Fprintf(w, "\nVerdict on B: %s\n", Outcome(list))
	return nil
}

// change is the difference where the samples show one: a number that noise may have made is not shown.
func (r Row) change() string {
	if r.Answer.Verdict == stats.Unknown {
		return fmt.Sprintf("%+.0f … %+.0f %%", r.Answer.Low*100, r.Answer.High*100)
	}
	return fmt.Sprintf("%+.1f %%", r.Answer.Change*100)
}

func (r Row) verdict() string {
	if !r.Judged {
		return "(" + string(r.Answer.Verdict) + ")"
	}
	return string(r.Answer.Verdict)
}

// JSON prints comparisons for programs.
func JSON(w io.Writer, machine report.Machine, list []Comparison) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Machine     report.Machine `json:"machine"`
		Verdict     stats.Verdict  `json:"verdict"`
		Comparisons []Comparison   `json:"comparisons"`
	}{machine, Outcome(list), list})
	if err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}
