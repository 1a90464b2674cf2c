package engine_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index"
)

// TestContextsFollow: a client that believes each ADDTO and REMOVEFROM knows what a new search finds, whatever
// another session does and whenever it is told.
func TestContextsFollow(t *testing.T) {
	st := newStage(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		st.deliver(2, index.Inbox, "plain")
	}
	st.happen(strings.Fields("user C1 2"))
	st.happen(strings.Fields("user C2 2"))
	c1, c2 := st.actors["1"], st.actors["2"]
	ask := func(a *actor, line string) string {
		a.say(line + "\r\n")
		return a.said()
	}
	ask(c1, "a SELECT INBOX")
	ask(c2, "a SELECT INBOX")
	programs := []string{"FLAGGED UNSEEN", "OR SEEN NOT FLAGGED", "ALL", "UNDELETED LARGER 10", "TEXT hello"}
	known := make([]map[string]bool, len(programs))
	for i, p := range programs {
		known[i] = map[string]bool{}
		believe(known, ask(c1, fmt.Sprintf("t%d UID SEARCH RETURN (ALL UPDATE) %s", i, p)))
	}
	for step := range 300 {
		flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "$Label"}[random.IntN(4)]
		sign := []string{"+", "-"}[random.IntN(2)]
		switch op := random.IntN(10); {
		case op < 6:
			actor := []*actor{c1, c2}[random.IntN(2)]
			believe(known, ask(actor, fmt.Sprintf("s UID STORE %d:%d %sFLAGS.SILENT (%s)", 1+random.IntN(20), 1+random.IntN(30), sign, flag)))
		case op == 6:
			st.deliver(2, index.Inbox, []string{"plain", "html"}[random.IntN(2)])
		case op == 7:
			ask(c2, "x EXPUNGE")
		case op == 8:
			believe(known, ask(c1, "f FETCH 1 FLAGS"))
		default:
			believe(known, ask(c1, "n NOOP"))
			for i, p := range programs {
				now := make([]map[string]bool, len(programs))
				now[i] = map[string]bool{}
				believe(now, strings.ReplaceAll(ask(c1, "u UID SEARCH RETURN (ALL) "+p), `"u"`, fmt.Sprintf(`"t%d"`, i)))
				if got, want := fmt.Sprint(known[i]), fmt.Sprint(now[i]); got != want {
					t.Fatalf("step %d: of %s the client knows %s, there are %s", step, p, got, want)
				}
			}
		}
	}
	c1.hangUp()
	c2.hangUp()
}

var contextLine = regexp.MustCompile(`^\* ESEARCH \(TAG "t(\d)"\) UID(.*)\r\n`)

// believe applies the ESEARCH responses of updates, and of first results, to what is known of each program.
func believe(known []map[string]bool, said string) {
	for line := range strings.Lines(said) {
		m := contextLine.FindStringSubmatch(line)
		if m == nil || known[m[1][0]-'0'] == nil {
			continue
		}
		words := strings.Fields(strings.NewReplacer("(", "", ")", "").Replace(m[2]))
		for len(words) > 0 {
			set, rest := "", 2
			if words[0] != "ALL" {
				rest = 3 // with a position
			}
			set = words[rest-1]
			for part := range slices.Values(strings.Split(set, ",")) {
				var lo, hi int
				if n, _ := fmt.Sscanf(part, "%d:%d", &lo, &hi); n == 1 {
					hi = lo
				}
				for u := lo; u <= hi; u++ {
					if key := fmt.Sprint(u); words[0] == "REMOVEFROM" {
						delete(known[m[1][0]-'0'], key)
					} else {
						known[m[1][0]-'0'][key] = true
					}
				}
			}
			words = words[rest:]
		}
	}
}

