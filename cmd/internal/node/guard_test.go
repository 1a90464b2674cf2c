package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/ban"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/cluster/guard"
	"github.com/rookery-mail/rookery/cluster/membership"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
)

// lookout is what of a node keeps guessers out. All of them share a directory.
type lookout struct {
	*Node
	guard *networkGuard
	auth  *login.Authenticator
}

func newLookout(t *testing.T, id cluster.NodeID, d *directorytest.Directory) *lookout {
	t.Helper()
	n := &Node{id: id, bans: ban.NewList(), log: slog.New(slog.DiscardHandler)}
	g := n.newNetworkGuard()
	g.settings = func() (directory.Settings, error) {
		snapshot := d.Snapshot()
		defer snapshot.Close()
		return directory.View{R: snapshot}.Settings()
	}
	auth, err := login.New(login.Config{Directory: d, Guard: g, GuardKey: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	return &lookout{Node: n, guard: g, auth: auth}
}

func newDirectory(t *testing.T, settings map[string]string) *directorytest.Directory {
	t.Helper()
	d := directorytest.New(t, "example.com")
	d.Must(t)(directory.SetSetting("password_iterations", strconv.Itoa(directorytest.Iterations)))
	for name, value := range settings {
		d.Must(t)(directory.SetSetting(name, value))
	}
	d.AddAccount(t, "ann@example.com", "correct horse")
	return d
}

// talking starts lookouts that gossip. They exchange all that is known only when they meet, so that what
// they hear of later came as a message.
func talking(t *testing.T, d *directorytest.Directory, wan bool) (out []*lookout) {
	t.Helper()
	key, err := membership.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l := newLookout(t, cluster.NodeID(fmt.Sprint("n", i)), d)
		gossip, err := membership.Start(t.Context(), membership.Config{
			Facts: membership.Facts{ID: l.id}, ClusterID: "c", Listen: "127.0.0.1:0", Key: key, WAN: wan, RejoinEvery: time.Hour,
			Receive: l.receiveGossip, Shared: defence{l.Node}, Clock: time.Now, Logger: l.log,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := gossip.Stop(); err != nil {
				t.Log(err) // nobody is left to hear the last one's goodbye
			}
		})
		l.Node.gossip.Store(gossip)
		life, cancel := context.WithCancel(t.Context())
		l.telling.Go(func() { l.guard.tellNews(life) })
		t.Cleanup(func() { // before the gossip ends
			cancel()
			l.telling.Wait()
		})
		if out = append(out, l); i > 0 {
			if err := gossip.Join(out[0].Node.gossip.Load().Address()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, l := range out {
		soon(t, "the nodes know each other", func() bool { return len(l.Node.gossip.Load().Members()) == len(out) })
	}
	return out
}

// soon waits until something holds, and returns when that was seen.
func soon(t *testing.T, what string, holds func() bool) time.Time {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return time.Now()
		}
	}
	t.Errorf("%s: never", what)
	return time.Time{}
}

// TestGuesserIsBannedEverywhere: who guesses on one node is kept out of all of them, and let in again by an
// operator on another one. How long the others took to hear of it is printed.
func TestGuesserIsBannedEverywhere(t *testing.T) {
	t.Parallel()
	for name, wan := range map[string]bool{"lan": false, "wan": true} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t, map[string]string{"ban_failures": "4", "ban_minutes": "30"})
			nodes := talking(t, d, wan)
			guesser, neighbour := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
			attempt := func(l *lookout, password string, remote netip.Addr) error {
				_, err := l.auth.Plain(t.Context(), "ann", password, remote)
				return err
			}
			for i := range 3 {
				if err := attempt(nodes[0], fmt.Sprint("guess", i), guesser); !errors.Is(err, login.ErrBadCredentials) {
					t.Errorf("guess %d: %v", i, err)
				}
			}
			began := time.Now()
			last := make(chan error, 1)
			go func() { last <- attempt(nodes[0], "guess", guesser) }()
			known := func(l *lookout) func() bool { return func() bool { return l.guard.Banned(guesser) } }
			here := soon(t, "the node bans", known(nodes[0]))
			for _, l := range nodes[1:] {
				heard := soon(t, "another node hears of the ban", known(l))
				t.Logf("%s knows of the ban %v after the node that made it", l.id, heard.Sub(here).Round(time.Millisecond))
			}
			if err := <-last; !errors.Is(err, login.ErrBadCredentials) {
				t.Errorf("the last guess: %v", err)
			}
			for _, l := range nodes {
				if err := attempt(l, "correct horse", guesser); !errors.Is(err, login.ErrThrottled) {
					t.Errorf("the guesser, at %s: %v", l.id, err)
				}
				if err := attempt(l, "correct horse", neighbour); err != nil {
					t.Errorf("a neighbour, at %s: %v", l.id, err)
				}
				bans, err := l.Bans(t.Context())
				if err != nil || len(bans) != 1 || bans[0].Network != "192.0.2.7/32" || bans[0].Reason != "4 failed logins within 15 minutes" ||
					bans[0].Until.Before(began.Add(29*time.Minute)) || bans[0].Until.After(time.Now().Add(31*time.Minute)) {
					t.Errorf("%s lists %+v, %v", l.id, bans, err)
				}
			}
			if nodes[0].guard.banned.Load() != 1 || nodes[1].guard.banned.Load() != 0 {
				t.Error("not one network was banned by the first node alone")
			}
			if err := nodes[2].LiftBan(t.Context(), "192.0.2.7"); err != nil {
				t.Fatal(err)
			}
			for _, l := range nodes {
				soon(t, "the ban is lifted", func() bool { return !l.guard.Banned(guesser) })
				if err := attempt(l, "correct horse", guesser); err != nil {
					t.Errorf("after the lift, at %s: %v", l.id, err)
				}
			}
		})
	}
}

