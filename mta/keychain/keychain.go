// Package keychain decides what becomes of the keys that mail is signed with: when a domain gets one, when it begins to
// sign, when another takes its place, and when it is forgotten. Keys are records of cluster/directory; what DNS shows
// of them, the time and the settings come in as parameters. It makes no keys and writes nothing.
//
// A DKIM key waits until DNS publishes it, so that nothing is signed that nobody can verify. Then it signs, and the one before
// it of the same kind retires: it stays published for Overlap, since mail is on its way for days, and is forgotten after
// that. Who cannot change DNS loses nothing: the old key signs for as long as the new one waits.
package keychain

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/dkim"
)

const (
	// Overlap is for how long a key stays published that signs no more.
	Overlap = 14 * 24 * time.Hour
	// forgotten is when a key goes though its record is still in DNS.
	forgotten = Overlap + 30*24*time.Hour
)

// ErrKey says that there is no such key, or that it cannot do what was asked.
var ErrKey = errors.New("no key for that")

// State is how far a key has come.
type State string

// The states.
const (
	Waiting   State = "waiting"   // for DNS to publish it
	Signing   State = "signing"   // and published
	Retiring  State = "retiring"  // it signs no more, and has to stay published
	Removable State = "removable" // its record may be taken out of DNS
)

// StateOf says how far a key is.
func StateOf(k *directorypb.DkimKey, now time.Time) State {
	switch {
	case k.SignsUntil != 0 && now.Sub(time.UnixMilli(k.SignsUntil)) >= Overlap:
		return Removable
	case k.SignsUntil != 0:
		return Retiring
	case k.SignsFrom != 0:
		return Signing
	}
	return Waiting
}

// Seen is what DNS shows of a key.
type Seen int

// What DNS can show.
const (
	Unknown Seen = iota // it gave no answer
	Missing             // there is nothing at the key's name
	Differs             // there is something else
	Published
)

// String gives the word for it.
func (s Seen) String() string {
	return [...]string{"unknown", "missing", "differs", "published"}[s]
}

// Facts are what is known of the keys of a domain.
type Facts struct {
	Keys   []*directorypb.DkimKey
	Seen   map[string]Seen // by selector
	Now    time.Time
	Rotate time.Duration // after which a key gets a successor; 0: never
}

// Change is what is to be done to the keys of a domain, all at once.
type Change struct {
	Make   []string               // keys of these kinds are to be made: dkim.RSA, dkim.Ed25519
	Put    []*directorypb.DkimKey // with what they are from now on
	Remove []*directorypb.DkimKey
}

// Empty reports whether nothing is to be done.
func (c Change) Empty() bool { return len(c.Make)+len(c.Put)+len(c.Remove) == 0 }

// Plan says what is due for a domain whose keys are looked after. A domain has a key of each kind.
func Plan(f Facts) (c Change) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		keys := ofKind(f.Keys, kind)
		signing, waiting := inState(keys, Signing, f.Now), inState(keys, Waiting, f.Now)
		old := len(signing) > 0 && f.Rotate > 0 && f.Now.Sub(time.UnixMilli(signing[0].SignsFrom)) >= f.Rotate
		if len(waiting) == 0 && (len(signing) == 0 || old) {
			c.Make = append(c.Make, kind)
		}
		for _, k := range waiting { // the newest first
			if f.Seen[k.Selector] == Published {
				put, remove := begin(keys, k, f.Now)
				c.Put, c.Remove = append(c.Put, put...), append(c.Remove, remove...)
				break
			}
		}
	}
	for _, k := range f.Keys {
		age := f.Now.Sub(time.UnixMilli(k.SignsUntil))
		if StateOf(k, f.Now) == Removable && (f.Seen[k.Selector] == Missing || age >= forgotten) {
			c.Remove = append(c.Remove, k)
		}
	}
	return c
}

// ofKind gives the keys of a kind, the newest first.
func ofKind(keys []*directorypb.DkimKey, kind string) (out []*directorypb.DkimKey) {
	for _, k := range keys {
		if k.Algorithm == kind {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b *directorypb.DkimKey) int {
		return cmp.Or(cmp.Compare(b.SignsFrom, a.SignsFrom), cmp.Compare(b.Created, a.Created), cmp.Compare(b.Selector, a.Selector))
	})
	return out
}

