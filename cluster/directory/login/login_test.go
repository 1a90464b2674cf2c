package login_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/directory/login"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is an authenticator over a directory with ann and bob, and a clock that the test moves.
type house struct {
	*login.Authenticator
	directory *directorytest.Directory
	ann, bob  cluster.AccountID
	now       time.Time
}

func newHouse(t testing.TB, config login.Config) *house {
	t.Helper()
	h := &house{directory: directorytest.New(t, "example.com"), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	h.directory.Must(t)(directory.SetSetting("password_iterations", fmt.Sprint(directorytest.Iterations)))
	h.ann = h.directory.AddAccount(t, "ann@example.com", "correct horse")
	h.bob = h.directory.AddAccount(t, "bob@example.com", "staple")
	config.Directory = h.directory
	config.Clock = func() time.Time { return h.now }
	a, err := login.New(config)
	if err != nil {
		t.Fatal(err)
	}
	h.Authenticator = a
	return h
}

// here and there are two networks.
func here() netip.Addr  { return netip.MustParseAddr("192.0.2.1") }
func there() netip.Addr { return netip.MustParseAddr("2001:db8:1:2::1") }

func (h *house) want(t *testing.T, user, password string, remote netip.Addr, want error) {
	t.Helper()
	id, err := h.Plain(t.Context(), user, password, remote)
	if !errors.Is(err, want) || (err == nil) != (id != login.Identity{}) {
		t.Errorf("%s with %q from %v: %v, %v; want %v", user, password, remote, id, err, want)
	}
}

func TestPlain(t *testing.T) {
	h := newHouse(t, login.Config{})
	h.directory.AddAccount(t, "nopass@example.com", "")
	for _, c := range []struct {
		user, password string
		want           error
	}{
		{"ann@example.com", "correct horse", nil},
		{"ANN@Example.COM", "correct horse", nil},
		{`"ann"@example.com.`, "correct horse", nil},
		{"ann", "correct horse", nil},
		{"Ann", "correct horse", nil},
		{"ann@example.com", "correct Horse", login.ErrBadCredentials},
		{"ann@example.com", "", login.ErrBadCredentials},
		{"ann@example.com", "staple", login.ErrBadCredentials},
		{"ann+x@example.com", "correct horse", login.ErrBadCredentials},
		{"nobody@example.com", "correct horse", login.ErrBadCredentials},
		{"ann@elsewhere.example", "correct horse", login.ErrBadCredentials},
		{"nopass@example.com", "", login.ErrBadCredentials},
		{"", "", login.ErrBadCredentials},
		{"@", "x", login.ErrBadCredentials},
		{"a\x00b@example.com", "x", login.ErrBadCredentials},
	} {
		h.want(t, c.user, c.password, here(), c.want)
		h.want(t, c.user, c.password, here(), c.want) // and from memory
	}
	id, err := h.Plain(t.Context(), "ann", "correct horse", here())
	if err != nil || id != (login.Identity{Account: h.ann, Address: "ann@example.com"}) {
		t.Errorf("ann is %v, %v", id, err)
	}
	h.directory.Must(t)(directory.CreateDomain("second.example", ""))
	h.want(t, "ann", "correct horse", here(), login.ErrBadCredentials)
}

// TestMemory holds that a login is computed once, right or wrong, and that what is remembered ends
// with the password, the account's right to log in, and time.
func TestMemory(t *testing.T) {
	h := newHouse(t, login.Config{CacheTime: time.Hour})
	computed := func(want uint64) {
		t.Helper()
		if got := h.Stats().Computed; got != want {
			t.Errorf("%d passwords were computed, want %d", got, want)
		}
	}
	h.want(t, "ann", "correct horse", here(), nil)
	h.want(t, "ann", "correct horse", there(), nil)
	computed(1)
	h.want(t, "ann", "wrong", here(), login.ErrBadCredentials)
	h.want(t, "ann", "wrong", here(), login.ErrBadCredentials)
	computed(2)
	h.want(t, "nobody", "wrong", here(), login.ErrBadCredentials)
	h.want(t, "NoBody", "wrong", here(), login.ErrBadCredentials)
	h.want(t, "ann@nowhere.example", "wrong", here(), login.ErrBadCredentials)
	computed(4) // who is not there costs as much as who is

	h.now = h.now.Add(59 * time.Minute)
	h.want(t, "ann", "correct horse", here(), nil)
	computed(4)
	h.want(t, "ann", "wrong", here(), login.ErrBadCredentials)
	computed(5)
	h.now = h.now.Add(time.Minute)
	h.want(t, "ann", "correct horse", here(), nil)
	computed(6)

	yes, no := true, false
	h.directory.Must(t)(directory.UpdateAccount(h.ann, directory.AccountChange{Disabled: &yes}))
	h.want(t, "ann", "correct horse", here(), login.ErrDisabled)
	h.want(t, "ann", "guess", here(), login.ErrBadCredentials)
	h.directory.Must(t)(directory.UpdateAccount(h.ann, directory.AccountChange{Disabled: &no}))
	h.want(t, "ann", "correct horse", here(), nil)
	computed(7)

	changed, err := credential.Derive("wrong", []byte("another salt"), credential.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	h.directory.Must(t)(directory.UpdateAccount(h.ann, directory.AccountChange{Credential: &changed}))
	h.want(t, "ann", "correct horse", here(), login.ErrBadCredentials)
	h.want(t, "ann", "wrong", here(), nil)
	h.directory.Must(t)(directory.DeleteAccount(h.ann))
	h.want(t, "ann", "wrong", here(), login.ErrBadCredentials)
}

func TestAccountIsSlowedDown(t *testing.T) {
	h := newHouse(t, login.Config{AccountBurst: 3, AccountRefill: time.Minute})
	h.want(t, "ann", "correct horse", here(), nil)
	for i := range 3 {
		h.want(t, "ann", fmt.Sprint("guess", i), there(), login.ErrBadCredentials)
	}
	h.want(t, "ann", "guess", there(), login.ErrThrottled)
	h.want(t, "ann", "correct horse", there(), login.ErrThrottled) // a right guess is not told
	h.want(t, "ann", "correct horse", here(), nil)                 // but the owner's place is not closed
	h.want(t, "bob", "staple", there(), nil)
	h.now = h.now.Add(time.Minute)
	h.want(t, "ann", "correct horse", there(), nil)
	if got := h.Stats().Throttled; got != 2 {
		t.Errorf("%d throttled, want 2", got)
	}
}

func TestNetworkIsSlowedDown(t *testing.T) {
	h := newHouse(t, login.Config{AddressBurst: 3, AddressRefill: time.Minute})
	for i := range 3 {
		h.want(t, fmt.Sprint("user", i), "guess", there(), login.ErrBadCredentials)
	}
	h.want(t, "bob", "staple", there(), login.ErrThrottled)
	h.want(t, "bob", "staple", netip.MustParseAddr("2001:db8:1:2:ffff::"), login.ErrThrottled)
	h.want(t, "bob", "staple", netip.MustParseAddr("2001:db8:1:3::1"), nil)
	for i := range 5 {
		h.want(t, fmt.Sprint("other", i), "guess", netip.MustParseAddr("::ffff:127.0.0.1"), login.ErrBadCredentials)
		h.want(t, fmt.Sprint("more", i), "guess", netip.Addr{}, login.ErrBadCredentials)
	}
	h.now = h.now.Add(time.Minute)
	h.want(t, "bob", "staple", there(), nil)
	h.want(t, "bob", "guess", there(), login.ErrBadCredentials)
	h.want(t, "bob", "guess again", there(), login.ErrThrottled)
}

// TestStorm has many clients log in at once, some of them wrong.
func TestStorm(t *testing.T) {
	h := newHouse(t, login.Config{Parallel: 2, AccountBurst: 1000})
	const clients = 40
	var wg sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		wg.Go(func() {
			password := "correct horse"
			if i%2 == 1 {
				password = fmt.Sprint("guess", i)
			}
			_, errs[i] = h.Plain(t.Context(), "ann", password, here())
		})
	}
	wg.Wait()
	for i, err := range errs {
		if i%2 == 0 && err != nil || i%2 == 1 && !errors.Is(err, login.ErrBadCredentials) {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if s := h.Stats(); s.Succeeded != clients/2 || s.Refused != clients/2 || s.Waiting != 0 {
		t.Errorf("counted %+v", s)
	}
}

func TestCancelled(t *testing.T) {
	h := newHouse(t, login.Config{Parallel: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Whoever is alone does not wait: the gate is open.
	if _, err := h.Plain(ctx, "ann", "correct horse", here()); err != nil {
		t.Errorf("an open gate: %v", err)
	}
}

func benchmark(b *testing.B, config login.Config, password func(i int) string) {
	h := newHouse(b, config)
	h.directory.Must(b)(directory.SetSetting("password_iterations", fmt.Sprint(credential.Iterations)))
	strong, err := credential.Derive("correct horse", []byte("0123456789abcdef"), credential.Iterations)
	if err != nil {
		b.Fatal(err)
	}
	h.directory.Must(b)(directory.UpdateAccount(h.ann, directory.AccountChange{Credential: &strong}))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		h.now = h.now.Add(time.Second)
		_, err := h.Plain(b.Context(), "ann@example.com", password(i), here())
		if err != nil && !errors.Is(err, login.ErrBadCredentials) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "logins/s")
}

// BenchmarkCold is a login that has to be computed.
func BenchmarkCold(b *testing.B) {
	benchmark(b, login.Config{AccountRefill: 1}, func(i int) string { return fmt.Sprint(i) })
}

// BenchmarkCached is a login that was good before.
func BenchmarkCached(b *testing.B) {
	benchmark(b, login.Config{CacheTime: 1 << 62}, func(int) string { return "correct horse" })
}