// TestGuesserGoesRound: who guesses on one node after the other is slowed down and banned as if it were one, and a login
// on another node forgives what a user mistyped. What a node missed it hears when it comes back.
func TestGuesserGoesRound(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, map[string]string{"ban_failures": "12"})
	nodes := talking(t, d, false)
	guesser, typist := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.9")
	counted := func(l *lookout, network netip.Addr) int {
		s, err := l.guard.settings()
		if err != nil {
			t.Fatal(err)
		}
		return l.guard.tally.Count(ban.NetworkOf(network), l.guard.policy(s), time.Now())
	}
	everywhere := func(network netip.Addr, want int) {
		t.Helper()
		for _, l := range nodes {
			soon(t, fmt.Sprintf("%s counts %d failures of %v", l.id, want, network), func() bool { return counted(l, network) == want })
		}
	}
	for i := range 3 {
		if _, err := nodes[i].auth.Plain(t.Context(), "ann", fmt.Sprint("typo", i), typist); !errors.Is(err, login.ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	everywhere(typist, 3)
	if _, err := nodes[1].auth.Plain(t.Context(), "ann", "correct horse", typist); err != nil {
		t.Fatal(err)
	}
	everywhere(typist, 0)
	for i := range 11 {
		waited := nodes[i%3].guard.Failed(guesser, guard.User(i))
		if (waited > 0) != (i >= 3) {
			t.Errorf("failure %d waits %v", i+1, waited)
		}
		everywhere(guesser, i+1)
	}
	fresh := newLookout(t, "n9", d)
	defence{fresh.Node}.Merge(defence{nodes[0].Node}.State())
	if n := counted(fresh, guesser); n != 11 {
		t.Errorf("a node that was away counts %d failures", n)
	}
	nodes[2].guard.Failed(guesser, 99)
	for _, l := range nodes {
		soon(t, "the ban is known", func() bool { return l.guard.Banned(guesser) })
	}
	everywhere(guesser, 0)
	if a, b, c := nodes[0].guard.banned.Load(), nodes[1].guard.banned.Load(), nodes[2].guard.banned.Load(); a+b != 0 || c != 1 {
		t.Errorf("the nodes banned %d, %d and %d networks", a, b, c)
	}
}

// TestWhoIsNeverBanned: however often logins fail from the node itself, by a way without an address, or from
// a trusted network, and while bans are off.
func TestWhoIsNeverBanned(t *testing.T) {
	d := newDirectory(t, map[string]string{"ban_failures": "2", "trusted_networks": "198.51.100.0/24"})
	l := newLookout(t, "n1", d)
	fails := func(remote netip.Addr) (waited time.Duration) {
		for i := range 10 {
			waited += l.guard.Failed(remote, guard.User(i))
		}
		return waited
	}
	for _, spared := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:127.0.0.9"),
		netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("::ffff:198.51.100.78")} {
		if waited := fails(spared); waited != 0 || l.guard.Banned(spared) {
			t.Errorf("%v waits %v, or is banned", spared, waited)
		}
		l.guard.Succeeded(spared, 1)
	}
	if bans := l.bans.Bans(time.Now()); len(bans) != 0 {
		t.Errorf("banned are %v", bans)
	}
	if !l.guard.Trusts(netip.MustParseAddr("198.51.100.77")) || l.guard.Trusts(netip.MustParseAddr("192.0.2.7")) {
		t.Error("the wrong network is trusted")
	}
	guesser := netip.MustParseAddr("192.0.2.7")
	d.Must(t)(directory.SetSetting("ban_failures", "0"))
	if waited := fails(guesser); waited != 0 || l.guard.Banned(guesser) {
		t.Errorf("with bans off a guesser waits %v, or is banned", waited)
	}
	d.Must(t)(directory.SetSetting("ban_failures", "2"))
	if waited := fails(guesser); waited == 0 || !l.guard.Banned(guesser) {
		t.Errorf("a guesser waits %v, or is not banned", waited)
	}
	// A network that becomes trusted is let in, though the ban stands.
	d.Must(t)(directory.SetSetting("trusted_networks", "192.0.2.0/24"))
	if l.guard.Banned(guesser) {
		t.Error("a trusted network is banned")
	}
}

