package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/stores"
)

func TestScheduleIsTheSame(t *testing.T) {
	o := options{cycles: 200, seconds: 6, seed: 9, nodes: 3, accounts: 1, senders: 1, kinds: allKinds}
	a, err := schedule(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := schedule(o)
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("the same seed gives other faults (%v)", err)
	}
	kinds, nodes := map[string]int{}, map[string]int{}
	for _, f := range a {
		kinds[f.kind]++
		if f.kind != kindOutage {
			nodes[f.node]++
		}
		if (f.kind == kindLink) != (f.other != "") || f.other != "" && f.other == f.node {
			t.Errorf("fault %v", f)
		}
		if s := f.hold.Seconds(); s < 1.8 || s > 3.6 {
			t.Errorf("%v holds outside 30 to 60 %% of a cycle", f)
		}
	}
	if len(kinds) != 7 || len(nodes) != 3 {
		t.Errorf("kinds %v, nodes %v", kinds, nodes)
	}
	// An object store adds its outages and changes nothing else.
	o.store = "s3"
	withStore, err := schedule(o)
	if err != nil {
		t.Fatal(err)
	}
	outages := map[string]int{}
	for i, f := range withStore {
		outages[f.store]++
		if f.store = ""; f != a[i] {
			t.Errorf("fault %d is %v with a store and %v without", i, f, a[i])
		}
	}
	if outages[storeKill] == 0 || outages[storeFreeze] == 0 || outages[""] == 0 {
		t.Errorf("outages of the store: %v", outages)
	}
	o.store = ""
	o.seed++
	if c, _ := schedule(o); reflect.DeepEqual(a, c) {
		t.Error("another seed gives the same faults")
	}
	o.kinds = "kill,earthquake"
	if _, err := schedule(o); err == nil || !strings.Contains(err.Error(), "earthquake") {
		t.Errorf("an unknown kind: %v", err)
	}
}

// TestBucket shows what is complained of.
func TestBucket(t *testing.T) {
	objects := []stores.Object{{Name: "chaos/packs/aa/00001/x.pack", Size: 70}, {Name: "chaos/packs/bb/00002/y.pack", Size: 30}, {Name: "chaos/rookery.json", Size: 50}}
	good := func() *bucketAudit {
		return &bucketAudit{stats: blobStats{Packs: 2, ObjectBytes: 100, LiveBodies: 9}}
	}
	for name, c := range map[string]struct {
		spoil func(*bucketAudit)
		more  []stores.Object
		want  string // in the complaint; "" is none
	}{
		"good":          {func(*bucketAudit) {}, nil, ""},
		"unreferenced":  {func(*bucketAudit) {}, []stores.Object{{Name: "chaos/packs/cc/00001/z.pack"}}, "has 3 packs"},
		"missing":       {func(b *bucketAudit) { b.stats.Packs++ }, nil, "knows of 3"},
		"another size":  {func(b *bucketAudit) { b.stats.ObjectBytes++ }, nil, "of 101"},
		"left behind":   {func(*bucketAudit) {}, []stores.Object{{Name: "chaos/check/1"}}, "of nobody: chaos/check/1"},
		"staged":        {func(b *bucketAudit) { b.stats.StagedBodies = 4 }, nil, "4 bodies staged"},
		"not collected": {func(b *bucketAudit) { b.stats.Doomed = 1 }, nil, "1 packs are doomed"},
		"open, empty":   {func(b *bucketAudit) { b.stats.Open = 1 }, nil, ""},
		"open, there":   {func(b *bucketAudit) { b.stats.Open = 1 }, []stores.Object{{Name: "chaos/packs/cc/00001/z.pack", Size: 9}}, ""},
		"not begun":     {func(b *bucketAudit) { b.stats.LiveBodies = 0 }, nil, "nothing was tested"},
		"damage":        {func(b *bucketAudit) { b.damage = "pack 7" }, nil, "pack 7"},
	} {
		b := good()
		c.spoil(b)
		b.count(append(objects[:len(objects):len(objects)], c.more...))
		if got := b.complaint(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q in it", name, got, c.want)
		}
	}
}

// site is a book with one message that a story is told about.
type site struct {
	book *book
	m    harness.Message
}

