package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/smtp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/cmd/internal/config"
)

// site is a cluster of real nodes on loopback, in this process.
type site struct {
	t      *testing.T
	dir    string
	seat   int    // third number of the nodes' addresses
	imap   bool   // the nodes serve IMAP
	more   string // further tables of the nodes' configuration
	factor int    // replicas of a partition
	runs   map[int]*run
}

type run struct {
	stop context.CancelFunc
	done chan error
}

func newSite(t *testing.T, seat int) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), seat: seat, factor: 3, runs: map[int]*run{}}
	t.Cleanup(func() {
		for i := range s.runs {
			s.halt(i)
		}
	})
	return s
}

func (s *site) config(i int) config.Config {
	s.t.Helper()
	text := fmt.Sprintf(`
node = "n%[1]d"
region = "r%[1]d"
data_dir = %[2]q
[cluster]
listen = "127.61.%[3]d.%[1]d:7700"
gossip_listen = "127.61.%[3]d.%[1]d:7701"
min_free_bytes = 1048576
cache_bytes = 8388608
[smtp]
hostname = "n%[1]d.example.org"
mx = ["127.61.%[3]d.%[1]d:2525"]
submission = []
submissions = []
[imap]
listen = []
tls_listen = ["127.61.%[3]d.%[1]d:2993"]
`, i, filepath.Join(s.dir, fmt.Sprint("n", i)), s.seat)
	if s.imap {
		text = strings.Replace(text, "tls_listen = []", fmt.Sprintf(`tls_listen = ["127.61.%d.%d:9930"]`, s.seat, i), 1)
	}
	if strings.Contains(s.more, "[outbound]") {
		text = strings.Replace(text, "submission = []", fmt.Sprintf(`submission = ["127.61.%d.%d:2587"]`, s.seat, i), 1)
	}
	c, err := config.Parse([]byte(text + s.more))
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// serve starts node i.
func (s *site) serve(i int) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	r := &run{stop: stop, done: make(chan error, 1)}
	s.runs[i] = r
	go func() {
		r.done <- Serve(ctx, s.config(i), Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	}()
	s.eventually(fmt.Sprintf("n%d is ready", i), func() error { return s.ask(i, "GET", "/readyz", nil, nil) })
}

// halt stops node i and waits for its end.
func (s *site) halt(i int) {
	s.t.Helper()
	r := s.runs[i]
	delete(s.runs, i)
	r.stop()
	if err := <-r.done; err != nil {
		s.t.Errorf("n%d stopped with: %v", i, err)
	}
}

func (s *site) ask(i int, method, path string, in, out any) error {
	return adminapi.Dial(s.config(i).Admin.Socket).Do(s.t.Context(), method, path, in, out)
}

func (s *site) eventually(what string, check func() error) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	s.t.Fatalf("%s: never; at the end: %v", what, err)
}

func (s *site) token() string {
	s.t.Helper()
	var token adminapi.JoinToken
	if err := s.ask(1, "POST", "/v1/tokens", adminapi.JoinTokenRequest{TTLSeconds: 60}, &token); err != nil {
		s.t.Fatal(err)
	}
	return token.Token
}

func (s *site) join(i int, token string) error {
	_, err := Join(s.t.Context(), s.config(i), JoinOptions{Token: token, Member: s.config(1).Cluster.Listen, Version: "test"})
	return err
}

// healthy waits until node i sees nothing wrong and every partition has so many voters.
func (s *site) healthy(i, voters int) {
	s.t.Helper()
	s.eventually("the cluster is healthy", func() error {
		var st adminapi.Status
		if err := s.ask(i, "GET", "/v1/status", nil, &st); err != nil {
			return err
		}
		for _, g := range st.Groups {
			if len(g.Voters) != voters || len(g.Nonvoters) != 0 {
				return fmt.Errorf("%s has voters %v and others %v", g.Group, g.Voters, g.Nonvoters)
			}
		}
		if !st.Healthy {
			return fmt.Errorf("problems %v", st.Problems)
		}
		return nil
	})
}

// equal waits until the replicas of these nodes hash equal.
func (s *site) equal(nodes ...int) {
	s.t.Helper()
	s.eventually("the replicas are equal", func() error {
		seen := map[string]adminapi.GroupHash{}
		for _, i := range nodes {
			var h adminapi.Hashes
			if err := s.ask(i, "GET", "/v1/debug/hash", nil, &h); err != nil {
				return err
			}
			for _, g := range h.Groups {
				if first, ok := seen[g.Group]; ok && first.Hash != g.Hash {
					return fmt.Errorf("%s of n%d differs: %v and %v", g.Group, i, g, first)
				}
				seen[g.Group] = g
			}
		}
		return nil
	})
}

func (s *site) deliver(i, from, to int) {
	s.t.Helper()
	for m := from; m < to; m++ {
		text := fmt.Sprintf("Subject: %d\r\nMessage-ID: <%d@test>\r\n\r\nHello %d.\r\n", m, m, m)
		s.eventually("a message is taken", func() error {
			return send(s.config(i).SMTP.MX[0], "ada@example.org", text)
		})
	}
}

// send delivers one message without TLS.
func send(server, to, text string) error { return sendFrom(server, "x@example.net", to, text) }

