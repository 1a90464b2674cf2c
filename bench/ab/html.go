package ab

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/rookery-mail/rookery/bench/report"
)

// page is the whole report in one file: no script, no style sheet and no picture from elsewhere.
const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>rookery-bench: {{.Verdict}}</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.25em .7em;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}.worse{color:#b00020;font-weight:bold}.better{color:#00712c;font-weight:bold}
.unjudged{color:#888}.a{fill:#3465a4}.b{fill:#d9822b}</style></head><body>
<h1>B is: {{.Verdict}}</h1><p>{{.Machine}}</p>
{{range .List}}<h2>{{.Scenario}}</h2>
<p><svg width="12" height="12"><circle class="a" cx="6" cy="6" r="4"/></svg> A = {{index .Labels 0}} ({{len (index .Runs 0).Samples}} samples)
<svg width="12" height="12"><circle class="b" cx="6" cy="6" r="4"/></svg> B = {{index .Labels 1}} ({{len (index .Runs 1).Samples}} samples), taken in pairs</p>
<table><tr><th>figure</th><th>A</th><th>B</th><th>B against A</th><th>p</th><th>verdict</th><th>samples, from 0</th></tr>
{{range .Rows}}<tr{{if not .Judged}} class="unjudged"{{end}}><td>{{.Unit}}</td><td>{{number .Summary.Median}}</td><td>{{number .Other.Summary.Median}}</td>
<td>{{change .}}</td><td>{{printf "%.4f" .Answer.P}}</td><td class="{{.Answer.Verdict}}">{{.Answer.Verdict}}</td><td>{{plot .}}</td></tr>
{{end}}</table>{{range $i, $run := .Runs}}{{range $run.Broken}}<p class="worse">Broken: {{.}}</p>{{end}}{{end}}{{end}}
<p>Medians of the samples. A verdict is Wilcoxon's signed-rank test over the ratios of the pairs with the probability of a false alarm shared among the judged figures of a scenario; "no verdict" means that the noise
could hide a difference that matters. Grey figures are for reading and decide nothing.</p></body></html>
`

// HTML writes the report.
func HTML(w io.Writer, machine report.Machine, list []Comparison) error {
	t, err := template.New("report").Funcs(template.FuncMap{"number": report.Number, "plot": plot, "change": Row.change}).Parse(page)
	if err != nil {
		return fmt.Errorf("parse the report's template: %w", err)
	}
	err = t.Execute(w, map[string]any{"Verdict": Outcome(list), "Machine": machine.String(), "List": list})
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// plot draws the samples of both sides as two rows of dots on one scale that begins at 0, with a line at
// each median.
func plot(r Row) template.HTML {
	const width, height = 260, 34
	most := 0.0
	for _, v := range append(append([]float64{}, r.Values...), r.Other.Values...) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			most = max(most, v)
		}
	}
	if most == 0 {
		most = 1
	}
	x := func(v float64) float64 { return 6 + (width-12)*max(0, min(1, v/most)) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d" role="img">`, width, height)
	row := func(class string, y int, s report.Series) {
		for _, v := range s.Values {
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%d" r="3" fill-opacity=".55"/>`, class, x(v), y)
		}
		m := x(s.Summary.Median)
		fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%d" width="2" height="14"/>`, class, m-1, y-7)
	}
	row("a", 9, r.Series)
	row("b", 25, r.Other)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // only numbers of ours
}
