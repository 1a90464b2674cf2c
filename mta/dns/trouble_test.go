package dns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/dns/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTimesOut: servers that never answer are given up, each of them after its time, and the end of the context ends
// the waiting at once.
func TestTimesOut(t *testing.T) {
	asked := 0
	r := dns.New(dns.Config{Servers: []string{"one", "two"}, Timeout: 20 * time.Millisecond, Exchange: func(ctx context.Context, _ *mdns.Msg, _ string) (*mdns.Msg, error) {
		asked++
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if _, err := r.MX(context.Background(), "example.org"); !errors.Is(err, dns.ErrTemporary) || asked != 4 {
		t.Errorf("%v after %d questions", err, asked)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	asked = 0
	if _, err := r.Addresses(ctx, "example.org"); !errors.Is(err, dns.ErrTemporary) || asked > 2 {
		t.Errorf("%v after %d questions", err, asked)
	}
}

// TestLoops: aliases that lead in a circle, or on and on, have no record, whatever is asked for.
func TestLoops(t *testing.T) {
	z := new(dnstest.Zone)
	z.Add("a.example. 60 IN CNAME b.example.\nb.example. 60 IN CNAME a.example.\nself.example. 60 IN CNAME self.example.")
	for i := range 30 {
		z.Add(fmt.Sprintf("c%d.example. 60 IN CNAME c%d.example.", i, i+1))
	}
	z.Add("c30.example. 60 IN A 192.0.2.1")
	r := newResolver(z, nil)
	for _, name := range []string{"a.example", "self.example", "c0.example"} {
		if got, err := r.Addresses(context.Background(), name); err == nil {
			t.Errorf("%s has %v", name, got)
		}
		if got, _, err := r.Texts(context.Background(), name); err == nil {
			t.Errorf("%s has %q", name, got)
		}
	}
}

// TestLiesOfAnswers: records that answer something else are not taken.
func TestLiesOfAnswers(t *testing.T) {
	lie := func(answer ...string) *dns.Resolver {
		return dns.New(dns.Config{Servers: []string{"liar"}, Exchange: func(_ context.Context, q *mdns.Msg, _ string) (*mdns.Msg, error) {
			m := new(mdns.Msg)
			m.SetReply(q)
			for _, line := range answer {
				rr, err := mdns.NewRR(line)
				if err != nil {
					return nil, err
				}
				m.Answer = append(m.Answer, rr)
			}
			return m, nil
		}})
	}
	ctx := context.Background()
	if m, err := lie("other.example. 60 IN MX 10 evil.example.").MX(ctx, "one.example"); err != nil || !m.Implicit {
		t.Errorf("records of another name: %+v, %v", m, err)
	}
	if a, err := lie("one.example. 60 IN TXT \"192.0.2.1\"").Addresses(ctx, "one.example"); !errors.Is(err, dns.ErrNoRecord) {
		t.Errorf("records of another kind: %v, %v", a, err)
	}
	if m, err := lie("one.example. 60 IN MX 0 .", "one.example. 60 IN MX 10 mx.one.example.").MX(ctx, "one.example"); err != nil || m.Null || len(m.Hosts) != 1 {
		t.Errorf("a null MX beside another: %+v, %v", m, err) // RFC 7505, section 3: it is none then
	}
	if a, err := lie("one.example. 4294967295 IN A 192.0.2.1").Addresses(ctx, "one.example"); err != nil || len(a.V4) != 1 {
		t.Errorf("an endless life: %v, %v", a, err)
	}
}

// TestSockets: over real sockets garbage is no answer, and what is cut short is asked for over TCP.
func TestSockets(t *testing.T) {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Skip("the port of the one kind is taken in the other: ", err)
	}
	answer := func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := new(mdns.Msg)
		m.SetReply(q)
		_, udp := w.RemoteAddr().(*net.UDPAddr)
		switch {
		case q.Question[0].Name == "garbage.example.":
			_, _ = w.Write([]byte("this is no answer of any kind, and it is long enough for a header"))
			return
		case udp:
			m.Truncated = true
		default:
			for i := range 100 {
				rr, _ := mdns.NewRR(fmt.Sprintf("%s 60 IN MX %d mx%d.big.example.", q.Question[0].Name, i, i))
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	}
	for _, s := range []*mdns.Server{{PacketConn: packets, Handler: mdns.HandlerFunc(answer)}, {Listener: listener, Handler: mdns.HandlerFunc(answer)}} {
		ready, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { done <- s.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
	r := dns.New(dns.Config{Servers: []string{packets.LocalAddr().String()}, Timeout: 5 * time.Second, Rounds: 1})
	if m, err := r.MX(context.Background(), "big.example"); err != nil || len(m.Hosts) != dns.MaxHosts || m.Hosts[0].Name != "mx0.big.example" {
		t.Errorf("cut short: %+v, %v", m, err)
	}
	r = dns.New(dns.Config{Servers: []string{packets.LocalAddr().String()}, Timeout: 200 * time.Millisecond, Rounds: 1})
	if m, err := r.MX(context.Background(), "garbage.example"); !errors.Is(err, dns.ErrTemporary) {
		t.Errorf("garbage: %+v, %v", m, err)
	}
}
