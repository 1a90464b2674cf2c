package keychain_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/keychain"
)

const day = 24 * time.Hour

// story plays the life of a domain's keys, a day at a time.
type story struct {
	t         *testing.T
	now       time.Time
	keys      []*directorypb.DkimKey
	seen      map[string]keychain.Seen
	publishes bool // DNS takes every key up the day after
	cleans    bool // and drops what is removable
	log       []string
}

func newStory(t *testing.T) *story {
	return &story{t: t, now: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), seen: map[string]keychain.Seen{}}
}

func (s *story) say(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf("%s: ", s.now.Format("2006-01-02"))+fmt.Sprintf(format, args...))
}

func (s *story) do(c keychain.Change) {
	for _, kind := range c.Make {
		k := &directorypb.DkimKey{Domain: "example.org", Selector: keychain.Selector(s.keys, kind, s.now), Algorithm: kind, Created: s.now.UnixMilli()}
		s.keys = append(s.keys, k)
		s.say("made %s", k.Selector)
	}
	for _, k := range c.Put {
		i := slices.IndexFunc(s.keys, func(o *directorypb.DkimKey) bool { return o.Selector == k.Selector })
		s.keys[i] = k
		s.say("%s is %s", k.Selector, keychain.StateOf(k, s.now))
	}
	for _, k := range c.Remove {
		s.keys = slices.DeleteFunc(s.keys, func(o *directorypb.DkimKey) bool { return o.Selector == k.Selector })
		s.say("removed %s", k.Selector)
	}
}

// run lets days pass.
func (s *story) run(days int, rotate time.Duration) {
	for range days {
		s.do(keychain.Plan(keychain.Facts{Keys: s.keys, Seen: s.seen, Now: s.now, Rotate: rotate}))
		if again := keychain.Plan(keychain.Facts{Keys: s.keys, Seen: s.seen, Now: s.now, Rotate: rotate}); !again.Empty() {
			s.t.Errorf("%v: what was done is due again: %+v", s.now, again)
		}
		for _, k := range s.keys {
			if s.publishes && s.seen[k.Selector] == keychain.Unknown {
				s.seen[k.Selector] = keychain.Published
			}
			if s.cleans && keychain.StateOf(k, s.now) == keychain.Removable {
				s.seen[k.Selector] = keychain.Missing
			}
		}
		s.now = s.now.Add(day)
	}
}

