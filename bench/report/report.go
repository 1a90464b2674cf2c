// Package report prints what was measured: as a table to read, as JSON, in Go's benchmark format (which
// benchstat reads), and the comparison of two builds as one HTML file. It measures nothing.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/stats"
)

// Run is every sample of one scenario against one site.
type Run struct {
	Scenario string            `json:"scenario"`
	Site     string            `json:"site"`
	Nodes    int               `json:"nodes"`
	Quick    bool              `json:"quick,omitempty"` // a tenth of everything
	Samples  []scenario.Result `json:"samples"`
}

// Series are the samples of one figure.
type Series struct {
	scenario.Figure
	Values  []float64     `json:"values"`
	Summary stats.Summary `json:"summary"`
}

// Series gathers the figures in the order in which the first sample has them.
func (r Run) Series() []Series {
	var out []Series
	for _, sample := range r.Samples {
		for _, f := range sample.Figures {
			i := find(out, f.Unit)
			if i < 0 {
				out = append(out, Series{Figure: f})
				i = len(out) - 1
			}
			out[i].Values = append(out[i].Values, f.Value)
		}
	}
	for i := range out {
		out[i].Summary = stats.Summarize(out[i].Values)
	}
	return out
}

func find(list []Series, unit string) int {
	for i, s := range list {
		if s.Unit == unit {
			return i
		}
	}
	return -1
}

// Broken lists the promises that the samples saw broken.
func (r Run) Broken() []string {
	var out []string
	for _, s := range r.Samples {
		out = append(out, s.Broken...)
	}
	return out
}

// Table prints runs for people: median, spread and number of samples.
func Table(w io.Writer, machine Machine, runs []Run) error {
	fmt.Fprintf(w, "%s\n", machine)
	for _, r := range runs {
		fmt.Fprintf(w, "\n%s on %s", r.Scenario, r.Site)
		if r.Nodes > 0 {
			fmt.Fprintf(w, ", nodes: %d", r.Nodes)
		}
		fmt.Fprintf(w, ", samples: %d\n", len(r.Samples))
		t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
		for _, s := range r.Series() {
			fmt.Fprintf(t, "  %s\t%s\t%s\t\n", s.Unit, Number(s.Summary.Median), spread(s.Summary))
		}
		if err := t.Flush(); err != nil {
			return fmt.Errorf("print the table: %w", err)
		}
		if len(r.Samples) > 0 {
			for _, n := range r.Samples[0].Notes {
				fmt.Fprintf(w, "  (%s)\n", n)
			}
		}
		for _, b := range r.Broken() {
			fmt.Fprintf(w, "  BROKEN: %s\n", b)
		}
	}
	return nil
}

func spread(s stats.Summary) string {
	if s.N < 2 {
		return ""
	}
	return fmt.Sprintf("± %.0f %%", s.Spread()*100)
}

// Number prints a figure with three significant digits or more.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "n/a"
	case a >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// JSON prints runs for programs.
func JSON(w io.Writer, machine Machine, runs []Run) error {
	type summary struct {
		Run
		Series []Series `json:"series"`
	}
	out := struct {
		Machine Machine   `json:"machine"`
		Runs    []summary `json:"runs"`
	}{Machine: machine}
	for _, r := range runs {
		out.Runs = append(out.Runs, summary{r, r.Series()})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// Read reads what JSON printed.
func Read(r io.Reader) ([]Run, error) {
	var in struct {
		Runs []Run `json:"runs"`
	}
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return nil, fmt.Errorf("it is not what --save or --format json writes: %w", err)
	}
	return in.Runs, nil
}

// GoBench prints every sample as a line of Go's benchmark format.
func GoBench(w io.Writer, machine Machine, runs []Run) error {
	_, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\ncpu: %s\n", machine.OS, machine.Arch, machine.CPU)
	for _, r := range runs {
		for _, sample := range r.Samples {
			if err != nil {
				return fmt.Errorf("print: %w", err)
			}
			line := fmt.Sprintf("Benchmark%s/site=%s/nodes=%d 1", r.Scenario, r.Site, r.Nodes)
			for _, f := range sample.Figures {
				line += fmt.Sprintf(" %.6g %s", f.Value, f.Unit)
			}
			_, err = fmt.Fprintln(w, line)
		}
	}
	return err
}
