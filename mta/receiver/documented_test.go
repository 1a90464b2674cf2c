package receiver_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/receiver"
)

var update = flag.Bool("update", false, "write the table of limits into docs/sending.md")

// TestDocumented: the table of limits in docs/sending.md is that of the code.
func TestDocumented(t *testing.T) {
	const path, head = "../../docs/sending.md", "| receiver | connections | messages over one | messages a minute |\n|---|---|---|---|\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), head)
	_, after, ok2 := strings.Cut(rest, "| any other |")
	if !ok || !ok2 {
		t.Fatal("no table of limits")
	}
	var rows strings.Builder
	for _, site := range receiver.Sites() {
		l := receiver.Known()[site]
		rate := "–"
		if l.Rate > 0 {
			rate = fmt.Sprint(l.Rate)
		}
		fmt.Fprintf(&rows, "| `%s` | %d | %d | %s |\n", site, l.Connections, l.Messages, rate)
	}
	want := before + head + rows.String() + "| any other |" + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("it is another: run go test ./mta/receiver -update")
	}
}
