package remote_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/mta/remote"
)

// hopJob is a job by way of a smart host.
func hopJob(h remote.Hop) remote.Job {
	j := job("one.example", "bob")
	j.Hop = &h
	return j
}

// TestHop: mail goes to the hosts of a route, in order, with a login, never without TLS.
func TestHop(t *testing.T) {
	const offer, extensions = "250-a\n250 STARTTLS", "250-a\n250-PIPELINING\n250 AUTH LOGIN PLAIN"
	whole := []string{"250 ok", "250 ok", "354 go", "250 sent on"}
	plain := append(script{"220 hi", offer, "220 go", extensions, "235 2.7.0 welcome"}, whole...)
	for name, c := range map[string]struct {
		hop   remote.Hop
		hosts map[string]script
		want  string
		heard string
	}{
		"login": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": plain},
			`delivered by "a.two.example": 250 sent on`, "192.0.2.2:587: AUTH PLAIN AHUAcA=="},
		"the next": {remote.Hop{Hosts: []string{"192.0.2.9:587", "a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": plain},
			`delivered by "a.two.example": 250 sent on`, "192.0.2.2:587: AUTH PLAIN AHUAcA=="},
		"LOGIN": {remote.Hop{Hosts: []string{"a.two.example"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:25": append(script{"220 hi", offer, "220 go",
			"250-a\n250-PIPELINING\n250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 welcome"}, whole...)},
			`delivered by "a.two.example": 250 sent on`, "192.0.2.2:25: dQ==\n192.0.2.2:25: cA=="},
		"no TLS": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": {"220 hi", extensions, "235 welcome"}},
			`temporary by "a.two.example": 4.7.4 The route asks for TLS with a.two.example: it offers none`, "192.0.2.2:587: EHLO out.example.org"},
		"TLS is put off": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": {"220 hi", offer, "454 4.7.0 later", "235 welcome"}},
			`temporary by "a.two.example": 4.7.4 The route asks for TLS with a.two.example: it offers none: 454 4.7.0 later`, "192.0.2.2:587: EHLO out.example.org\n192.0.2.2:587: STARTTLS"},
		"not verified": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p", Level: remote.Verified}, map[string]script{"192.0.2.2:587": plain},
			`temporary by "a.two.example": 4.7.5 The route asks for authenticated TLS with a.two.example: its certificate does not hold: x509`, "192.0.2.2:587: STARTTLS"},
		"refused": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": {"220 hi", offer, "220 go", extensions, "535 5.7.8 no"}},
			`temporary by "a.two.example": 535 5.7.8 The host refuses our login: no`, ""},
		"no mechanism": {remote.Hop{Hosts: []string{"a.two.example:587"}, Username: "u", Password: "p"}, map[string]script{"192.0.2.2:587": {"220 hi", offer, "220 go", "250-a\n250 AUTH GSSAPI"}},
			`temporary by "a.two.example": 4.4.2 log in at a.two.example: it offers none of SCRAM-SHA-256, PLAIN and LOGIN, but: GSSAPI`, ""},
		"no login": {remote.Hop{Hosts: []string{"a.two.example"}}, map[string]script{"192.0.2.2:25": append(script{"220 hi", hello}, whole...)},
			`delivered by "a.two.example": 250 sent on`, ""},
		"no host": {remote.Hop{Route: "out", Hosts: []string{"a.two.example:x"}}, nil,
			`temporary by "": 4.4.3 The route out: "a.two.example:x" is no host and no host:port`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, tls: selfSigned(t), ports: true, hosts: c.hosts}
			got := show(w.client(nil).Deliver(context.Background(), hopJob(c.hop)))
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("the result is %s and not %s", got, c.want)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if heard := strings.Join(w.heard, "\n"); !strings.Contains(heard, c.heard) {
				t.Errorf("the hosts heard\n%s\nwithout\n%s", heard, c.heard)
			}
		})
	}
}

// TestHopReuse: a connection is for the login that it was made with.
func TestHopReuse(t *testing.T) {
	s := script{"220 hi", "250-a\n250 STARTTLS", "220 go", "250-a\n250-PIPELINING\n250 AUTH PLAIN", "235 ok", "250 ok", "250 ok", "354 go", "250 first", "250 ok", "250 ok", "354 go", "250 second"}
	w := &world{t: t, tls: selfSigned(t), ports: true, hosts: map[string]script{"192.0.2.2:25": s}}
	c := w.client(nil)
	for _, step := range []struct{ user, want string }{{"u", "first"}, {"v", "first"}, {"u", "second"}} {
		if w.hosts["192.0.2.2:25"] = s; step.user == "v" {
			w.hosts["192.0.2.2:25"] = s[:len(s)-4] // it hears no more than QUIT
		}
		got := show(c.Deliver(context.Background(), hopJob(remote.Hop{Hosts: []string{"a.two.example"}, Username: step.user, Password: "p"})))
		if want := `delivered by "a.two.example": 250 ` + step.want; got != want {
			t.Errorf("as %s: %s, not %s", step.user, got, want)
		}
	}
}

