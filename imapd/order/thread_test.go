package order

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/index"
)

// shape writes trees as THREAD does, a dummy as "*".
func shape(threads []*Thread) string {
	var b strings.Builder
	for _, t := range threads {
		b.WriteByte('(')
		if t.dummy() {
			b.WriteByte('*')
		} else {
			fmt.Fprint(&b, t.UID)
		}
		b.WriteString(shape(t.Children))
		b.WriteByte(')')
	}
	return b.String()
}

// letters reads "id<ref,ref subject" each; message n is sent at n.
func letters(lines ...string) []Letter {
	var out []Letter
	for i, line := range lines {
		head, subject, _ := strings.Cut(line, " ")
		id, refs, _ := strings.Cut(head, "<")
		at := time.Unix(int64(i+1), 0)
		l := Letter{UID: index.UID(i + 1), ID: id, Subject: []byte(subject), Sent: at, Arrived: at}
		if refs != "" {
			l.References = strings.Split(refs, ",")
		}
		out = append(out, l)
	}
	return out
}

func TestThreads(t *testing.T) {
	for _, c := range []struct {
		name, refs, references, subject string
		letters                         []Letter
	}{
		{"empty", "", "", "", nil},
		{"row", "(1(2(3)))", "(1(2(3)))", "(1(2)(3))", letters("a x", "b<a Re: x", "c<a,b Re: x")},
		{"branch", "(1(2)(3))", "(1(2)(3))", "(1(2)(3))", letters("a x", "b<a Re: x", "c<a Re: x")},
		{"gap", "(1(2))", "(1(2))", "(1)(2)", letters("a x", "c<a,b y")},
		{"parent not there", "(*(1)(2))", "(*(1)(2))", "(1(2))", letters("b<a Re: x", "c<a Re: x")},
		{"parent of one not there", "(1)", "(1)", "(1)", letters("b<a Re: x")},
		{"loop", "(2(1))", "(2(1))", "(1(2))", letters("a<b x", "b<a x")},
		{"itself", "(1)", "(1)", "(1)", letters("a<a x")},
		{"same id", "(1)(2(3))", "(1)(2(3))", "(1)(2)(3)", letters("a x", "b y", "b<b z")},
		{"no ids", "(1)(2)", "(*(1)(2))", "(1(2))", letters(" x", " x")},
		{"answer by subject", "(1)(2)", "(1(2))", "(1(2))", letters("a x", "b Re: x")},
		{"answer first", "(1)(2)", "(2(1))", "(1(2))", letters("a Re: x", "b x")},
		{"three alike", "(1)(2)(3)", "(*(1)(2)(3))", "(1(2)(3))", letters("a x", "b x", "c x")},
		{"dummy takes subject", "(1)(*(2)(3))", "(*(1)(2)(3))", "(1(2)(3))", letters("a x", "b<q x", "c<q x")},
		{"two dummies", "(*(1)(2))(*(3)(4))", "(*(1)(2)(3)(4))", "(1(2)(3)(4))", letters("b<q x", "c<q x", "d<r x", "e<r x")},
		{"no subject", "(1)(2)", "(1)(2)", "(1(2))", letters("a ", "b ")},
		{"latest first", "(2)(1(3))", "(1(3))(2)", "(1)(2)(3)", letters("a x", "b y", "c<a z")},
	} {
		for name, got := range map[string][2]string{
			"REFS":           {shape(Refs(c.letters)), c.refs},
			"REFERENCES":     {shape(References(c.letters)), c.references},
			"ORDEREDSUBJECT": {shape(OrderedSubject(c.letters)), c.subject},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: %s is %s, want %s", c.name, name, got[0], got[1])
			}
		}
	}
}

// TestThreadsHoldAll: whatever refers to what, each message is in exactly one place, and the only
// messages that are not there are roots of several.
func TestThreadsHoldAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "messages")
		id := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f"})
		var in []Letter
		for i := range n {
			at := time.Unix(rapid.Int64Range(0, 5).Draw(t, "sent"), 0)
			in = append(in, Letter{UID: index.UID(i + 1), ID: id.Draw(t, "id"), Sent: at, Arrived: at,
				References: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}), 0, 4).Draw(t, "refs"),
				Subject:    []byte(rapid.SampledFrom([]string{"", "x", "Re: x", "y", "Re: y"}).Draw(t, "subject"))})
		}
		for name, arrange := range map[string]func([]Letter) []*Thread{"refs": Refs, "references": References, "subject": OrderedSubject} {
			seen := map[index.UID]int{}
			var walk func([]*Thread, int)
			walk = func(threads []*Thread, depth int) {
				for _, th := range threads {
					if th.dummy() && len(th.Children) < 2 {
						t.Fatalf("%s: a dummy with %d children", name, len(th.Children))
					}
					if !th.dummy() {
						seen[th.UID]++
					}
					walk(th.Children, depth+1)
				}
			}
			walk(arrange(in), 0)
			for _, l := range in {
				if seen[l.UID] != 1 {
					t.Fatalf("%s: message %d is in %d places", name, l.UID, seen[l.UID])
				}
			}
		}
	})
}