func inState(keys []*directorypb.DkimKey, s State, now time.Time) (out []*directorypb.DkimKey) {
	for _, k := range keys {
		if StateOf(k, now) == s {
			out = append(out, k)
		}
	}
	return out
}

// begin has a key sign in the place of others of its kind. Those that still waited and are older have missed their turn.
func begin(keys []*directorypb.DkimKey, k *directorypb.DkimKey, now time.Time) (put, remove []*directorypb.DkimKey) {
	k = proto.CloneOf(k)
	k.SignsFrom, k.SignsUntil = now.UnixMilli(), 0
	put = append(put, k)
	for _, other := range keys {
		switch {
		case other.Selector == k.Selector:
		case StateOf(other, now) == Signing:
			put = append(put, ended(other, now))
		case StateOf(other, now) == Waiting && other.Created <= k.Created:
			remove = append(remove, other)
		}
	}
	return put, remove
}

func ended(k *directorypb.DkimKey, now time.Time) *directorypb.DkimKey {
	k = proto.CloneOf(k)
	k.SignsUntil = now.UnixMilli()
	return k
}

// Activate has a key sign from now on, whatever DNS shows. The error is ErrKey.
func Activate(keys []*directorypb.DkimKey, selector string, now time.Time) (Change, error) {
	k, err := find(keys, selector)
	if err != nil {
		return Change{}, err
	}
	if StateOf(k, now) == Signing {
		return Change{}, fmt.Errorf("key %s signs already: %w", selector, ErrKey)
	}
	put, remove := begin(ofKind(keys, k.Algorithm), k, now)
	return Change{Put: put, Remove: remove}, nil
}

// Retire has a key sign no more. The error is ErrKey.
func Retire(keys []*directorypb.DkimKey, selector string, now time.Time) (Change, error) {
	k, err := find(keys, selector)
	if err != nil {
		return Change{}, err
	}
	if s := StateOf(k, now); s != Signing {
		return Change{}, fmt.Errorf("key %s is %s and does not sign: %w", selector, s, ErrKey)
	}
	return Change{Put: []*directorypb.DkimKey{ended(k, now)}}, nil
}

// Remove forgets a key: one that may still be needed, since it signs or did lately, only by force. The error is ErrKey.
func Remove(keys []*directorypb.DkimKey, selector string, force bool, now time.Time) (Change, error) {
	k, err := find(keys, selector)
	if err != nil {
		return Change{}, err
	}
	if s := StateOf(k, now); !force && (s == Signing || s == Retiring) {
		return Change{}, fmt.Errorf("key %s is %s: mail that it signed is on its way: %w", selector, s, ErrKey)
	}
	return Change{Remove: []*directorypb.DkimKey{k}}, nil
}

func find(keys []*directorypb.DkimKey, selector string) (*directorypb.DkimKey, error) {
	for _, k := range keys {
		if k.Selector == selector {
			return k, nil
		}
	}
	return nil, fmt.Errorf("there is no key %q: %w", selector, ErrKey)
}

// Selector is a name for a new key that no other of the domain has: rk, the month, and r or e for its kind.
func Selector(keys []*directorypb.DkimKey, kind string, now time.Time) string {
	stem := "rk" + now.UTC().Format("200601") + kind[:1]
	name := stem
	for n := 2; ; n++ {
		if _, err := find(keys, name); err != nil {
			return name
		}
		name = fmt.Sprintf("%s%d", stem, n)
	}
}

// Signers are the keys that sign now, one of each kind, RSA first. The error is dkim.ErrKey for one that cannot be
// read.
func Signers(keys []*directorypb.DkimKey, now time.Time) (out []dkim.Key, err error) {
	for _, kind := range []string{dkim.RSA, dkim.Ed25519} {
		signing := inState(ofKind(keys, kind), Signing, now)
		if len(signing) == 0 {
			continue
		}
		k, err := dkim.NewKey(signing[0].Domain, signing[0].Selector, signing[0].PrivateKey)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}
