package lincheck

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
)

// The mailboxes that clients use.
const (
	inbox = iota
	archive
	boxes
)

var boxNames = [boxes]string{index.Inbox, "Archive"}

type message struct {
	uid     index.UID
	flags   index.Flags
	content int
	modSeq  index.ModSeq
}

// box is a mailbox of the model. Its messages are in UID order and never written to.
type box struct {
	next     index.UID
	modSeq   index.ModSeq
	messages []message
}

type delivered struct {
	content int
	uid     index.UID
}

// account is the state of the model: what one account is at one moment. It is a value.
type account struct {
	modSeq    index.ModSeq
	boxes     [boxes]box
	delivered []delivered // in order; never written to
}

type kind int

const (
	deliver kind = iota
	appendTo
	store
	move // to the other mailbox
	expunge
	list
	view
)

func (k kind) String() string {
	return [...]string{"deliver", "append", "store", "move", "expunge", "list", "view"}[k]
}

func (k kind) reads() bool { return k == list || k == view }

type input struct {
	account index.AccountID
	kind    kind
	box     int
	uid     index.UID     // store, move, expunge
	op      access.FlagOp // store
	flags   index.Flags   // store, append
	content int           // deliver, append
}

// output is what a client was told. Unknown is an operation without an answer: it took effect at any
// moment after its call, or never.
type output struct {
	unknown   bool
	took      bool      // unknown, and it did take effect
	uid       index.UID // of what is new; 0 where nothing is
	duplicate bool      // deliver
	done      bool      // store, move, expunge: the message was there and was changed
	modSeq    index.ModSeq
	messages  []message // list
	box       counters  // view
}

type counters struct {
	next                      index.UID
	modSeq                    index.ModSeq
	messages, unseen, deleted int
	uids                      string
}

func (in input) String() string {
	return fmt.Sprintf("%v in %s uid=%d op=%d flags=%d content=%d", in.kind, boxNames[in.box], in.uid, in.op, in.flags, in.content)
}

func (o output) String() string {
	if o.unknown {
		return fmt.Sprintf("no answer, took=%v", o.took)
	}
	text := fmt.Sprintf("uid=%d duplicate=%v done=%v modseq=%d %+v", o.uid, o.duplicate, o.done, o.modSeq, o.box)
	for _, m := range o.messages {
		text += fmt.Sprintf(" %d:%d(%d)@%d", m.uid, m.content, m.flags, m.modSeq)
	}
	return text
}

// apply is what an operation does and what it answers.
func (a account) apply(in input) (account, output) {
	switch in.kind {
	case deliver:
		for _, d := range a.delivered {
			if d.content == in.content {
				return a, output{uid: d.uid, duplicate: true}
			}
		}
		a, uid := a.file(in.box, message{content: in.content})
		a.delivered = append(slices.Clip(a.delivered), delivered{in.content, uid})
		return a, output{uid: uid}
	case appendTo:
		a, uid := a.file(in.box, message{content: in.content, flags: in.flags})
		return a, output{uid: uid}
	case store:
		a, done := a.store(in)
		return a, output{done: done, modSeq: a.modSeq}
	case move:
		return a.move(in)
	case expunge:
		at, ok := a.boxes[in.box].find(in.uid)
		if !ok || a.boxes[in.box].messages[at].flags&index.FlagDeleted == 0 {
			return a, output{}
		}
		a.modSeq++
		return a.take(in.box, at), output{done: true}
	case list:
		return a, output{messages: a.boxes[in.box].messages}
	}
	return a, output{box: a.boxes[in.box].count()}
}

func (b box) find(u index.UID) (at int, ok bool) {
	return slices.BinarySearchFunc(b.messages, u, func(m message, u index.UID) int { return int(m.uid) - int(u) })
}

// file puts a message into a mailbox, as a command of its own.
func (a account) file(to int, m message) (account, index.UID) {
	a.modSeq++
	return a.put(to, m)
}