func sendFrom(server, from, to, text string) error {
	c, err := smtp.Dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(text)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func (s *site) messages(i int) uint64 {
	s.t.Helper()
	var a adminapi.Account
	if err := s.ask(i, "GET", "/v1/accounts/ada@example.org", nil, &a); err != nil {
		s.t.Fatal(err)
	}
	return a.UsedMessages
}

// start makes a cluster of n nodes with an account.
func (s *site) start(n int) {
	s.t.Helper()
	if _, err := Init(s.t.Context(), s.config(1), InitOptions{Partitions: 2, ReplicationFactor: s.factor, Version: "test"}); err != nil {
		s.t.Fatal(err)
	}
	s.serve(1)
	if err := s.ask(1, "POST", "/v1/domains", adminapi.Domain{Name: "example.org"}, nil); err != nil {
		s.t.Fatal(err)
	}
	if err := s.ask(1, "POST", "/v1/accounts", adminapi.Account{Address: "ada@example.org", Password: "secret"}, nil); err != nil {
		s.t.Fatal(err)
	}
	for i := 2; i <= n; i++ {
		if err := s.join(i, s.token()); err != nil {
			s.t.Fatal(err)
		}
		s.serve(i)
	}
}

// TestGrowRestartRebuild: one node becomes three, one of them is rebuilt from the others, and nothing
// is lost.
func TestGrowRestartRebuild(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.start(1)
	s.deliver(1, 0, 20)
	for i := 2; i <= 3; i++ {
		if err := s.join(i, s.token()); err != nil {
			t.Fatal(err)
		}
		s.serve(i)
		s.deliver(i, i*20, i*20+20)
	}
	s.healthy(2, 3)
	s.equal(1, 2, 3)

	s.halt(3)
	s.deliver(2, 100, 110)
	for _, g := range []string{"p1", "directory"} {
		if err := Rebuild(t.Context(), s.config(3), g); err != nil {
			t.Fatal(err)
		}
	}
	s.serve(3)
	s.healthy(3, 3)
	s.equal(1, 2, 3)
	if got := s.messages(3); got != 70 {
		t.Errorf("%d messages after all, want 70", got)
	}

	s.halt(3)
	if err := Rebuild(t.Context(), s.config(3), "all"); err != nil {
		t.Fatal(err)
	}
	s.serve(3)
	s.healthy(3, 3)
	s.equal(1, 2, 3)
}

// TestDrainAndRemove: a fourth node takes over what a drained one gives up, and a removed node is out.
func TestDrainAndRemove(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.start(4)
	s.deliver(4, 0, 10)
	if err := s.ask(1, "POST", "/v1/nodes/n2/drain", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.eventually("n2 holds no partition", func() error {
		var st adminapi.Status
		if err := s.ask(1, "GET", "/v1/status", nil, &st); err != nil {
			return err
		}
		for _, g := range st.Groups {
			if g.Group != "directory" && strings.Contains(strings.Join(append(g.Voters, g.Nonvoters...), ","), "n2") {
				return fmt.Errorf("%s: %v", g.Group, g.Voters)
			}
		}
		return nil
	})
	if got := s.messages(2); got != 10 {
		t.Errorf("n2, without a replica, sees %d messages, want 10", got)
	}
	s.undelete(2)
	s.deliver(2, 10, 15)
	s.halt(2)
	if err := s.ask(1, "DELETE", "/v1/nodes/n2", nil, nil); err != nil {
		t.Fatal(err)
	}
	s.healthy(1, 3)
	s.equal(1, 3, 4)
	if got := s.messages(4); got != 15 {
		t.Errorf("%d messages after all, want 15", got)
	}
	if err := s.join(5, "rookery1-nonsense"); err == nil {
		t.Error("joined with a token that is none")
	}
}

// TestTokens: a token is good for one node, for its own cluster, and for its time.
func TestTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.start(1)
	token := s.token()
	if err := s.join(2, token); err != nil {
		t.Fatal(err)
	}
	if err := s.join(3, token); err == nil || !strings.Contains(err.Error(), "used") {
		t.Errorf("a token was used twice: %v", err)
	}
	if err := s.join(2, s.token()); err == nil {
		t.Error("a node joined that is part of a cluster already")
	}
	other := newSite(t, 4)
	other.start(1)
	if _, err := Join(t.Context(), s.config(4), JoinOptions{Token: other.token(), Member: s.config(1).Cluster.Listen}); err == nil ||
		!strings.Contains(err.Error(), "another cluster") {
		t.Errorf("joined with the token of another cluster: %v", err)
	}
	if err := s.ask(1, "POST", "/v1/tokens", adminapi.JoinTokenRequest{TTLSeconds: 1}, nil); err == nil {
		t.Error("made a token that lives for a second")
	}
}

func TestNoCluster(t *testing.T) {
	t.Parallel()
	s := newSite(t, 5)
	err := Serve(t.Context(), s.config(1), Options{Logger: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, errNoCluster) || !strings.Contains(err.Error(), "rookery init") {
		t.Errorf("error %v does not tell what to do", err)
	}
}

func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	s := newSite(t, 6)
	s.start(1)
	err := Serve(t.Context(), s.config(1), Options{Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("two processes on one data directory: %v", err)
	}
	if err := Rebuild(t.Context(), s.config(1), "p1"); err == nil {
		t.Error("a replica of a running node was rebuilt")
	}
}