// TestSortContextsFollow: a client that carries out each ADDTO and REMOVEFROM at its position has the order that a new
// SORT gives.
func TestSortContextsFollow(t *testing.T) {
	st := newStage(t)
	random := rand.New(rand.NewPCG(3, 4))
	deliver := func() {
		subject := []string{"alpha", "bravo", "Re: bravo", "charlie", "Delta"}[random.IntN(5)]
		st.deliverText(2, index.Inbox, fmt.Appendf(nil, "From: a@example.org\nSubject: %s\n\n%s", subject, strings.Repeat("x", random.IntN(5))))
	}
	for range 20 {
		deliver()
	}
	st.happen(strings.Fields("user C1 2"))
	st.happen(strings.Fields("user C2 2"))
	c1, c2 := st.actors["1"], st.actors["2"]
	ask := func(a *actor, line string) string {
		a.say(line + "\r\n")
		return a.said()
	}
	ask(c1, "a SELECT INBOX")
	ask(c2, "a SELECT INBOX")
	programs := []string{"(SUBJECT) UTF-8 UNSEEN", "(SIZE REVERSE SUBJECT) UTF-8 ALL", "(REVERSE ARRIVAL) UTF-8 NOT FLAGGED"}
	known := make([][]string, len(programs))
	for i, p := range programs {
		follow(t, known, ask(c1, fmt.Sprintf("t%d UID SORT RETURN (ALL UPDATE) %s", i, p)))
	}
	for step := range 300 {
		flag := []string{`\Seen`, `\Flagged`, `\Deleted`}[random.IntN(3)]
		sign := []string{"+", "-"}[random.IntN(2)]
		switch op := random.IntN(10); {
		case op < 5:
			actor := []*actor{c1, c2}[random.IntN(2)]
			follow(t, known, ask(actor, fmt.Sprintf("s UID STORE %d:%d %sFLAGS.SILENT (%s)", 1+random.IntN(20), 1+random.IntN(40), sign, flag)))
		case op < 7:
			deliver()
		case op == 7:
			ask(c2, "x EXPUNGE")
		case op == 8:
			follow(t, known, ask(c1, "f FETCH 1 FLAGS"))
		default:
			follow(t, known, ask(c1, "n NOOP"))
			for i, p := range programs {
				now := make([][]string, len(programs))
				follow(t, now, strings.ReplaceAll(ask(c1, "u UID SORT RETURN (ALL) "+p), `"u"`, fmt.Sprintf(`"t%d"`, i)))
				if got, want := fmt.Sprint(known[i]), fmt.Sprint(now[i]); got != want {
					t.Fatalf("step %d: of %s the client knows %s, there are %s", step, p, got, want)
				}
			}
		}
	}
	c1.hangUp()
	c2.hangUp()
}

// follow carries out the ESEARCH responses of updates, and of first results, on lists.
func follow(t *testing.T, known [][]string, said string) {
	t.Helper()
	for line := range strings.Lines(said) {
		m := contextLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		list := &known[m[1][0]-'0']
		op := ""
		words := strings.Fields(strings.NewReplacer("(", "", ")", "").Replace(m[2]))
		for len(words) > 0 {
			switch words[0] {
			case "ALL", "ADDTO", "REMOVEFROM":
				op, words = words[0], words[1:]
				continue
			}
			if op == "ALL" {
				*list, words = uids(words[0]), words[1:]
				continue
			}
			var at int
			fmt.Sscan(words[0], &at)
			set := uids(words[1])
			words = words[2:]
			switch {
			case at < 1 || at > len(*list)+1:
				t.Fatalf("there is no position %d of %d: %s", at, len(*list), line)
			case op == "ADDTO":
				*list = slices.Insert(slices.Clone(*list), at-1, set...)
			case len(*list) < at-1+len(set) || !slices.Equal((*list)[at-1:at-1+len(set)], set):
				t.Fatalf("%v is not at %d of %v: %s", set, at, *list, line)
			default:
				*list = slices.Delete(slices.Clone(*list), at-1, at-1+len(set))
			}
		}
	}
}

// uids gives the members of a set as it is written, in its order.
func uids(set string) (out []string) {
	for _, part := range strings.Split(set, ",") {
		var lo, hi int
		if n, _ := fmt.Sscanf(part, "%d:%d", &lo, &hi); n == 1 {
			hi = lo
		}
		for u := lo; u <= hi; u++ {
			out = append(out, fmt.Sprint(u))
		}
	}
	return out
}