func (a account) put(to int, m message) (account, index.UID) {
	b := a.boxes[to]
	m.uid, m.modSeq = b.next, a.modSeq
	a.boxes[to] = box{next: b.next + 1, modSeq: a.modSeq, messages: append(slices.Clip(b.messages), m)}
	return a, m.uid
}

func (a account) take(from, at int) account {
	b := &a.boxes[from]
	b.modSeq = a.modSeq
	b.messages = slices.Concat(b.messages[:at], b.messages[at+1:])
	return a
}

func (a account) store(in input) (account, bool) {
	b := &a.boxes[in.box]
	at, ok := b.find(in.uid)
	if !ok {
		return a, false
	}
	m := b.messages[at]
	switch in.op {
	case access.Add:
		m.flags |= in.flags
	case access.Remove:
		m.flags &^= in.flags
	case access.Set:
		m.flags = in.flags
	}
	if m.flags == b.messages[at].flags {
		return a, false
	}
	a.modSeq++
	m.modSeq, b.modSeq = a.modSeq, a.modSeq
	b.messages = slices.Clone(b.messages)
	b.messages[at] = m
	return a, true
}

func (a account) move(in input) (account, output) {
	at, ok := a.boxes[in.box].find(in.uid)
	if !ok {
		return a, output{}
	}
	m := a.boxes[in.box].messages[at]
	a.modSeq++
	a, uid := a.put(1-in.box, m)
	return a.take(in.box, at), output{done: true, uid: uid}
}

func (b box) count() counters {
	c := counters{next: b.next, modSeq: b.modSeq, messages: len(b.messages)}
	var uids []index.UID
	for _, m := range b.messages {
		uids = append(uids, m.uid)
		if m.flags&index.FlagSeen == 0 {
			c.unseen++
		}
		if m.flags&index.FlagDeleted != 0 {
			c.deleted++
		}
	}
	c.uids = fmt.Sprint(uids)
	return c
}

// changed reports whether the account is another afterwards.
func (o output) changed() bool { return o.done || o.uid != 0 && !o.duplicate }

func (o output) equal(p output) bool {
	return o.uid == p.uid && o.duplicate == p.duplicate && o.done == p.done && o.modSeq == p.modSeq &&
		o.box == p.box && slices.Equal(o.messages, p.messages)
}

func (a account) equal(b account) bool {
	if a.modSeq != b.modSeq || !slices.Equal(a.delivered, b.delivered) {
		return false
	}
	for i := range a.boxes {
		x, y := a.boxes[i], b.boxes[i]
		if x.next != y.next || x.modSeq != y.modSeq || !slices.Equal(x.messages, y.messages) {
			return false
		}
	}
	return true
}

// hash is of what tells most states apart.
func (a account) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, a.modSeq, len(a.delivered), a.boxes[inbox].next, a.boxes[archive].next, a.boxes[inbox].messages)
	return h.Sum64()
}

// specification is the model of an account that begins as first.
func specification(first account) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, in, out any) (bool, any) {
			next, want := state.(account).apply(in.(input))
			got := out.(output)
			if got.unknown {
				return !got.took || want.changed(), next
			}
			return got.equal(want), next
		},
		Equal: func(a, b any) bool { return a.(account).equal(b.(account)) },
		Hash:  func(a any) uint64 { return a.(account).hash() },
	}
}

// never is when an operation without an answer returns.
const never = math.MaxInt64

// verdict decides on the history of one account.
func verdict(first account, history []porcupine.Operation) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(specification(first), history, 20*time.Second)
}

// fresh is an account with empty mailboxes.
func fresh() account {
	return account{modSeq: 1, boxes: [boxes]box{{next: 1, modSeq: 1}, {next: 1, modSeq: 1}}}
}