func newSite() site {
	s := site{newBook("ada@example.org"), harness.Corpus{Seed: 1, Domain: domain}.Message(0, "ada@example.org")}
	s.book.offer(s.m, inbox)
	return s
}

// at is the message as found in a mailbox.
func (s site) at(mailbox string, flags ...string) harness.Found {
	return harness.Found{Recipient: s.book.address, Mailbox: mailbox, ID: s.m.ID, Digest: s.m.Digest, Flags: flags}
}

// TestAudit tells stories of one message, and what reading may show then.
func TestAudit(t *testing.T) {
	delivered := func(s site) { s.book.acknowledge(s.m.ID, inbox, 0); s.book.listed(s.m.ID, inbox, 5) }
	other := func(s site) harness.Found { f := s.at(inbox); f.Digest = harness.Digest{}; return f }
	for _, c := range []struct {
		name  string
		story func(s site)
		found func(s site) []harness.Found
		want  audit // but the details
	}{
		{"offered, not there", func(site) {}, none, audit{}},
		{"offered, there", func(site) {}, in(inbox), audit{}},
		{"acknowledged, there", delivered, in(inbox), audit{acknowledged: 1, readable: 1}},
		{"acknowledged, not there", delivered, none, audit{acknowledged: 1, lost: 1}},
		{"twice", delivered, in(inbox, work), audit{acknowledged: 1, duplicated: 1}},
		{"other content", delivered, func(s site) []harness.Found { return []harness.Found{other(s)} }, audit{acknowledged: 1, lost: 1}},
		{"moved before the reply came", func(s site) {
			s.book.listed(s.m.ID, inbox, 5)
			s.book.moved(s.m.ID, work, 6, true)
			s.book.acknowledge(s.m.ID, inbox, 0)
		}, in(work), audit{acknowledged: 1, readable: 1}},
		{"moved, still there", func(s site) { delivered(s); s.book.moved(s.m.ID, work, 6, true) }, in(inbox), audit{acknowledged: 1, misplaced: 1}},
		{"moved perhaps", func(s site) { delivered(s); s.book.moved(s.m.ID, work, 0, false) }, in(inbox), audit{acknowledged: 1, readable: 1}},
		{"moved perhaps, gone", func(s site) { delivered(s); s.book.moved(s.m.ID, work, 0, false) }, none, audit{acknowledged: 1, lost: 1}},
		{"expunged", func(s site) { delivered(s); s.book.moved(s.m.ID, nowhere, 0, true) }, none, audit{acknowledged: 1, expunged: 1}},
		{"expunged, back", func(s site) { delivered(s); s.book.moved(s.m.ID, nowhere, 0, true) }, in(inbox), audit{acknowledged: 1, duplicated: 1}},
		{"expunged perhaps", func(s site) { delivered(s); s.book.moved(s.m.ID, nowhere, 0, false) }, in(inbox), audit{acknowledged: 1, readable: 1}},
		{"flag lost", func(s site) { delivered(s); s.book.flagged(s.m.ID, `\Seen`, true, true) }, in(inbox), audit{acknowledged: 1, readable: 1, flagsWrong: 1}},
		{"flag kept", func(s site) { delivered(s); s.book.flagged(s.m.ID, `\Seen`, true, true) },
			func(s site) []harness.Found { return []harness.Found{s.at(inbox, `\seen`)} }, audit{acknowledged: 1, readable: 1}},
		{"flag in doubt", func(s site) { delivered(s); s.book.flagged(s.m.ID, `\Seen`, true, false) }, in(inbox), audit{acknowledged: 1, readable: 1}},
		{"copied", func(s site) { delivered(s); s.book.copiedOnce(s.m.ID, true) }, in(inbox, copies), audit{acknowledged: 2, readable: 2}},
		{"copy lost", func(s site) { delivered(s); s.book.copiedOnce(s.m.ID, true) }, in(inbox), audit{acknowledged: 2, readable: 1, lost: 1}},
		{"copy from nowhere", delivered, in(inbox, copies), audit{acknowledged: 1, readable: 1, duplicated: 1}},
		{"strange", delivered, func(s site) []harness.Found { return []harness.Found{s.at(inbox), {ID: "<x>"}} }, audit{acknowledged: 1, readable: 1, strange: 1}},
	} {
		s := newSite()
		c.story(s)
		got := &audit{}
		got.check(s.book, "n1", c.found(s))
		complained := len(got.details) > 0
		got.details = nil
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, &c.want)
		}
		if got.good() == complained {
			t.Errorf("%s: good is %v, but there are details: %v", c.name, got.good(), complained)
		}
	}
}

