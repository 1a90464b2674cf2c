package queue_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/queue/queuepb"
	"github.com/rookery-mail/rookery/mta/queue/story"
)

// model is what the queue means: who is open, and which term claimed whom.
type model struct {
	claimed map[queue.Place]uint64 // 0: waits
	held    map[queue.EntryID]bool
	bounced map[queue.EntryID]bool
	term    uint64
	entries int
	now     func() time.Time
	ends    map[queue.EntryID]time.Time // when they are given up

	// The account that sends all of it, under brakes of modelBound messages an hour.
	braked   map[queue.EntryID]bool // entries that count, and are held with it
	stopped  bool                   // it is held
	window   time.Time              // the hour that is counted, from its begin
	messages int
}

const modelBound = 3

func newModel(w *world) *model {
	return &model{claimed: map[queue.Place]uint64{}, held: map[queue.EntryID]bool{}, bounced: map[queue.EntryID]bool{}, braked: map[queue.EntryID]bool{},
		ends: map[queue.EntryID]time.Time{}, now: func() time.Time { return w.now }}
}

// submit is what is to become of a message under brakes: refused, or held.
func (m *model) submit(hold bool) (refused, held bool) {
	m.roll()
	if over := m.messages >= modelBound; over && !hold && !m.stopped {
		return true, false
	} else if over {
		m.stopped = true
	}
	m.messages++
	return false, m.stopped
}

func (m *model) roll() {
	if !m.now().Before(m.window.Add(time.Hour)) {
		m.window, m.messages = m.now(), 0
	}
}

// over says that an entry is to be given up: it is claimed whoever holds it.
func (m *model) over(id queue.EntryID) bool { return m.bounced[id] || !m.now().Before(m.ends[id]) }

// waits reports whether a place may be claimed.
func (m *model) waits(p queue.Place) bool {
	term, open := m.claimed[p]
	return open && term == 0 && (!m.held[p.Entry] && !(m.stopped && m.braked[p.Entry]) || m.over(p.Entry))
}

func (m *model) end(p queue.Place) {
	delete(m.claimed, p)
	for q := range m.claimed {
		if q.Entry == p.Entry {
			return
		}
	}
	delete(m.held, p.Entry)
	delete(m.bounced, p.Entry)
	delete(m.braked, p.Entry)
}

