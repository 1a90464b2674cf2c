package login_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/guard"
)

// watchman is a Guard that does what the test says, and notes what it is told.
type watchman struct {
	trusts bool
	banned func(netip.Addr) bool // nil: nobody
	wait   time.Duration
	told   []string
	users  map[guard.User]int // numbered as they are first met
}

func (w *watchman) Trusts(netip.Addr) bool { return w.trusts }

func (w *watchman) Banned(remote netip.Addr) bool { return w.banned != nil && w.banned(remote) }

func (w *watchman) Failed(remote netip.Addr, user guard.User) time.Duration {
	w.note("failed", remote, user)
	return w.wait
}

func (w *watchman) Succeeded(remote netip.Addr, user guard.User) { w.note("logged in", remote, user) }

func (w *watchman) note(what string, remote netip.Addr, user guard.User) {
	if w.users == nil {
		w.users = map[guard.User]int{}
	}
	if _, met := w.users[user]; !met {
		w.users[user] = len(w.users) + 1
	}
	w.told = append(w.told, fmt.Sprintf("%d %s from %v", w.users[user], what, remote))
}

// heard ends the test unless the guard was told this since the last time.
func (w *watchman) heard(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.told, want) {
		t.Errorf("the guard was told %q, want %q", w.told, want)
	}
	w.told = nil
}

func bySCRAM(t *testing.T, h *house, user, password string, remote netip.Addr) error {
	t.Helper()
	_, err := scramTalk(t, h, "SCRAM-SHA-256", login.Conn{Remote: remote}, scramClient(t, user, password, "").NewConversation())
	return err
}

// TestGuardIsTold: of guesses and of logins, by the user whatever was typed and whatever the password is, and
// of nothing else.
func TestGuardIsTold(t *testing.T) {
	w := &watchman{}
	h := newHouse(t, login.Config{Guard: w, AccountBurst: 4})
	h.want(t, "ann", "guess", there(), login.ErrBadCredentials)
	h.want(t, "ANN@example.com", "guess again", there(), login.ErrBadCredentials)
	if err := bySCRAM(t, h, "ann", "wrong", there()); !errors.Is(err, login.ErrBadCredentials) {
		t.Errorf("a guess by SCRAM: %v", err)
	}
	h.want(t, "nobody", "guess", there(), login.ErrBadCredentials)
	w.heard(t, "1 failed from 2001:db8:1:2::1", "1 failed from 2001:db8:1:2::1", "1 failed from 2001:db8:1:2::1", "2 failed from 2001:db8:1:2::1")

	h.want(t, "ann", "guess", there(), login.ErrBadCredentials) // the same once more
	w.heard(t)
	h.want(t, "bob", "staple", there(), nil)
	h.want(t, "bob", "staple", there(), nil)
	if err := bySCRAM(t, h, "ann@example.com", "correct horse", here()); err != nil {
		t.Error(err)
	}
	w.heard(t, "3 logged in from 2001:db8:1:2::1", "3 logged in from 2001:db8:1:2::1", "1 logged in from 192.0.2.1")

	changed, err := credential.Derive("new", []byte("another salt"), credential.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	h.directory.Must(t)(directory.UpdateAccount(h.bob, directory.AccountChange{Credential: &changed}))
	h.want(t, "bob", "staple", there(), login.ErrBadCredentials)
	h.want(t, "bob", "new", there(), nil)
	w.heard(t, "3 failed from 2001:db8:1:2::1", "3 logged in from 2001:db8:1:2::1")

	// What is refused without a look at the secret, or with the right one, is no guess.
	h.want(t, "ann", "1", there(), login.ErrBadCredentials)
	w.heard(t, "1 failed from 2001:db8:1:2::1")
	h.want(t, "ann", "2", there(), login.ErrThrottled)
	yes := true
	h.directory.Must(t)(directory.UpdateAccount(h.bob, directory.AccountChange{Disabled: &yes}))
	h.want(t, "bob", "new", there(), login.ErrDisabled)
	for _, said := range []string{"junk", "ann@example.com\x00bob@example.com\x00new"} {
		if _, _, err := talk(t, h, "PLAIN", secure(), []byte(said)); err == nil {
			t.Errorf("%q was let in", said)
		}
	}
	w.heard(t)
}

// TestFailuresWait: the answer to a guess waits as the guard says, by every mechanism; nobody else does, and
// not once the client is gone.
func TestFailuresWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watchman{wait: 3 * time.Second}
		h := newHouse(t, login.Config{Guard: w, Parallel: 1})
		took := func(what string, want time.Duration, attempt func()) {
			t.Helper()
			began := time.Now()
			attempt()
			if got := time.Since(began); got != want {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		took("a guess", w.wait, func() { h.want(t, "ann", "guess", there(), login.ErrBadCredentials) })
		took("the same once more", 0, func() { h.want(t, "ann", "guess", there(), login.ErrBadCredentials) })
		took("a login", 0, func() { h.want(t, "ann", "correct horse", there(), nil) })
		took("a guess by SCRAM", w.wait, func() {
			if err := bySCRAM(t, h, "nobody", "wrong", there()); !errors.Is(err, login.ErrBadCredentials) {
				t.Error(err)
			}
		})
		took("a guess by LOGIN", w.wait, func() {
			if _, _, err := talk(t, h, "LOGIN", secure(), nil, []byte("bob"), []byte("wrong")); !errors.Is(err, login.ErrBadCredentials) {
				t.Error(err)
			}
		})
		done := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(done) })
		took("a guess of one who goes", time.Second, func() {
			conn := secure()
			conn.Done = done
			if _, _, err := talk(t, h, "PLAIN", conn, []byte("\x00bob\x00other")); !errors.Is(err, login.ErrBadCredentials) {
				t.Error(err)
			}
		})
		// Who waits holds no processor: there is one.
		waiting := make(chan error)
		go func() {
			_, err := h.Plain(t.Context(), "ann", "third", there())
			waiting <- err
		}()
		synctest.Wait()
		took("a login beside one who waits", 0, func() { h.want(t, "bob", "staple", here(), nil) })
		if err := <-waiting; !errors.Is(err, login.ErrBadCredentials) {
			t.Error(err)
		}
	})
}