func (s *story) expect(want string) {
	s.t.Helper()
	if got := strings.Join(s.log, "\n"); got != strings.TrimSpace(want) {
		s.t.Errorf("it went:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
	}
	s.log = nil
}

// TestLife: with DNS that follows, a key is made, signs, and is followed by another.
func TestLife(t *testing.T) {
	s := newStory(t)
	s.publishes, s.cleans = true, true
	s.run(210, 180*day)
	s.expect(`
2026-11-20: made rk202611r
2026-11-20: made rk202611e
2026-11-21: rk202611r is signing
2026-11-21: rk202611e is signing
2027-05-20: made rk202705r
2027-05-20: made rk202705e
2027-05-21: rk202705r is signing
2027-05-21: rk202611r is retiring
2027-05-21: rk202705e is signing
2027-05-21: rk202611e is retiring
2027-06-05: removed rk202611r
2027-06-05: removed rk202611e`)
}

// TestByHand: where nobody publishes the successor, the old key goes on.
func TestByHand(t *testing.T) {
	s := newStory(t)
	s.run(30, 180*day) // nothing is published: nothing signs
	s.expect("2026-11-20: made rk202611r\n2026-11-20: made rk202611e")
	s.seen["rk202611r"] = keychain.Published
	s.run(400, 180*day)
	s.expect("2026-12-20: rk202611r is signing\n2027-06-18: made rk202706r")
	s.run(400, 180*day)
	s.expect("")
	s.seen["rk202706r"] = keychain.Published
	s.run(60, 0) // the old record is never taken out of DNS
	s.expect("2029-02-27: rk202706r is signing\n2029-02-27: rk202611r is retiring\n2029-04-12: removed rk202611r")
	s.run(1000, 0)
	s.expect("")
}

// TestVerbs: what an operator does to keys.
func TestVerbs(t *testing.T) {
	s := newStory(t)
	s.run(1, 0)
	verb := func(c keychain.Change, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		s.do(c)
	}
	refused := func(_ keychain.Change, err error) {
		t.Helper()
		if !errors.Is(err, keychain.ErrKey) {
			t.Errorf("not refused: %v", err)
		}
	}
	refused(keychain.Activate(s.keys, "other", s.now))
	refused(keychain.Retire(s.keys, "rk202611r", s.now))
	verb(keychain.Activate(s.keys, "rk202611r", s.now))
	refused(keychain.Activate(s.keys, "rk202611r", s.now))
	refused(keychain.Remove(s.keys, "rk202611r", false, s.now))
	s.do(keychain.Change{Make: []string{dkim.RSA, dkim.RSA}})
	verb(keychain.Activate(s.keys, "rk202611r3", s.now))
	refused(keychain.Remove(s.keys, "rk202611r", false, s.now))
	verb(keychain.Activate(s.keys, "rk202611r", s.now)) // back again
	verb(keychain.Retire(s.keys, "rk202611r", s.now))
	verb(keychain.Remove(s.keys, "rk202611r", true, s.now))
	verb(keychain.Remove(s.keys, "rk202611e", false, s.now))
	s.expect(`
2026-11-20: made rk202611r
2026-11-20: made rk202611e
2026-11-21: rk202611r is signing
2026-11-21: made rk202611r2
2026-11-21: made rk202611r3
2026-11-21: rk202611r3 is signing
2026-11-21: rk202611r is retiring
2026-11-21: removed rk202611r2
2026-11-21: rk202611r is signing
2026-11-21: rk202611r3 is retiring
2026-11-21: rk202611r is retiring
2026-11-21: removed rk202611r
2026-11-21: removed rk202611e`)
}

func TestSigners(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	private, err := dkim.Generate(dkim.Ed25519, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := func(selector string, from, until int64) *directorypb.DkimKey {
		return &directorypb.DkimKey{Domain: "example.org", Selector: selector, Algorithm: dkim.Ed25519, PrivateKey: private, SignsFrom: from, SignsUntil: until}
	}
	got, err := keychain.Signers([]*directorypb.DkimKey{key("old", 1, 5), key("waits", 0, 0), key("first", 2, 0), key("second", 3, 0)}, now)
	if err != nil || len(got) != 1 || got[0].Selector != "second" {
		t.Errorf("%v, %v", got, err)
	}
	broken := key("broken", 9, 0)
	broken.PrivateKey = []byte("x")
	if _, err := keychain.Signers([]*directorypb.DkimKey{broken}, now); !errors.Is(err, dkim.ErrKey) {
		t.Errorf("a key that cannot be read: %v", err)
	}
}

// TestSecrets: a secret gets a successor, which every node knows before it is used, and is known for longer than
// an address made with it is good for.
func TestSecrets(t *testing.T) {
	start := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	var secrets []keychain.Secret
	if _, ok := keychain.InUse(secrets, start); ok {
		t.Error("there is one in use before there is any")
	}
	var log []string
	used := uint64(0)
	for now := start; now.Before(start.Add(220 * day)); now = now.Add(time.Hour) {
		say := func(what string, number uint64) {
			log = append(log, fmt.Sprintf("%v %s %d", now.Sub(start), what, number))
		}
		number, retire, forget := keychain.SecretsDue(secrets, now)
		if number != 0 {
			secrets = append(secrets, keychain.Secret{Number: number, Secret: &directorypb.Secret{Created: now.UnixMilli()}})
			say("made", number)
		}
		for _, r := range retire {
			i := slices.IndexFunc(secrets, func(s keychain.Secret) bool { return s.Number == r.Number })
			secrets[i] = r
		}
		for _, f := range forget {
			secrets = slices.DeleteFunc(secrets, func(s keychain.Secret) bool { return s.Number == f.Number })
			say("forgot", f.Number)
		}
		if s, ok := keychain.InUse(secrets, now); !ok {
			t.Fatal("none in use")
		} else if s.Number != used {
			used = s.Number
			say("uses", used)
		}
	}
	want := "0s made 1\n0s uses 1\n2160h0m0s made 2\n2161h0m0s uses 2\n2880h0m0s forgot 1\n4320h0m0s made 3\n4321h0m0s uses 3\n5040h0m0s forgot 2"
	if got := strings.Join(log, "\n"); got != want {
		t.Errorf("it went:\n%s\nwant:\n%s", got, want)
	}
}

func TestSecretNames(t *testing.T) {
	s := keychain.Secret{Number: 12, Secret: &directorypb.Secret{Key: []byte("x")}}
	back, ok := keychain.SecretOf(keychain.SRS, s.Record(keychain.SRS))
	if !ok || back.Number != 12 || string(back.Key) != "x" {
		t.Errorf("%v, %v", back, ok)
	}
	if _, ok := keychain.SecretOf(keychain.BATV, s.Record(keychain.SRS)); ok {
		t.Error("a secret is taken for one of another use")
	}
}