func none(site) []harness.Found { return nil }

func in(mailboxes ...string) func(site) []harness.Found {
	return func(s site) (found []harness.Found) {
		for _, m := range mailboxes {
			found = append(found, s.at(m))
		}
		return found
	}
}

// TestCandidates are messages whose place is certain.
func TestCandidates(t *testing.T) {
	s := newSite()
	if got := s.book.candidates(inbox); len(got) != 0 {
		t.Errorf("an unseen message is a candidate: %v", got)
	}
	s.book.listed(s.m.ID, inbox, 5)
	if got := s.book.candidates(inbox); len(got) != 1 || got[0].uid != 5 {
		t.Errorf("candidates %v, want UID 5", got)
	}
	s.book.moved(s.m.ID, work, 7, true)
	if got := s.book.candidates(work); len(got) != 1 || got[0].uid != 7 || len(s.book.candidates(inbox)) != 0 {
		t.Errorf("candidates %v, want UID 7 in Work only", got)
	}
	s.book.moved(s.m.ID, inbox, 0, false)
	if got := s.book.candidates(work); len(got) != 0 {
		t.Errorf("a message with an unknown outcome is a candidate: %v", got)
	}
	if s.book.listed("<never@sent>", inbox, 9) {
		t.Error("a message that nobody sent is in the book")
	}
}

// TestTwice: what comes twice needs a change of leaders in between, while it was on its way.
func TestTwice(t *testing.T) {
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	key := harness.Copy{Recipient: "bob@d01.sink.test", ID: "<1@example.org>"}
	groups := map[string]string{"ada@example.org": "p3"}
	kill := strike{fault: fault{kind: kindKill, node: "n1"}, began: at(10.5), ended: at(13)}
	for name, c := range map[string]struct {
		strike strike
		led    leadership
		second float64 // when the second copy began
		want   twice   // but the details
	}{
		"killed":                      {kill, leadership{"p3", "n2", at(12)}, 12.5, twice{fault: 1}},
		"killed long before":          {strike{fault: kill.fault, began: at(2), ended: at(5)}, leadership{"p3", "n2", at(30)}, 31, twice{unexplained: 1}},
		"killed, and no other led":    {kill, leadership{"p4", "n2", at(12)}, 12.5, twice{unexplained: 1}},
		"killed, and none led before": {kill, leadership{"p3", "n2", at(12)}, 11.5, twice{unexplained: 1}},
		"another node killed":         {strike{fault: fault{kind: kindKill, node: "n3"}, began: at(10.5), ended: at(13)}, leadership{"p3", "n2", at(30)}, 31, twice{unexplained: 1}},
		"handed over":                 {strike{}, leadership{"p3", "n2", at(11.5)}, 12, twice{handover: 1}},
		"outage":                      {strike{fault: fault{kind: kindOutage}, began: at(10.5), ended: at(13)}, leadership{"p3", "n1", at(15)}, 16, twice{fault: 1}},
		"link":                        {strike{fault: fault{kind: kindLink, node: "n2", other: "n1"}, began: at(10.5), ended: at(13)}, leadership{"p3", "n2", at(12)}, 12.5, twice{fault: 1}},
	} {
		o := &outbound{accounts: map[string]string{key.ID: "ada@example.org"}, strikes: []strike{c.strike},
			copies: map[harness.Copy][]arrival{key: {{node: "n2", began: at(c.second), ended: at(c.second + 0.1)}, {node: "n1", began: at(10), ended: at(11)}}}}
		got := o.explain([]leadership{c.led}, groups)
		if complained := len(got.details) > 0; complained != (got.unexplained > 0) {
			t.Errorf("%s: details %q", name, got.details)
		}
		got.details = nil
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestLeads: the line that tells who leads is read.
func TestLeads(t *testing.T) {
	m := leads.FindStringSubmatch(`time=2026-11-21T22:40:11.123Z level=INFO msg="this node leads the group" node=n1 group=p12 term=4`)
	if m == nil || m[1] != "2026-11-21T22:40:11.123Z" || m[2] != "p12" {
		t.Errorf("%q", m)
	}
}