// TestNetworksOfGuessers: an IPv6 client is its /64, and a client who logs in is forgiven.
func TestNetworksOfGuessers(t *testing.T) {
	l := newLookout(t, "n1", newDirectory(t, map[string]string{"ban_failures": "2"}))
	for _, addr := range []string{"2001:db8:1:2::1", "2001:db8:1:2:ffff::"} {
		l.guard.Failed(netip.MustParseAddr(addr), 1)
	}
	if !l.guard.Banned(netip.MustParseAddr("2001:db8:1:2::77")) || l.guard.Banned(netip.MustParseAddr("2001:db8:1:3::1")) {
		t.Errorf("banned are %v", l.bans.Bans(time.Now()))
	}
	typist := netip.MustParseAddr("192.0.2.7")
	for range 5 {
		l.guard.Failed(typist, 1)
		l.guard.Succeeded(typist, 1)
	}
	if l.guard.Banned(typist) {
		t.Error("one who mistypes and logs in is banned")
	}
}

// TestBansOfOperatorsHold: what guessers bring about neither shortens an operator's ban nor fills the list.
func TestBansOfOperatorsHold(t *testing.T) {
	l := newLookout(t, "n1", newDirectory(t, map[string]string{"ban_failures": "1"}))
	long := time.Now().Add(1000 * time.Hour)
	if err := l.AddBan(t.Context(), adminapi.Ban{Network: "192.0.2.0/24", Reason: "no customers", Until: long}); err != nil {
		t.Fatal(err)
	}
	l.guard.Failed(netip.MustParseAddr("192.0.2.7"), 1) // a login that was under way
	if bans := l.bans.Bans(time.Now()); len(bans) != 1 || bans[0].Reason != "no customers" {
		t.Errorf("banned are %v", bans)
	}
	const room = 2
	others := make([]ban.Record, ban.MaxRecords*3/4-1-room)
	for i := range others {
		network := ban.NetworkOf(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		others[i] = ban.Record{Network: network, Until: long, Version: 1}
	}
	state, err := json.Marshal(others)
	if err != nil {
		t.Fatal(err)
	}
	l.receiveGossip(gossipBan, state)
	for i := range 2 * room {
		l.guard.Failed(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 1)
	}
	if made, stand := l.guard.banned.Load(), len(l.bans.Bans(time.Now())); made != room || stand != len(others)+1+room {
		t.Errorf("%d bans were made for guesses and %d stand; there was room for %d beside %d", made, stand, room, len(others)+1)
	}
	if err := l.AddBan(t.Context(), adminapi.Ban{Network: "203.0.113.1", Until: long}); err != nil {
		t.Errorf("an operator's ban in a full list: %v", err)
	}
}

// ownAddress is an address of this machine that is not the loopback's.
func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	t.Skip("this machine has no IPv4 address but its loopback's, which is never banned")
	return netip.Addr{}
}

// TestGuesserAtTheDoor guesses at a real node's IMAP door, from an address that can be banned.
func TestGuesserAtTheDoor(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	s := newSite(t, 26)
	s.start(1)
	set := func(name, value string) {
		t.Helper()
		if err := s.ask(1, "PUT", "/v1/settings/"+name, adminapi.Setting{Value: value}, nil); err != nil {
			t.Fatal(err)
		}
	}
	set("ban_failures", "3")
	door := s.config(1).IMAP.TLSListen[0]
	attempt := func(from netip.Addr, password, want string) {
		t.Helper()
		dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: time.Minute},
			Config: &tls.Config{InsecureSkipVerify: true}} // as in session
		conn, err := dialer.DialContext(t.Context(), "tcp", door)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "a LOGIN ada@example.org %s\r\n", password); err != nil {
			t.Fatal(err)
		}
		for in := bufio.NewScanner(conn); in.Scan(); {
			if answer, ok := strings.CutPrefix(in.Text(), "a "); ok {
				if !strings.HasPrefix(answer, want) {
					t.Errorf("%v with %s is answered %q, want %q", from, password, answer, want)
				}
				return
			}
		}
		t.Errorf("%v with %s got no answer", from, password)
	}
	for i := range 3 {
		attempt(own, fmt.Sprint("guess", i), "NO [AUTHENTICATIONFAILED]")
	}
	attempt(own, "secret", "NO [UNAVAILABLE]")
	attempt(netip.MustParseAddr("127.0.0.1"), "secret", "OK")
	var bans []adminapi.Ban
	if err := s.ask(1, "GET", "/v1/bans", nil, &bans); err != nil || len(bans) != 1 || bans[0].Network != own.String()+"/32" {
		t.Errorf("banned are %+v, %v", bans, err)
	}
	set("trusted_networks", own.String()+"/32")
	attempt(own, "secret", "OK")
}