// TestSource: mail goes out by the source that it is given, under its name, to addresses of its kind.
func TestSource(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.5": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 ok"}, "2001:db8::5": {"554 by IPv6"}}}
	var froms []remote.Source
	c := w.client(func(c *remote.Config) {
		dial := c.Dial
		c.Dial = func(ctx context.Context, from remote.Source, a netip.AddrPort) (net.Conn, error) {
			froms = append(froms, from)
			if from.Node == "gone" {
				return nil, fmt.Errorf("%w: node gone", remote.ErrSource)
			}
			return dial(ctx, from, a)
		}
	})
	j := job("both.example", "bob")
	j.Source = remote.Source{Node: "b", Address: netip.MustParseAddr("203.0.113.9"), Hello: "nine.example.org"}
	results := c.Deliver(context.Background(), j)
	w.check(results, `delivered by "both.example": 250 ok`, "192.0.2.5: EHLO nine.example.org", "192.0.2.5: MAIL FROM:<ada@example.org> SIZE=30",
		"192.0.2.5: RCPT TO:<bob@both.example>", "192.0.2.5: DATA", "192.0.2.5 > Subject: x", "192.0.2.5 > ", "192.0.2.5 > ..dot", "192.0.2.5 > ...", "192.0.2.5 > end", "192.0.2.5: .")
	if len(froms) != 1 || froms[0] != j.Source {
		t.Errorf("out by %v", froms)
	}

	j.Destination, j.Source.Address = "two.example", netip.MustParseAddr("2001:db8::9")
	if r := c.Deliver(context.Background(), j)[0]; r.Kind != remote.Temporary || r.Reached || !strings.Contains(r.Reply.Text, "no address that can be reached from 2001:db8::9") {
		t.Errorf("%+v", r)
	}

	froms, j.Source = nil, remote.Source{Node: "gone", Address: netip.MustParseAddr("203.0.113.9")}
	if r := c.Deliver(context.Background(), j)[0]; r.Kind != remote.Temporary || !r.NoSource || r.Reached || len(froms) != 1 {
		t.Errorf("%+v after %d attempts to connect", r, len(froms))
	}
}

// TestUses: a connection carries as many messages as the job says.
func TestUses(t *testing.T) {
	w := &world{t: t, hosts: map[string]script{"192.0.2.1": {"220 hi", hello, "250 ok", "250 ok", "354 go", "250 first", "250 ok", "250 ok", "354 go", "250 second"}}}
	c := w.client(nil)
	for range 2 {
		j := job("one.example", "bob")
		j.Uses = 1
		if got := show(c.Deliver(context.Background(), j)); got != `delivered by "mx.one.example": 250 first` {
			t.Error(got)
		}
	}
}

// TestSCRAM: a host that does not know the password itself is not believed.
func TestSCRAM(t *testing.T) {
	config := selfSigned(t)
	for password, want := range map[string]string{"secret": `delivered by "192.0.2.7": 250 ok`, "other": `temporary by "192.0.2.7": 535 The host refuses our login`} {
		done := make(chan struct{})
		w := &world{t: t}
		c := w.client(func(c *remote.Config) {
			c.Dial = func(context.Context, remote.Source, netip.AddrPort) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() { defer close(done); submission(t, theirs, config) }()
				return ours, nil
			}
		})
		got := show(c.Deliver(context.Background(), hopJob(remote.Hop{Hosts: []string{"192.0.2.7:465"}, Username: "u", Password: password})))
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", password, got)
		}
		c.Close()
		<-done
	}
}

// submission is a host with TLS from the start, where u has the password secret.
func submission(t *testing.T, conn net.Conn, config *tls.Config) {
	defer conn.Close()
	stored, err := scram.SHA256.NewClient("u", "secret", "")
	if err != nil {
		t.Error(err)
		return
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) {
		return stored.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	})
	if err != nil {
		t.Error(err)
		return
	}
	talk := server.NewConversation()
	secure := tls.Server(conn, config)
	r := bufio.NewReader(secure)
	_, _ = io.WriteString(secure, "220 hi\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		switch {
		case len(words) == 0: // the empty answer to the server's last message
			_, _ = io.WriteString(secure, "235 welcome\r\n")
		case words[0] == "EHLO":
			_, _ = io.WriteString(secure, "250-a\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n")
		case words[0] == "AUTH" || !talk.Done():
			octets, _ := base64.StdEncoding.DecodeString(words[len(words)-1])
			challenge, err := talk.Step(string(octets))
			if err != nil {
				_, _ = io.WriteString(secure, "535 no\r\n")
				return
			}
			_, _ = io.WriteString(secure, "334 "+base64.StdEncoding.EncodeToString([]byte(challenge))+"\r\n")
		case words[0] == "MAIL", words[0] == "RCPT", words[0] == ".":
			_, _ = io.WriteString(secure, "250 ok\r\n")
		case words[0] == "DATA":
			_, _ = io.WriteString(secure, "354 go\r\n")
			for line != ".\r\n" && err == nil {
				line, err = r.ReadString('\n')
			}
			_, _ = io.WriteString(secure, "250 ok\r\n")
		}
	}
}
