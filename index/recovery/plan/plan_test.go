package plan

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/pack"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
)

var update = flag.Bool("update", false, "write the stories anew")

const story = "testdata/plan.txt"

// at is a moment of the lost cluster's life, in days.
func at(day int) time.Time { return time.Date(2026, 1, day, 12, 0, 0, 0, time.UTC) }

// lost is what packs of one partition say. Bodies are added to the last pack.
type lost struct{ packs []*pack.Contents }

func (l *lost) pack(day int, accounts ...blobstore.Account) *blobstore.Manifest {
	id := blobstore.PackID{byte(len(l.packs) + 1)}
	m := &blobstore.Manifest{Pack: id, Cluster: "old", Group: 2, Created: at(day), Accounts: accounts}
	l.packs = append(l.packs, &pack.Contents{Pack: blobstore.Pack{Group: 2, ID: id}, Manifest: m})
	return m
}

func body(id uint64, users ...blobstore.User) blobstore.Body {
	return blobstore.Body{Entry: blobstore.Entry{Body: id, Lengths: []uint32{10}}, Size: 100, Users: users}
}

func user(box int, uid uint32, flags uint32, keywords ...uint32) blobstore.User {
	return blobstore.User{Mailbox: box, UID: uid, Flags: flags, Keywords: keywords, InternalDate: at(int(uid))}
}

// history is a partition with a bit of everything.
func history() *lost {
	l := &lost{}
	ada := blobstore.Account{ID: 1, Address: "ada@example.org"}
	bob := blobstore.Account{ID: 2, Address: "bob@example.org"}
	m := l.pack(1, ada, bob)
	m.Mailboxes = []blobstore.Mailbox{
		{Account: 0, ID: 1, Name: "INBOX", UIDValidity: 1, Subscribed: true, Keywords: []string{"$Old", "$Work"}},
		{Account: 1, ID: 1, Name: "INBOX", UIDValidity: 1},
		{Account: 0, ID: 2, Name: "Work", UIDValidity: 2},
	}
	m.Bodies = []blobstore.Body{
		body(11, user(0, 3, 0, 1), user(1, 1, 0)), // mail to both
		body(12, user(0, 1, 1)),
		body(13, user(2, 1, 0)), // in a mailbox that is renamed later
		body(14, user(0, 4, 0)), // expunged later
	}
	// Ten days on: Work was renamed, another Work made, mail read, message 4 expunged.
	m = l.pack(11, ada, blobstore.Account{ID: uint64(mailbox.KeptOf(1)), Address: "ada@example.org"})
	m.Mailboxes = []blobstore.Mailbox{
		{Account: 0, ID: 2, Name: "Old work", UIDValidity: 2, SpecialUse: uint32(index.UseArchive)},
		{Account: 0, ID: 3, Name: "Work", UIDValidity: 9},
		{Account: 1, ID: 1, Name: "INBOX", UIDValidity: 7, Kept: true},
		{Account: 0, ID: 1, Name: "INBOX", UIDValidity: 1, Subscribed: true, Keywords: []string{"$Old", "$Work"}},
	}
	m.Bodies = []blobstore.Body{
		body(21, user(0, 2, 1)), body(22, user(1, 1, 0)),
		body(14, user(2, 1, 0)), // rewritten
		body(12, user(3, 1, 3, 0)),
	}
	// Large messages are put into packs before they have UIDs, and perhaps a mailbox.
	for i, id := range []uint64{31, 32, 33} {
		m = l.pack(12+i, ada)
		m.Mailboxes = []blobstore.Mailbox{{Name: []string{"Scans", "INBOX", "Later"}[i]}}
		if i == 1 {
			m.Mailboxes[0] = blobstore.Mailbox{Account: 0, ID: 1, Name: "INBOX", UIDValidity: 1, Subscribed: true}
		}
		m.Bodies = []blobstore.Body{body(id, user(0, 0, 0)), body(id+10, user(0, 0, 0))}
	}
	return l
}

func tell(accounts []Account) string {
	var b strings.Builder
	for _, a := range accounts {
		fmt.Fprintln(&b, a.Address)
		for _, box := range a.Mailboxes {
			fmt.Fprintf(&b, "  %s use=%d subscribed=%v\n", box.Name, box.SpecialUse, box.Subscribed)
			for _, m := range box.Messages {
				fmt.Fprintf(&b, "    uid %d flags=%d %v body %d from", m.UID, m.Flags, m.Keywords, m.Copies[0].Body.Entry.Body)
				for _, c := range m.Copies {
					fmt.Fprintf(&b, " pack %d", c.Pack.Pack.ID[0])
				}
				fmt.Fprintln(&b)
			}
		}
	}
	return b.String()
}

func TestStory(t *testing.T) {
	var got strings.Builder
	l := history()
	census := &Census{}
	for _, p := range l.packs {
		census.Add(p.Manifest)
	}
	verdict := census.Verdict()
	take := func(owner uint64) (string, bool) {
		a, ok := verdict.Addresses[Place{2, owner}]
		return a, ok
	}
	fmt.Fprintf(&got, "== without kept mail\n%s== with it\n%s", tell(Merge(l.packs, take, false)), tell(Merge(l.packs, take, true)))
	onlyBob := func(owner uint64) (string, bool) { return "bob@example.org", owner == 2 }
	fmt.Fprintf(&got, "== bob alone\n%s", tell(Merge(l.packs, onlyBob, true)))
	if *update {
		if err := os.WriteFile(story, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(story)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// TestOrder: in which order packs are listed and read does not matter.
func TestOrder(t *testing.T) {
	l := history()
	take := func(uint64) (string, bool) { return "ada@example.org", true }
	want := tell(Merge(l.packs, take, true))
	for range 20 {
		rand.Shuffle(len(l.packs), func(i, j int) { l.packs[i], l.packs[j] = l.packs[j], l.packs[i] })
		if got := tell(Merge(l.packs, take, true)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	add := func(c *Census, day int, group uint16, accounts ...blobstore.Account) {
		c.Add(&blobstore.Manifest{Cluster: "old", Group: group, Created: at(day), Accounts: accounts})
	}
	account := func(id uint64, address string) blobstore.Account { return blobstore.Account{ID: id, Address: address} }
	c := &Census{}
	add(c, 1, 1, account(1, "ada@example.org"), account(2, "before@example.org"), account(3, "taken@example.org"))
	add(c, 2, 1, account(2, "after@example.org"), account(1, "")) // renamed; a pack that does not know
	add(c, 3, 2, account(9, "taken@example.org"))                 // deleted, and the address given to another
	add(c, 4, 2, account(10, ""))
	add(c, 5, 2, account(uint64(mailbox.KeptOf(9)), "taken@example.org"))
	v := c.Verdict()
	want := map[Place]string{{1, 1}: "ada@example.org", {1, 2}: "after@example.org", {2, 9}: "taken@example.org"}
	if fmt.Sprint(v.Addresses) != fmt.Sprint(want) {
		t.Errorf("addresses %v, want %v", v.Addresses, want)
	}
	if len(v.Former) != 1 || v.Former[0].Place != (Place{1, 3}) {
		t.Errorf("former %v", v.Former)
	}
	if len(v.Nameless) != 1 || v.Nameless[0].Place != (Place{2, 10}) {
		t.Errorf("nameless %v", v.Nameless)
	}
	if c.Clusters()["old"] != 5 {
		t.Errorf("clusters %v", c.Clusters())
	}
}
