package porter

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
	"github.com/rookery-mail/rookery/mta/dnsbl"
	"github.com/rookery-mail/rookery/mta/greylist"
	"github.com/rookery-mail/rookery/mta/inbound"
	"github.com/rookery-mail/rookery/mta/meter"
	"github.com/rookery-mail/rookery/mta/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite what stories say")

// scene is a porter with a clock that stands still and a DNS of its own.
type scene struct {
	*Porter
	zone  *dnstest.Zone
	rules Rules
	now   time.Time
	guard fakeGuard
	visit *Visit
	count map[Why]int
}

// fakeGuard bans 203.0.113.66, and has nobody wait.
type fakeGuard struct{ probed, welcome []string }

func (*fakeGuard) Banned(a netip.Addr) (time.Time, string, bool) {
	switch a.String() {
	case "203.0.113.66":
		return start.Add(time.Hour), "50 recipients that nobody has", true
	case "203.0.113.67":
		return start.Add(300 * 24 * time.Hour), "an operator", true
	}
	return time.Time{}, "", false
}

func (g *fakeGuard) Probed(_ netip.Addr, to string) time.Duration {
	g.probed = append(g.probed, to)
	return 0
}

func (g *fakeGuard) Welcome(_ netip.Addr, to string) { g.welcome = append(g.welcome, to) }

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func newScene() *scene {
	s := &scene{zone: &dnstest.Zone{}, now: start, count: map[Why]int{}, rules: Rules{
		Early: policy.Refuse, Hello: policy.Score, Reverse: policy.Score, Sender: policy.Refuse, ListRefuse: 10,
		GreylistScore: 2, Greylist: greylist.Policy{Delay: 5 * time.Minute, Window: 48 * time.Hour, Keep: 36 * 24 * time.Hour},
		Unchecked: func(a netip.Addr) bool { return a.IsLoopback() },
		Trusted:   func(a netip.Addr) bool { return netip.MustParsePrefix("198.51.100.0/24").Contains(a) },
		Ours:      func(name string) bool { return name == "mx1.example.org" || name == "example.org" },
	}}
	clock := func() time.Time { return s.now }
	resolver := dns.New(dns.Config{Servers: []string{"test"}, Exchange: s.zone.Exchange, Clock: clock, Rounds: 1})
	s.Porter = New(Config{Resolver: resolver, Guard: &s.guard, Rules: func() Rules { return s.rules }, Greylist: greylist.New([32]byte{1}), Clock: clock,
		Count: func(w Why) { s.count[w]++ }})
	return s
}

// TestStories holds testdata/*.txt. A line that begins with a word is what happens, the indented lines behind it what follows
// from it; "dns" and "rule" lines say what is so.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newScene()
			defer s.Close()
			var out strings.Builder
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				out.WriteString(line)
				if strings.TrimSpace(line) != "" && line[0] != '#' {
					s.play(t, &out, strings.TrimSpace(line))
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if out.String() != string(text) {
				t.Errorf("the story now reads\n%s", out.String())
			}
		})
	}
}

func (s *scene) play(t *testing.T, out *strings.Builder, line string) {
	verb, rest, _ := strings.Cut(line, " ")
	ctx := t.Context()
	var r *mta.Reply
	switch verb {
	case "dns":
		s.zone.Add(rest)
		return
	case "silent":
		s.zone.Fail(rest, errors.New("no answer"))
		return
	case "rule":
		s.rule(t, rest)
		return
	case "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
		return
	case "connect":
		s.visit, r = s.Begin(ctx, netip.MustParseAddr(rest), netip.MustParseAddr("203.0.113.25"))
		if d := s.visit.Patience(); d > 0 {
			fmt.Fprintf(out, "  waits %v for the greeting\n", d)
		}
	case "early":
		r = s.visit.Early(rest)
	case "hello":
		r = s.visit.Hello(ctx, rest)
	case "mail":
		r = s.visit.Mail(ctx, strings.Trim(rest, "<>"))
	case "spf":
		s.visit.Add(inbound.Finding{Check: "spf", Result: rest, Score: 2})
		return
	case "rcpt":
		r = s.visit.Rcpt(ctx, rest)
	case "unknown":
		s.visit.Unknown(ctx, rest)
		r = mta.Replyf(550, mta.BadMailbox, "nobody")
	case "data":
		s.visit.Taken([]string{rest})
		for _, f := range s.visit.Findings() {
			fmt.Fprintf(out, "  %+.1f %s %s: %s\n", f.Score, f.Check, f.Result, f.Detail)
		}
		fmt.Fprintf(out, "  %+.1f\n", s.visit.Score())
		return
	case "told":
		fmt.Fprintf(out, "  probed %q, welcome %q, counted %v\n", s.guard.probed, s.guard.welcome, s.count)
		return
	default:
		t.Fatalf("a story has the line %q", line)
	}
	if r != nil {
		fmt.Fprintf(out, "  %s\n", r.Error())
	} else {
		out.WriteString("  ok\n")
	}
}

