package batv_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/mta/batv"
)

func keys() []batv.Key {
	return []batv.Key{{Number: 12, Secret: []byte("the older one")}, {Number: 13, Secret: []byte("the newer one")}}
}

func TestTag(t *testing.T) {
	now := time.Date(2026, 11, 20, 23, 59, 0, 0, time.UTC)
	for _, sender := range []string{"ann@example.org", "Ann.Lee+x@example.org", `"a b"@example.org`, "grüße@example.org", "prvs=1@example.org",
		strings.Repeat("a", 48) + "@example.org"} {
		for _, k := range keys() {
			text := batv.Tag(sender, k, now)
			if text == sender || !batv.Tagged(text) || !batv.Fits(sender) {
				t.Fatalf("%s is tagged as %s", sender, text)
			}
			for _, came := range []string{text, strings.Replace(text, "prvs=", "PRVS=", 1)} {
				for days, good := range map[int]bool{0: true, 1: true, batv.Life: true, batv.Life + 1: false, -1: false, 500: false} {
					plain, tagged, err := batv.Untag(came, keys(), now.AddDate(0, 0, days))
					if !tagged || good != (err == nil) || good && plain != sender || !good && !errors.Is(err, batv.ErrTag) {
						t.Errorf("%s after %d days: %q, %v, %v", came, days, plain, tagged, err)
					}
				}
			}
		}
	}
}

// TestForm: tags of before are known after an upgrade.
func TestForm(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	if got := batv.Tag("Ann@example.org", batv.Key{Number: 12, Secret: []byte("a secret")}, now); got != "prvs=2791b2df72=Ann@example.org" {
		t.Errorf("the tagged address is %s", got)
	}
}

func TestNotTagged(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for _, sender := range []string{"", "postmaster", "no address", strings.Repeat("a", 49) + "@example.org"} {
		if got := batv.Tag(sender, keys()[0], now); got != sender || batv.Fits(sender) {
			t.Errorf("%q is tagged as %q", sender, got)
		}
	}
	for _, text := range []string{"", "ann@example.org", "prvs=ann@example.org", "prvs=12x4567890=ann@example.org", "prvs=1234567890=@example.org", "prvs=1234567890ann@example.org"} {
		if plain, tagged, err := batv.Untag(text, keys(), now); tagged || err != nil || plain != text || batv.Tagged(text) {
			t.Errorf("%q: %q, %v, %v", text, plain, tagged, err)
		}
	}
}

// TestForged: neither an address nor a day nor a key can be changed under a tag.
func TestForged(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	good := batv.Tag("ann@example.org", keys()[1], now)
	day := good[len("prvs=")+1:][:3]
	for _, text := range []string{
		strings.Replace(good, "ann", "bob", 1), strings.Replace(good, "example.org", "example.net", 1),
		strings.Replace(good, "prvs=3", "prvs=2", 1), strings.Replace(good, "prvs=3", "prvs=4", 1),
		strings.Replace(good, "3"+day, "3333", 1), "prvs=3" + day + "000000=ann@example.org",
	} {
		if text == good {
			t.Fatalf("%s was not changed", text)
		}
		if plain, tagged, err := batv.Untag(text, keys(), now); !tagged || !errors.Is(err, batv.ErrTag) {
			t.Errorf("%s is taken for %s", text, plain)
		}
	}
	if _, _, err := batv.Untag(good, nil, now); !errors.Is(err, batv.ErrTag) {
		t.Errorf("without keys: %v", err)
	}
}

func FuzzUntag(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add("ann@example.org", uint64(3))
	f.Add(`"a=b"@example.org`, uint64(10))
	f.Add("prvs=1234567890=ann@example.org", uint64(0))
	f.Fuzz(func(t *testing.T, text string, number uint64) {
		k := batv.Key{Number: number, Secret: []byte("a secret")}
		if _, tagged, err := batv.Untag(text, []batv.Key{{Number: number, Secret: []byte("another")}}, now); tagged != batv.Tagged(text) || !tagged && err != nil {
			t.Errorf("%q: tagged %v, %v", text, tagged, err)
		}
		came := batv.Tag(text, k, now)
		if came == text {
			return
		}
		plain, tagged, err := batv.Untag(came, []batv.Key{k}, now)
		if err != nil || !tagged || batv.Tag(plain, k, now) != came {
			t.Errorf("%q became %q and %q, %v", text, came, plain, err)
		}
	})
}