// TestModel: whatever leaders and operators do in any order, the queue is what the model says, its keys hold
// together (world.do verifies), and bodies are kept for as long as they are used.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		m := newModel(w)
		rt.Repeat(map[string]func(*rapid.T){
			"submit": func(rt *rapid.T) {
				var to []string
				for i := range rapid.IntRange(1, 3).Draw(rt, "recipients") {
					to = append(to, fmt.Sprintf("r%d@d%d.example", i, rapid.IntRange(0, 2).Draw(rt, "domain")))
				}
				cmd, refused, held := message(w, to...), false, false
				cmd.Entry.Priority = rapid.Int32Range(-1, 1).Draw(rt, "priority")
				if rapid.Bool().Draw(rt, "held back") {
					cmd.Entry.Recipients[0].Due = w.now.Add(time.Hour).UnixMilli()
				}
				if rapid.Bool().Draw(rt, "braked") {
					cmd.Entry.Brakes = &queuepb.Brakes{MessagesHour: modelBound, Hold: rapid.Bool().Draw(rt, "hold")}
					refused, held = m.submit(cmd.Entry.Brakes.Hold)
				}
				if rapid.Bool().Draw(rt, "told") {
					arrives(cmd, []string{"cid@example.org"}[:rapid.IntRange(0, 1).Draw(rt, "here")]...)
				}
				res := w.do(command.Submit, cmd)
				if (res.Refusal != nil) != refused {
					rt.Fatalf("refused: %v, not %v", res.Refusal, refused)
				}
				if refused {
					return
				}
				m.entries++
				id := queue.EntryID(m.entries)
				m.braked[id], m.ends[id] = cmd.Entry.Brakes != nil, time.UnixMilli(cmd.Entry.Expires)
				if held {
					m.held[id] = true
				}
				if res.Entry != uint64(m.entries) {
					rt.Fatalf("entry %d, not %d", res.Entry, m.entries)
				}
				for i := range to {
					m.claimed[queue.Place{Entry: queue.EntryID(m.entries), Recipient: uint32(i)}] = 0
				}
			},
			"claim": func(rt *rapid.T) {
				term, place := rapid.Uint64Range(1, 5).Draw(rt, "term"), m.draw(rt)
				res := w.claim(term, at(uint64(place.Entry), place.Recipient))
				want := term >= m.term && m.waits(place)
				if claimed, open := m.claimed[place]; open && claimed == 0 && term >= m.term && m.stopped && m.braked[place.Entry] && !m.over(place.Entry) {
					m.held[place.Entry] = true
				}
				if (len(res.Places) == 1) != want {
					rt.Fatalf("claim of %v in term %d: %v", place, term, res)
				}
				m.term = max(m.term, term)
				if want {
					m.claimed[place] = term
				}
			},
			"settle": func(rt *rapid.T) {
				term, place := rapid.Uint64Range(1, 5).Draw(rt, "term"), m.draw(rt)
				o := &queuepb.Outcome{Place: at(uint64(place.Entry), place.Recipient), Kind: queuepb.OutcomeKind(rapid.IntRange(1, 3).Draw(rt, "outcome")),
					Due: w.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "minutes")) * time.Minute).UnixMilli()}
				cmd := &queuepb.SettleCommand{Term: term, Outcomes: []*queuepb.Outcome{o}}
				if rapid.Bool().Draw(rt, "closes") {
					cmd.Closures = []*queuepb.Closure{{Destination: "d1.example", Until: w.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "closed")) * time.Minute).UnixMilli()}}
				}
				res := w.do(command.SettleRecipients, cmd)
				want := term >= m.term && m.claimed[place] == term
				if (res.Changed == 1) != want {
					rt.Fatalf("settlement of %v in term %d: %v", place, term, res)
				}
				m.term = max(m.term, term)
				if want && o.Kind == queuepb.OutcomeKind_OUTCOME_KIND_RETRY {
					m.claimed[place] = 0
				} else if want {
					m.end(place)
				}
			},
			"retake": func(rt *rapid.T) {
				term := rapid.Uint64Range(1, 5).Draw(rt, "term")
				w.do(command.RetakeClaims, &queuepb.RetakeCommand{Term: term})
				if term < m.term {
					return
				}
				m.term = term
				for p, claimed := range m.claimed {
					if claimed < term {
						m.claimed[p] = 0
					}
				}
			},
			"edit": func(rt *rapid.T) {
				edit, id := queuepb.Edit(rapid.IntRange(1, 5).Draw(rt, "edit")), m.draw(rt).Entry
				w.do(command.EditQueue, &queuepb.EditCommand{Edit: edit, Entries: []uint64{uint64(id)}, Why: "because"})
				m.edit(edit, id)
			},
			"conduct": func(rt *rapid.T) {
				hold := rapid.Bool().Draw(rt, "hold")
				w.do(command.EditConduct, &queuepb.EditConductCommand{Account: 7, Hold: hold, Why: "because"})
				if m.stopped != hold {
					m.roll()
				}
				if m.stopped && !hold {
					m.window, m.messages = w.now, 0
				}
				m.stopped = hold
			},
			"packs": func(rt *rapid.T) {
				mode := rapid.SampledFrom([]indexpb.BlobMode{indexpb.BlobMode_BLOB_MODE_LISTING, indexpb.BlobMode_BLOB_MODE_HOMING}).Draw(rt, "mode")
				w.do(command.SetBlobMode, &indexpb.SetBlobModeCommand{Mode: mode})
			},
			"list": func(rt *rapid.T) { w.do(command.ListUsers, &indexpb.ListUsersCommand{Limit: 2}) },
			"day":  func(rt *rapid.T) { w.now = w.now.Add(24 * time.Hour) },
			"forget": func(rt *rapid.T) {
				today := story.DayOf(w.now.UnixMilli())
				first := rapid.SampledFrom([]uint32{today - 1, today, story.Never}).Draw(rt, "first")
				w.do(command.ForgetStories, &queuepb.ForgetStoriesCommand{Before: first})
			},
			"restored": func(rt *rapid.T) {
				if err := w.p.Restored(w.b); err != nil {
					rt.Fatal(err)
				}
			},
			"wait": func(rt *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
			},
			"": func(rt *rapid.T) { m.compare(rt, w) },
		})
	})
}

// draw picks a place that is open, or one that never was.
func (m *model) draw(rt *rapid.T) queue.Place {
	open := slices.SortedFunc(maps.Keys(m.claimed), queue.Place.Compare)
	return rapid.SampledFrom(append(open, queue.Place{Entry: 1000})).Draw(rt, "place")
}

func (m *model) edit(edit queuepb.Edit, id queue.EntryID) {
	if edit == queuepb.Edit_EDIT_RELEASE && m.held[id] && !m.bounced[id] {
		m.braked[id] = false
	}
	switch edit {
	case queuepb.Edit_EDIT_HOLD, queuepb.Edit_EDIT_RELEASE, queuepb.Edit_EDIT_BOUNCE:
		for p := range m.claimed {
			if p.Entry == id && !m.bounced[id] {
				m.held[id] = edit != queuepb.Edit_EDIT_RELEASE
				m.bounced[id] = edit == queuepb.Edit_EDIT_BOUNCE
			}
		}
	case queuepb.Edit_EDIT_DELETE:
		for p, term := range m.claimed {
			if p.Entry == id && term == 0 {
				m.end(p)
			}
		}
	}
}

// compare holds the queue against the model.
func (m *model) compare(rt *rapid.T, w *world) {
	found := 0
	err := queue.Entries(w.b, 0, func(id queue.EntryID, e *queuepb.EntryRecord) (bool, error) {
		_, list, _, err := queue.Entry(w.b, id)
		for _, r := range list {
			if term, open := m.claimed[r.Place]; !open || term != r.Record.Term {
				rt.Errorf("%v is %v in the queue, %d in the model", r.Place, r.Record, term)
			}
			found++
		}
		if e.Held != m.held[id] {
			rt.Errorf("entry %d is held: %v", id, e.Held)
		}
		return true, err
	})
	if err != nil || found != len(m.claimed) {
		rt.Errorf("%d recipients, not %d: %v", found, len(m.claimed), err)
	}
}
