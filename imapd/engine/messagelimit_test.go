package engine_test

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// TestPortions: a client that asks again as RFC 9738 says is told of each message once, from the highest UID down
// until all that is left is within the limit, and finds what a client without a limit finds.
func TestPortions(t *testing.T) {
	portions := 0
	for seed := range int64(4) {
		st, rnd := newStage(t), rand.New(rand.NewSource(seed))
		for range 40 {
			st.deliverText(2, "INBOX", randomLetter(rnd))
		}
		whole := st.client("1", st.store)
		st.ask(whole, "SELECT INBOX")
		st.ask(whole, fmt.Sprintf("STORE %d:%d,40 +FLAGS (\\Deleted)", 1+rnd.Intn(20), 1+rnd.Intn(20)))
		st.ask(whole, "EXPUNGE")
		st.limit(1+rnd.Intn(15), 0)
		some := st.client("2", st.store)
		st.ask(some, "SELECT INBOX")

		all := numbersOf(st.ask(whole, "UID FETCH 1:* UID"), "* %d FETCH (UID %d)")
		slices.Reverse(all)
		for _, items := range []string{"UID", "(UID PREVIEW)", "(UID RFC822.SIZE)"} {
			var told []uint32
			for top := uint32(math.MaxUint32); top != 0; {
				answer := st.ask(some, fmt.Sprintf("UID FETCH 1:%d %s", top, items))
				portion := numbersOf(answer, "* %d FETCH (UID %d")
				portions++
				if top = lowestOf(t, answer, st.config.MessageLimit); top != 0 {
					top--
				} else {
					slices.Reverse(portion) // all that was left, told as always
				}
				told = append(told, portion...)
			}
			if !slices.Equal(told, all) {
				t.Errorf("seed %d: UID FETCH %s, with a limit of %d, told of %v, want %v", seed, items, st.config.MessageLimit, told, all)
			}
		}
		for range 60 {
			key := randomKey(rnd, 2)
			want := foundOf(t, st.ask(whole, "UID SEARCH CHARSET UTF-8 "+key))
			var got []uint32
			for top := uint32(math.MaxUint32); top != 0; {
				answer := st.ask(some, fmt.Sprintf("UID SEARCH CHARSET UTF-8 UIDBEFORE %d %s", top, key))
				got = append(foundOf(t, answer), got...)
				portions++
				top = lowestOf(t, answer, st.config.MessageLimit)
			}
			if !slices.Equal(got, want) {
				t.Errorf("seed %d: %q, with a limit of %d, found %v, want %v", seed, key, st.config.MessageLimit, got, want)
			}
		}
		whole.hangUp()
		some.hangUp()
	}
	if portions < 4*(63+20) {
		t.Errorf("only %d commands: the limit did not matter", portions)
	}
}

// TestPortionsOfBatches: the order holds over the batches in which a long FETCH reads, and \Seen is set of what is told.
func TestPortionsOfBatches(t *testing.T) {
	const messages, limit = 230, 220
	st := newStage(t)
	for range messages {
		st.deliver(2, "INBOX", "plain")
	}
	st.limit(limit, 0)
	a := st.client("1", st.store)
	st.ask(a, "SELECT INBOX")
	answer := st.ask(a, "UID FETCH 1:* (UID BODY[HEADER.FIELDS (SUBJECT)])")
	var want []uint32
	for u := uint32(messages); u > messages-limit; u-- {
		want = append(want, u)
	}
	if got := numbersOf(answer, "* %d FETCH (UID %d"); !slices.Equal(got, want) {
		t.Errorf("told of %v", got)
	}
	if got := lowestOf(t, answer, limit); got != messages-limit+1 {
		t.Errorf("the lowest is said to be %d", got)
	}
	if got := foundOf(t, st.ask(a, "UID SEARCH UIDBEFORE 13 SEEN")); !slices.Equal(got, []uint32{11, 12}) {
		t.Errorf("seen are %v and all above", got)
	}
	a.hangUp()
}

// TestAppendsAtOnce: one APPEND brings 500 messages at most; who was told of a limit is told this one in its words.
func TestAppendsAtOnce(t *testing.T) {
	st := newStage(t)
	many := "x APPEND INBOX" + strings.Repeat(" {9+}\r\nA: b\r\n\r\nx", 501) + "\r\n"
	for i, c := range []struct {
		messages, saves int
		want            string
	}{{0, 0, "x NO [LIMIT] "}, {1000, 0, "x NO [MESSAGELIMIT 500] "}, {0, 1000, "x NO [MESSAGELIMIT 500] "}, {499, 0, "x NO [MESSAGELIMIT 499] "}} {
		st.limit(c.messages, c.saves)
		a := st.client(fmt.Sprint(i), st.store)
		a.say(many)
		if got := a.said(); !strings.HasPrefix(got, c.want) {
			t.Errorf("with limits of %d and %d: %s", c.messages, c.saves, got)
		}
		a.hangUp()
	}
}

// ask has a client say a command, and gives the answer.
func (st *stage) ask(a *actor, command string) string {
	st.t.Helper()
	a.say("x " + command + "\r\n")
	answer := a.said()
	if !strings.Contains(answer, "x OK ") {
		st.t.Fatalf("%q was answered %q", command, answer)
	}
	return answer
}

// lowestOf is the UID in the MESSAGELIMIT code of an answer, 0 without one.
func lowestOf(t *testing.T, answer string, limit int) uint32 {
	_, rest, ok := strings.Cut(answer, "x OK [MESSAGELIMIT ")
	if !ok {
		return 0
	}
	var n int
	var uid uint32
	if _, err := fmt.Sscanf(rest, "%d %d]", &n, &uid); err != nil || n != limit {
		t.Fatalf("the limit is %d, the answer %q: %v", limit, answer, err)
	}
	return uid
}

// numbersOf gives the second number of each line that has a form of two.
func numbersOf(answer, form string) (out []uint32) {
	for line := range strings.Lines(answer) {
		var first, second uint32
		if n, _ := fmt.Sscanf(line, form, &first, &second); n == 2 {
			out = append(out, second)
		}
	}
	return out
}

// foundOf gives the numbers of a SEARCH response.
func foundOf(t *testing.T, answer string) (out []uint32) {
	for line := range strings.Lines(answer) {
		list, ok := strings.CutPrefix(line, "* SEARCH")
		if !ok {
			continue
		}
		for _, word := range strings.Fields(list) {
			var u uint32
			if _, err := fmt.Sscan(word, &u); err != nil {
				t.Fatal(answer)
			}
			out = append(out, u)
		}
	}
	return out
}
