package managesieve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/certtest"
	"github.com/rookery-mail/rookery/mta/managesieve"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/sieve"
)

var update = flag.Bool("update", false, "rewrite what the server says in transcripts")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf keeps scripts in memory.
type shelf struct {
	mu     sync.Mutex
	texts  map[string]string // guarded by mu
	names  []string
	active string
}

func (s *shelf) List(context.Context, index.AccountID) (list []script.Script, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.names {
		list = append(list, script.Script{Name: n, Text: []byte(s.texts[n]), Active: n == s.active})
	}
	return list, nil
}

func (s *shelf) Load(_ context.Context, _ index.AccountID, name string) (script.Script, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, ok := s.texts[name]
	if !ok {
		return script.Script{}, script.ErrNoScript
	}
	return script.Script{Name: name, Text: []byte(text)}, nil
}

func (s *shelf) Put(_ context.Context, a index.AccountID, name string, text []byte, _ bool) error {
	if name == "minority" {
		return errors.New("no majority")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.texts[name]; !ok {
		s.names = append(s.names, name)
	}
	s.texts[name] = string(text)
	return nil
}

func (s *shelf) Rename(_ context.Context, _ index.AccountID, name, to string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.texts[name]; !ok {
		return script.ErrNoScript
	}
	if _, ok := s.texts[to]; ok {
		return script.ErrExists
	}
	s.texts[to] = s.texts[name]
	delete(s.texts, name)
	for i, n := range s.names {
		if n == name {
			s.names[i] = to
		}
	}
	return nil
}

func (s *shelf) Delete(_ context.Context, _ index.AccountID, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == s.active {
		return script.ErrActive
	}
	return script.ErrNoScript
}

func (s *shelf) Activate(_ context.Context, _ index.AccountID, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.texts[name]; !ok && name != "" {
		return script.ErrNoScript
	}
	s.active = name
	return nil
}

// logins know one user, by PLAIN.
type logins struct{}

func (logins) Mechanisms(login.Conn) []string { return []string{"PLAIN"} }

func (logins) Begin(string, login.Conn) (managesieve.Exchange, error) {
	return plain{sasl.NewPlainServer(func(_, user, password string) error {
		if user != "ada@example.org" || password != "xyzzy" {
			return login.ErrBadCredentials
		}
		return nil
	})}, nil
}

type plain struct{ sasl.Server }

func (plain) Identity() login.Identity { return login.Identity{Account: 7, Address: "ada@example.org"} }

func newServer(c managesieve.Config) *managesieve.Server {
	c.Store, c.Auth, c.Version, c.MaxScript = &shelf{texts: map[string]string{}}, logins{}, "test", 500
	c.Extensions, c.Notify = []string{"fileinto", "vacation"}, []string{"mailto"}
	c.Check = func(text []byte) error {
		_, err := sieve.Compile(text, sieve.Limits{})
		return err
	}
	return managesieve.New(c)
}

// serve listens on the loopback, until the test ends.
func serve(t testing.TB, s *managesieve.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(s.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestTranscripts holds dialogues in testdata/*.sieve to what was said. "C: " is a line of the client's, "S: " of the server's.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.sieve")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			config := managesieve.Config{}
			if strings.HasPrefix(string(data), "# tls") {
				config.TLS = &tls.Config{Certificates: []tls.Certificate{certtest.New(t).Host("localhost")}}
			}
			got, err := converse(serve(t, newServer(config)), string(data))
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(data) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

// converse sends all that the client says at once, and puts all that the server says behind it: ManageSieve may be pipelined.
func converse(address, transcript string) (string, error) {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	var client, out strings.Builder
	for line := range strings.Lines(transcript) {
		if strings.HasPrefix(line, "S:") {
			break
		}
		out.WriteString(line)
		if said, ok := strings.CutPrefix(line, "C: "); ok {
			client.WriteString(strings.TrimSuffix(said, "\n") + "\r\n")
		}
	}
	if _, err := nc.Write([]byte(client.String())); err != nil {
		return "", err
	}
	var answers strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := nc.Read(buffer)
		answers.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(answers.String(), "\r\n", "\n"), "\n"), "\n") {
		fmt.Fprintf(&out, "S: %s\n", line)
	}
	return out.String(), nil
}

// TestShutdown: who is between two commands is told, and nothing runs afterwards.
func TestShutdown(t *testing.T) {
	s := newServer(managesieve.Config{})
	address := serve(t, s)
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
	read := func(until string) {
		t.Helper()
		var said []byte
		for !strings.Contains(string(said), until) {
			b := make([]byte, 512)
			n, err := nc.Read(b)
			if said = append(said, b[:n]...); err != nil {
				t.Fatalf("%q, %v", said, err)
			}
		}
	}
	read("OK\r\n")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	read("BYE (TRYLATER)")
}
