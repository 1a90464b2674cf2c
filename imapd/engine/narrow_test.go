package engine_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/text/encoding/charmap"

	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/concordance"
	"github.com/rookery-mail/rookery/index/mailstore"
)

// indexed gives the stage a second store, over the same mail, with a search index.
func (st *stage) indexed(least int) (*mailstore.Store, *concordance.Index) {
	st.t.Helper()
	x, err := concordance.Open("search", concordance.Config{FS: vfs.NewMem(), Least: least, Rest: -1,
		Open: func(ctx context.Context, a index.AccountID, m index.MailboxID) (concordance.Mailbox, error) {
			return st.store.Account(a).OpenID(ctx, m)
		}})
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() {
		if err := x.Close(); err != nil {
			st.t.Error(err)
		}
	})
	return st.cluster.Store(func(c *mailstore.Config) { c.Texts = x }), x
}

// update brings the index of a mailbox of account 2 up to date.
func (st *stage) update(x *concordance.Index, name string) {
	st.t.Helper()
	m, err := st.store.Account(2).Open(st.t.Context(), name)
	if err == nil {
		err = x.Update(st.t.Context(), 2, m.ID())
	}
	if err != nil {
		st.t.Fatal(err)
	}
}

// client starts a session of account 2 over a store.
func (st *stage) client(name string, store *mailstore.Store) *actor {
	plain := st.store
	st.store = store
	a := st.actor(name, &engine.Identity{Account: 2, Address: "fred@example.org"})
	st.store = plain
	a.said()
	return a
}

var letters = []string{"Ann", "BOB", "Grüße", "straße", "İstanbul", "ΟΔΟΣ", "日本語", "re", "a", "quokka", "<b>bold</b>", "&amp;", "x=y", "ann@example.org", "\"quoted\""}

// randomText is a few words.
func randomText(rnd *rand.Rand, most int) string {
	var b strings.Builder
	for range rnd.Intn(most) {
		b.WriteString(letters[rnd.Intn(len(letters))])
		b.WriteString([]string{" ", "", "\n "}[rnd.Intn(3)])
	}
	return strings.TrimSpace(b.String())
}

