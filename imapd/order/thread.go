package order

import (
	"cmp"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/message"
)

// Letter is what threading looks at of a message.
type Letter struct {
	UID        index.UID
	ID         string   // of Message-ID, "" where it has none
	References []string // oldest first; of In-Reply-To where there is no References field
	Subject    []byte   // raw
	Sent       time.Time
	Arrived    time.Time // the internal date
}

// Thread is a message with the answers to it. UID is 0 where a message is only known by what refers to
// it; such a one has more than one child.
type Thread struct {
	UID      index.UID
	Children []*Thread

	parent        *Thread
	sent, arrived time.Time
	subject       string // the base subject, folded
	reply         bool
}

// Is a dummy: a place for a message that is not there.
func (t *Thread) dummy() bool { return t.UID == 0 }

func newThread(l *Letter) *Thread {
	t := &Thread{}
	t.become(l)
	return t
}

func (t *Thread) become(l *Letter) {
	t.UID, t.sent, t.arrived = l.UID, l.Sent, l.Arrived
	base, reply := message.BaseSubject(l.Subject)
	t.subject, t.reply = Fold(base), reply
}

// compare puts messages in the order of their dates, then of their numbers.
func compare(a, b *Thread) int {
	if c := a.sent.Compare(b.sent); c != 0 {
		return c
	}
	return cmp.Compare(a.UID, b.UID)
}

// OrderedSubject is THREAD=ORDEREDSUBJECT (RFC 5256, section 3): messages of one subject, the first of
// them with all others as its children.
func OrderedSubject(letters []Letter) []*Thread {
	all := make([]*Thread, len(letters))
	for i := range letters {
		all[i] = newThread(&letters[i])
	}
	slices.SortFunc(all, compare)
	bySubject := make(map[string]*Thread)
	var roots []*Thread
	for _, t := range all {
		if first := bySubject[t.subject]; first != nil {
			first.Children = append(first.Children, t)
			continue
		}
		bySubject[t.subject] = t
		roots = append(roots, t)
	}
	return roots
}

// References is THREAD=REFERENCES (RFC 5256, section 3): by references, then by subject.
func References(letters []Letter) []*Thread {
	roots := prune(link(letters))
	settle(roots)
	roots = mergeSubjects(roots)
	settle(roots)
	return roots
}

// Refs is THREAD=REFS (draft-ietf-morg-inthread, section 4): by references alone; threads come in the
// order in which their latest messages arrived.
func Refs(letters []Letter) []*Thread {
	roots := prune(link(letters))
	settle(roots)
	type dated struct {
		*Thread
		latest time.Time
	}
	all := make([]dated, len(roots))
	for i, t := range roots {
		all[i] = dated{t, latest(t)}
	}
	slices.SortStableFunc(all, func(a, b dated) int { return a.latest.Compare(b.latest) })
	for i := range all {
		roots[i] = all[i].Thread
	}
	return roots
}

func latest(t *Thread) time.Time {
	last := t.arrived
	for _, c := range t.Children {
		if l := latest(c); l.After(last) {
			last = l
		}
	}
	return last
}

// maxAncestors bounds how deep answers are nested, and so the work for a message.
const maxAncestors = 1000

// link makes trees of references (step 1). It returns all nodes in the order in which they were first met.
func link(letters []Letter) []*Thread {
	known := make(map[string]*Thread, len(letters))
	nodes := make([]*Thread, 0, len(letters))
	named := func(id string) *Thread {
		t := known[id]
		if t == nil {
			t = &Thread{}
			known[id] = t
			nodes = append(nodes, t)
		}
		return t
	}
	for i := range letters {
		l := &letters[i]
		var t *Thread
		if l.ID != "" {
			t = named(l.ID)
		}
		if t == nil || !t.dummy() { // no id, or one that another message has: it is one of its own
			t = &Thread{}
			nodes = append(nodes, t)
		}
		t.become(l)
		var before *Thread
		for _, id := range l.References {
			ref := named(id)
			if before != nil && ref.parent == nil {
				ref.attach(before)
			}
			before = ref
		}
		// What the message itself says counts more than what others said of it.
		t.parent = nil
		if before != nil {
			t.attach(before)
		}
	}
	return nodes
}

// attach makes t a child of parent, unless that would make a loop.
func (t *Thread) attach(parent *Thread) {
	steps := 0
	for p := parent; p != nil; p = p.parent {
		if steps++; p == t || steps > maxAncestors {
			return
		}
	}
	t.parent = parent
}

// prune gives the roots, without places for messages that are not there (steps 2 and 3).
func prune(nodes []*Thread) []*Thread {
	root := &Thread{}
	for _, t := range nodes {
		parent := t.parent
		if parent == nil {
			parent = root
		}
		parent.Children = append(parent.Children, t)
	}
	var out []*Thread
	for _, t := range root.Children {
		t.Children = without(t.Children)
		switch {
		case !t.dummy(), len(t.Children) > 1:
			out = append(out, t)
		default: // none, or the one that takes its place
			out = append(out, t.Children...)
		}
	}
	return out
}

// without gives siblings with dummies replaced by their children.
func without(siblings []*Thread) []*Thread {
	var out []*Thread
	for _, t := range siblings {
		t.Children = without(t.Children)
		if t.dummy() {
			out = append(out, t.Children...)
		} else {
			out = append(out, t)
		}
	}
	return out
}

// settle puts siblings at all levels in the order of their dates (steps 4 and 6). A dummy has the date of
// its first child.
func settle(siblings []*Thread) {
	for _, t := range siblings {
		settle(t.Children)
		if t.dummy() && len(t.Children) > 0 {
			t.sent = t.Children[0].sent
		}
	}
	slices.SortStableFunc(siblings, func(a, b *Thread) int {
		if c := a.sent.Compare(b.sent); c != 0 {
			return c
		}
		return cmp.Compare(a.first(), b.first())
	})
}

// first is the message that stands for a thread.
func (t *Thread) first() index.UID {
	if t.dummy() && len(t.Children) > 0 {
		return t.Children[0].UID
	}
	return t.UID
}

// topic is the subject of a thread: that of its first message.
func (t *Thread) topic() string {
	if t.dummy() && len(t.Children) > 0 {
		return t.Children[0].subject
	}
	return t.subject
}

// mergeSubjects joins threads of one subject (step 5).
//
// Invariant: where neither of two threads goes under the other, the held one came first, and is in out.
func mergeSubjects(roots []*Thread) []*Thread {
	table := make(map[string]*Thread)
	for _, t := range roots {
		subject := t.topic()
		if subject == "" {
			continue
		}
		held := table[subject]
		if held == nil || !held.dummy() && (t.dummy() || held.reply && !t.reply) {
			table[subject] = t
		}
	}
	out := make([]*Thread, 0, len(roots))
	place := make(map[*Thread]int) // of roots in out
	for _, t := range roots {
		held := table[t.topic()]
		if held == nil || held == t {
			place[t] = len(out)
			out = append(out, t)
			continue
		}
		switch {
		case held.dummy() && t.dummy():
			held.Children = append(held.Children, t.Children...)
		case held.dummy(), t.reply && !held.reply:
			held.Children = append(held.Children, t)
		default: // both are answers, or neither is: a dummy over both, in the place of the one before
			both := &Thread{Children: []*Thread{held, t}}
			table[held.topic()] = both
			place[both] = place[held]
			out[place[both]] = both
		}
	}
	return out
}