// TestChecker shows that the checker accepts what is right and refuses what must never be seen.
func TestChecker(t *testing.T) {
	put := input{kind: deliver, content: 7}
	there := output{messages: []message{{uid: 1, content: 7, modSeq: 2}}}
	seen := output{messages: []message{{uid: 1, content: 7, modSeq: 3, flags: index.FlagSeen}}}
	moved := output{messages: []message{{uid: 1, content: 7, modSeq: 3}}}
	read, readArchive := input{kind: list}, input{kind: list, box: archive}
	flag := input{kind: store, uid: 1, op: access.Add, flags: index.FlagSeen}
	type op struct {
		in        input
		out       output
		call, end int64
	}
	unknown, took := output{unknown: true}, output{unknown: true, took: true}
	for name, c := range map[string]struct {
		history []op
		want    porcupine.CheckResult
	}{
		"read back":              {[]op{{put, output{uid: 1}, 1, 2}, {read, there, 3, 4}}, porcupine.Ok},
		"lost":                   {[]op{{put, output{uid: 1}, 1, 2}, {read, output{}, 3, 4}}, porcupine.Illegal},
		"not seen meanwhile":     {[]op{{put, output{uid: 1}, 1, 3}, {read, output{}, 2, 4}}, porcupine.Ok},
		"sent again":             {[]op{{put, output{uid: 1}, 1, 2}, {put, output{uid: 1, duplicate: true}, 3, 4}}, porcupine.Ok},
		"twice":                  {[]op{{put, output{uid: 1}, 1, 2}, {put, output{uid: 2}, 3, 4}}, porcupine.Illegal},
		"UID given out twice":    {[]op{{put, output{uid: 1}, 1, 2}, {input{kind: appendTo, content: 8}, output{uid: 1}, 3, 4}}, porcupine.Illegal},
		"no answer, there":       {[]op{{put, unknown, 1, never}, {read, there, 3, 4}}, porcupine.Ok},
		"no answer, not there":   {[]op{{put, unknown, 1, never}, {read, output{}, 3, 4}}, porcupine.Ok},
		"no answer, late":        {[]op{{put, unknown, 1, never}, {read, output{}, 3, 4}, {read, there, 5, 6}}, porcupine.Ok},
		"no answer, took place":  {[]op{{put, took, 1, never}, {read, output{}, 3, 4}, {read, there, 5, 6}}, porcupine.Ok},
		"no answer, no effect":   {[]op{{put, took, 1, never}, {put, output{uid: 1}, 0, 2}, {read, there, 3, 4}}, porcupine.Illegal},
		"no answer, goes again":  {[]op{{put, unknown, 1, never}, {read, there, 3, 4}, {read, output{}, 5, 6}}, porcupine.Illegal},
		"flag":                   {[]op{{put, output{uid: 1}, 1, 2}, {flag, output{done: true, modSeq: 3}, 3, 4}, {read, seen, 5, 6}}, porcupine.Ok},
		"flag lost":              {[]op{{put, output{uid: 1}, 1, 2}, {flag, output{done: true, modSeq: 3}, 3, 4}, {read, there, 5, 6}}, porcupine.Illegal},
		"back in time":           {[]op{{put, unknown, 1, never}, {flag, unknown, 2, never}, {read, seen, 3, 4}, {read, there, 5, 6}}, porcupine.Illegal},
		"moved":                  {[]op{{put, output{uid: 1}, 1, 2}, {input{kind: move, uid: 1}, output{uid: 1, done: true}, 3, 4}, {read, output{}, 5, 6}, {readArchive, moved, 7, 8}}, porcupine.Ok},
		"in both mailboxes":      {[]op{{put, output{uid: 1}, 1, 2}, {input{kind: move, uid: 1}, unknown, 3, never}, {readArchive, moved, 5, 6}, {read, there, 7, 8}}, porcupine.Illegal},
		"expunged without \\Del": {[]op{{put, output{uid: 1}, 1, 2}, {input{kind: expunge, uid: 1}, output{done: true}, 3, 4}}, porcupine.Illegal},
	} {
		var history []porcupine.Operation
		for i, o := range c.history {
			history = append(history, porcupine.Operation{ClientId: i, Input: o.in, Output: o.out, Call: o.call, Return: o.end})
		}
		if got := verdict(fresh(), history); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