// randomLetter is a message of odd headers and parts.
func randomLetter(rnd *rand.Rand) []byte {
	var b strings.Builder
	field := func(name string) {
		text := strings.ReplaceAll(randomText(rnd, 5), "\n", "")
		switch rnd.Intn(3) {
		case 0:
			text = "=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(text)) + "?="
		case 1:
			text, _ = charmap.ISO8859_1.NewEncoder().String(strings.Map(func(r rune) rune { return min(r, 0xff) }, text))
		}
		fmt.Fprintf(&b, "%s: %s\n", name, text)
	}
	field("Subject")
	field("X-Note")
	fmt.Fprintf(&b, "From: %s <Ann@Example.ORG>, bob@x\nMessage-ID: <%d@X>\n", []string{"Ann", "\"B, ob\"", "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "gr\xfc\xdfe"}[rnd.Intn(4)], rnd.Intn(50))
	b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=cut\n\npreamble quokka\n")
	for range 1 + rnd.Intn(3) {
		text := randomText(rnd, 12)
		fmt.Fprintf(&b, "--cut\nContent-Type: %s; charset=utf-8\n", []string{"text/plain", "text/html", "image/png"}[rnd.Intn(3)])
		if rnd.Intn(2) == 0 {
			text = base64.StdEncoding.EncodeToString([]byte(text))
			b.WriteString("Content-Transfer-Encoding: base64\n")
		}
		fmt.Fprintf(&b, "\n%s\n", text)
	}
	b.WriteString("--cut--\nepilogue\n")
	return []byte(b.String())
}

// randomKey is a search key.
func randomKey(rnd *rand.Rand, depth int) string {
	text := func() string {
		t := strings.ReplaceAll(randomText(rnd, 3), "\n", "")
		if rnd.Intn(3) == 0 && len(t) > 2 {
			t = strings.ToValidUTF8(t[1:len(t)-1], "")
		}
		if r := []rune(t); rnd.Intn(3) == 0 && len(r) > 4 { // what FUZZY is for
			i := 1 + rnd.Intn(len(r)-1)
			r[i], r[i-1] = r[i-1], r[i]
			t = string(r)
		}
		return fmt.Sprintf("{%d+}\r\n%s", len(t), t)
	}
	n := 10
	if depth > 0 {
		n = 15
	}
	switch rnd.Intn(n) {
	case 0, 1:
		return "BODY " + text()
	case 2, 3:
		return "TEXT " + text()
	case 4:
		return []string{"SUBJECT ", "FROM ", "TO "}[rnd.Intn(3)] + text()
	case 5:
		return "HEADER " + []string{"X-Note ", "Message-ID ", "Content-Type "}[rnd.Intn(3)] + text()
	case 6:
		return []string{"SEEN", "UNDELETED", "ALL", "LARGER 700"}[rnd.Intn(4)]
	case 7:
		return fmt.Sprintf("UID %d:%d", 1+rnd.Intn(50), 1+rnd.Intn(50))
	case 8:
		return "FROM " + []string{"ann", "\"ann <ann@exam\"", "\"> \"", "org", "\"b, ob <ann\"", "{8+}\r\ngrüße "}[rnd.Intn(6)]
	case 9:
		return "FUZZY " + []string{"TEXT ", "BODY ", "SUBJECT ", "FROM ", "HEADER X-Note "}[rnd.Intn(5)] + text()
	case 10:
		return "FUZZY " + randomKey(rnd, depth-1)
	case 11:
		return "NOT " + randomKey(rnd, depth-1)
	case 12:
		return "OR " + randomKey(rnd, depth-1) + " " + randomKey(rnd, depth-1)
	}
	return "(" + randomKey(rnd, depth-1) + " " + randomKey(rnd, depth-1) + ")"
}

// TestNarrowedEqualsScan: a SEARCH says the same with an index as without, whatever is asked, while mail comes and goes.
func TestNarrowedEqualsScan(t *testing.T) {
	for seed := range int64(4) {
		st, rnd := newStage(t), rand.New(rand.NewSource(seed))
		store, x := st.indexed(4)
		for range 40 {
			st.deliverText(2, "INBOX", randomLetter(rnd))
			st.deliverText(2, "Work", randomLetter(rnd))
		}
		scans, narrows := st.client("1", st.store), st.client("2", store)
		found := 0
		for i := range 240 {
			if i%40 == 0 {
				box := []string{"INBOX", "Work"}[i/40%2]
				for range rnd.Intn(12) {
					st.deliverText(2, box, randomLetter(rnd))
				}
				st.update(x, box)
				for range rnd.Intn(6) {
					st.deliverText(2, box, randomLetter(rnd))
				}
				scans.say("s SELECT " + box + "\r\n")
				lo := 1 + rnd.Intn(30)
				scans.say(fmt.Sprintf("d STORE %d:%d +FLAGS (\\Deleted)\r\n", lo, lo+rnd.Intn(5)))
				scans.say("e EXPUNGE\r\n")
				narrows.say("s SELECT " + box + "\r\n")
				scans.said()
				narrows.said()
			}
			command := "CHARSET UTF-8 " + randomKey(rnd, 3) + "\r\n"
			if strings.Contains(command, "FUZZY") {
				command = "RETURN (RELEVANCY) " + command
			}
			command = "x SEARCH " + command
			scans.say(command)
			narrows.say(command)
			want, got := scans.said(), narrows.said()
			if want != got || !strings.Contains(want, "x OK") {
				t.Fatalf("%q\nby a scan: %s\nby the index: %s", command, want, got)
			}
			if strings.ContainsAny(want[:strings.Index(want, "\r")], "0123456789") {
				found++
			}
		}
		if s := x.Stats(); found < 60 || s.Searches < 60 || s.Spared < 500 {
			t.Errorf("%d searches found anything, %+v", found, s)
		}
		scans.hangUp()
		narrows.hangUp()
	}
}