// TestBanned: from a banned address nobody logs in, by no mechanism, not even who did before.
func TestBanned(t *testing.T) {
	banned := false
	w := &watchman{banned: func(addr netip.Addr) bool { return banned && addr == here() }}
	h := newHouse(t, login.Config{Guard: w})
	h.want(t, "ann", "correct horse", here(), nil)
	banned = true
	h.want(t, "ann", "correct horse", here(), login.ErrThrottled)
	h.want(t, "ann", "wrong", here(), login.ErrThrottled)
	h.want(t, "ann", "correct horse", there(), nil)
	if err := bySCRAM(t, h, "ann", "correct horse", here()); !errors.Is(err, login.ErrThrottled) {
		t.Errorf("by SCRAM: %v", err)
	}
	banned = false
	h.want(t, "ann", "correct horse", here(), nil)
}

// TestBannedInTheQueue: a guess that waited for a processor while its network was banned is not checked any
// more.
func TestBannedInTheQueue(t *testing.T) {
	asked := 0
	w := &watchman{banned: func(netip.Addr) bool { asked++; return asked > 1 }}
	h := newHouse(t, login.Config{Guard: w})
	h.want(t, "ann", "correct horse", here(), login.ErrThrottled)
	if got := h.Stats().Computed; got != 0 || asked != 2 {
		t.Errorf("%d passwords were computed, the guard was asked %d times", got, asked)
	}
	asked = 0
	w.banned = nil
	h.want(t, "ann", "correct horse", here(), nil) // it is not remembered as wrong
}

// TestTrustedIsNotSlowedDown: many users fail from a network that is trusted, and the next one gets in; each
// account is slowed down all the same.
func TestTrustedIsNotSlowedDown(t *testing.T) {
	w := &watchman{trusts: true}
	h := newHouse(t, login.Config{Guard: w, AddressBurst: 3, AddressRefill: time.Hour, AccountBurst: 2})
	for i := range 10 {
		h.want(t, fmt.Sprint("user", i), "guess", there(), login.ErrBadCredentials)
	}
	h.want(t, "bob", "staple", there(), nil)
	for i := range 2 {
		h.want(t, "ann", fmt.Sprint("guess", i), there(), login.ErrBadCredentials)
	}
	h.want(t, "ann", "guess", there(), login.ErrThrottled)
	w.trusts = false
	h.want(t, "bob", "staple", there(), login.ErrThrottled)
}
