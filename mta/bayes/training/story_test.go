package training

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/bayes/bayespb"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestStory carries out testdata/story.txt, and holds what comes of each line against the lines below it.
func TestStory(t *testing.T) {
	const path = "testdata/story.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, limits{account: 6, partition: 8, remembered: 3})
	var out bytes.Buffer
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue // what came of it
		}
		fmt.Fprintln(&out, line)
		if line != "" && line[0] != '#' {
			fmt.Fprint(&out, w.step(strings.Fields(line)))
		}
	}
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(out.Bytes(), text) {
		t.Errorf("the story went otherwise:\n%s", out.Bytes())
	}
}

// step carries out a line.
func (w *world) step(words []string) string {
	w.t.Helper()
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	class := func(s string) bayespb.Class {
		return bayespb.Class(bayespb.Class_value["CLASS_"+strings.ToUpper(s)])
	}
	var res *bayespb.TrainResult
	switch words[0] {
	case "learn": // ACCOUNT MESSAGE CLASS SHARED TOKEN...
		var ids []uint64
		for _, s := range words[5:] {
			ids = append(ids, number(s))
		}
		res = w.learn(number(words[1]), words[2], class(words[3]), uint32(number(words[4])), ids...)
	case "retract": // ACCOUNT MESSAGE CLASS
		res = w.retract(number(words[1]), words[2], class(words[3]))
	case "forget": // ACCOUNT
		res = w.do(&bayespb.TrainCommand{Action: bayespb.Action_ACTION_FORGET, Account: number(words[1])})
	case "wait": // DURATION
		d, err := time.ParseDuration(words[1])
		if err != nil {
			w.t.Fatal(err)
		}
		w.now = w.now.Add(d)
		return ""
	case "show": // ACCOUNT
		return "  " + w.dump(index.AccountID(number(words[1]))) + "\n"
	default:
		w.t.Fatalf("what is %q?", words)
	}
	return fmt.Sprintf("  changed=%v was=%v shared=%v%s\n", res.Changed, res.Was, res.Shared, res.Refused)
}
