package site

import (
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMetric(t *testing.T) {
	text := []byte("# HELP rookery_log_fsyncs_total x\nrookery_log_fsyncs_total 1.5e+03\nrookery_log_fsyncs_total_other 7\n")
	if v, ok := metric(text, "rookery_log_fsyncs_total"); !ok || v != 1500 {
		t.Errorf("got %d, %v", v, ok)
	}
	if _, ok := metric(text, "absent"); ok {
		t.Error("an absent metric was found")
	}
}

func TestWhole(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"nodes":[{"id":"n1","alive":true}],"groups":[{"group":"p1","leader":"n1","voters":["n1"],"wanted":["n1"]}]}`, ""},
		{`{"nodes":[{"id":"n1","alive":false}]}`, "not seen alive"},
		{`{"nodes":[]}`, "0 of 1 nodes"},
		{`{"nodes":[{"id":"n1","alive":true}],"groups":[{"group":"p1","leader":"","voters":["n1"]}]}`, "is led by"},
		{`{"nodes":[{"id":"n1","alive":true}],"groups":[{"group":"p1","leader":"n1","voters":[]}]}`, "0 of 1 voters"},
		{`{"nodes":[{"id":"n1","alive":true}],"groups":[{"group":"p1","leader":"n1","voters":["n1"],"lag":{"n1":1000}}]}`, "1000 entries behind"},
	} {
		var s status
		if err := json.Unmarshal([]byte(c.text), &s); err != nil {
			t.Fatal(err)
		}
		err := s.whole(1)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestTarget(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := l.Addr().String()
	target, err := NewTarget(t.Context(), TargetConfig{URLs: []string{"smtp://" + a, "imaps://" + a, "submission://" + a}, Accounts: []load.Login{{Address: "a@b"}}})
	if err != nil {
		t.Fatal(err)
	}
	if target.MX()[0] != (load.Door{Address: a}) || target.IMAP()[0].Security != load.TLS || target.Submission()[0].Security != load.StartTLS {
		t.Errorf("doors: %v %v %v", target.MX(), target.IMAP(), target.Submission())
	}
	if u, err := target.Usage(t.Context()); err != nil || u.Measured {
		t.Errorf("usage of somebody else's processes: %+v, %v", u, err)
	}
}

func TestNetworksDoNotMeet(t *testing.T) {
	a, err := claimNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer a.release()
	b, err := claimNetwork()
	if err != nil {
		t.Fatal(err)
	}
	defer b.release()
	if a.host(1) == b.host(1) {
		t.Errorf("both benches have %s", a.host(1))
	}
}

// TestProcessEndsWithItsChildren starts a server with a child, and looks for the child after kill.
func TestProcessEndsWithItsChildren(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := startProcess(log, "/bin/sh", "-c", "sleep 1000 & echo started; wait")
	if err != nil {
		t.Fatal(err)
	}
	var below []int
	for len(below) == 0 {
		if below, err = load.Descendants(p.pid()); err != nil {
			t.Fatal(err)
		}
	}
	p.kill()
	if err := p.died(); err == nil || !strings.Contains(err.Error(), "its log ends with") {
		t.Errorf("a killed process: %v", err)
	}
	if _, err := load.Measure(below[:1]); !errors.Is(err, load.ErrGone) {
		t.Errorf("the child %d still runs: %v", below[0], err)
	}
}
