package ab

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/bench/report"
	"github.com/rookery-mail/rookery/bench/scenario"
	"github.com/rookery-mail/rookery/bench/stats"
)

// compare runs a comparison of made-up builds: B takes slowdown times as long as A. It tells which side began.
func compare(t *testing.T, slowdown, noise float64) ([]Comparison, string) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var order strings.Builder
	list, err := Run(t.Context(), Config{Labels: [2]string{"old<build>", "new"}, Scenarios: []string{"one"}, Rounds: 10, Alpha: 0.05, Threshold: 0.1,
		Progress: func(string, ...any) {},
		Pair: func(_ context.Context, name string, _ int, first Side) (both [2]scenario.Result, _ error) {
			order.WriteString([...]string{"A", "B"}[first])
			for side := range both {
				took := 1 + noise*r.Float64()
				if Side(side) == B {
					took *= slowdown
				}
				both[side] = scenario.Result{Scenario: name, Figures: []scenario.Figure{{Unit: "msg/s", Value: 1 / took, Higher: true, Judged: true},
					{Unit: "cpu", Value: took, Judged: true}, {Unit: "odd", Value: took * took}}}
			}
			return both, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return list, order.String()
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		slowdown, noise float64
		want            stats.Verdict
	}{{1.2, 0.05, stats.Worse}, {1, 0.05, stats.Same}, {0.7, 0.05, stats.Better}, {1.1, 2, stats.Unknown}} {
		list, order := compare(t, c.slowdown, c.noise)
		if got := Outcome(list); got != c.want {
			t.Errorf("slowdown %v, noise %v: %s, want %s", c.slowdown, c.noise, got, c.want)
		}
		if order != "ABABABABAB" {
			t.Errorf("the order is %s", order)
		}
	}
}

func TestReports(t *testing.T) {
	list, _ := compare(t, 1.3, 0.01)
	var text, html, js bytes.Buffer
	if err := errors.Join(Table(&text, report.Machine{}, list), HTML(&html, report.Machine{}, list), JSON(&js, report.Machine{}, list)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Verdict on B: worse") || !strings.Contains(js.String(), `"verdict": "worse"`) {
		t.Errorf("the verdict is missing in\n%s", text.String())
	}
	if strings.Count(html.String(), "<circle") < 60 || strings.Contains(html.String(), "old<build>") || strings.Contains(html.String(), "http") {
		t.Error("the page lacks dots, does not escape labels, or refers to elsewhere")
	}
}

func TestBrokenPromisesAreWorse(t *testing.T) {
	list, _ := compare(t, 1, 0.01)
	list[0].Runs[B].Samples[0].Broken = []string{"1 acknowledged message cannot be read"}
	if got := Outcome(list); got != stats.Worse {
		t.Errorf("a lost message gives %q", got)
	}
}

func TestErrorEndsAComparison(t *testing.T) {
	want := errors.New("it died")
	_, err := Run(t.Context(), Config{Scenarios: []string{"one"}, Rounds: 3, Progress: func(string, ...any) {},
		Pair: func(context.Context, string, int, Side) (both [2]scenario.Result, err error) { return both, want }})
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// TestTurnsDecide: a burst in one of the turns changes the value of a sample, and not the verdict.
func TestTurnsDecide(t *testing.T) {
	result := func(value float64, turns ...float64) scenario.Result {
		return scenario.Result{Figures: []scenario.Figure{{Unit: "cpu", Value: value, Judged: true, Turns: turns}}}
	}
	list, err := Run(t.Context(), Config{Scenarios: []string{"one"}, Rounds: 10, Alpha: 0.05, Threshold: 0.1, Progress: func(string, ...any) {},
		Pair: func(context.Context, string, int, Side) ([2]scenario.Result, error) {
			return [2]scenario.Result{result(1, 1, 1, 1), result(4, 1, 10, 1)}, nil
		}})
	if err != nil || Outcome(list) != stats.Same {
		t.Errorf("%s, %v", Outcome(list), err)
	}
}