func (s *scene) rule(t *testing.T, rest string) {
	name, value, _ := strings.Cut(rest, " ")
	limit := func(l *meter.Limit) {
		var per string
		if _, err := fmt.Sscanf(value, "%d %s", &l.Count, &per); err != nil {
			t.Fatal(err)
		}
		l.Per, _ = time.ParseDuration(per)
	}
	switch name {
	case "early":
		s.rules.Early = policy.Mode(value)
	case "hello":
		s.rules.Hello = policy.Mode(value)
	case "reverse":
		s.rules.Reverse = policy.Mode(value)
	case "sender":
		s.rules.Sender = policy.Mode(value)
	case "list":
		zone, codes, _ := strings.Cut(value, " ")
		parsed, err := dnsbl.ParseCodes(codes)
		if err != nil {
			t.Fatal(err)
		}
		s.rules.Lists = append(s.rules.Lists, dnsbl.List{Zone: zone, Codes: parsed})
	case "connections-of-address":
		limit(&s.rules.Address.Connections)
	case "messages-of-network":
		limit(&s.rules.Network.Messages)
	case "recipients-of-sender":
		limit(&s.rules.From.Recipients)
	default:
		t.Fatalf("rule %q", rest)
	}
}

// TestSlowDNS: where DNS gives no answer, each step ends in its time and lets the client pass.
func TestSlowDNS(t *testing.T) {
	s := newScene()
	defer s.Close()
	s.c.Ask = 10 * time.Millisecond
	s.c.Resolver = silent{}
	s.rules.Lists = []dnsbl.List{{Zone: "list.example"}}
	s.rules.Sender = policy.Score
	v, r := s.Begin(t.Context(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.25"))
	for step, r := range map[string]*mta.Reply{"connect": r, "hello": v.Hello(t.Context(), "mail.example.com"), "mail": v.Mail(t.Context(), "ann@example.com"),
		"rcpt": v.Rcpt(t.Context(), "bob@example.org")} {
		if r != nil {
			t.Errorf("%s: %v", step, r)
		}
	}
	if st := s.ListState("list.example"); st.Asked != 1 || st.Failed != 1 {
		t.Errorf("%+v", st)
	}
	if v.Score() != 0 || v.Patience() != 0 {
		t.Errorf("a silent DNS counts against a client: %+v", v.Findings())
	}
	s.rules.Sender = policy.Refuse
	v, _ = s.Begin(t.Context(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.25"))
	if r := v.Mail(t.Context(), "ann@example.com"); r == nil || r.Code != 451 {
		t.Errorf("a sender whose domain is not known: %v", r)
	}
}

// silent is a resolver that never answers.
type silent struct{}

func wait(ctx context.Context) error {
	<-ctx.Done()
	return fmt.Errorf("%w: %w", dns.ErrTemporary, ctx.Err())
}

func (silent) Names(ctx context.Context, _ netip.Addr) ([]string, error) { return nil, wait(ctx) }
func (silent) Addresses(ctx context.Context, _ string) (dns.Addresses, error) {
	return dns.Addresses{}, wait(ctx)
}
func (silent) MX(ctx context.Context, _ string) (dns.Mail, error) { return dns.Mail{}, wait(ctx) }
func (silent) Listed(ctx context.Context, _ string) ([]netip.Addr, error) {
	return nil, wait(ctx)
}

// slowGuard has who tries names wait for ever.
type slowGuard struct{ fakeGuard }

func (*slowGuard) Probed(netip.Addr, string) time.Duration { return 1000 * time.Hour }

// TestCloseEndsWaits: who waits for having tried names does not keep the door from closing, nor the client from leaving.
func TestCloseEndsWaits(t *testing.T) {
	s := newScene()
	s.c.Guard = &slowGuard{}
	v, _ := s.Begin(t.Context(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.25"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.Unknown(ctx, "nobody@example.org") // returns
	done := make(chan struct{})
	go func() {
		v.Unknown(t.Context(), "nobody@example.org")
		close(done)
	}()
	s.Close()
	<-done
	v.Unknown(t.Context(), "nobody@example.org") // returns
}
