package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-mail/rookery/bench/load"
)

// actAs makes this test's program a Rookery that dies after so many messages, for `--binary`.
const actAs = "ROOKERY_BENCH_TEST_DIES_AFTER"

func TestMain(m *testing.M) {
	if os.Getenv(actAs) != "" {
		if err := dyingServer(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// dyingServer understands as much of Rookery's command line as a bench uses.
func dyingServer(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: --config FILE COMMAND")
	}
	switch args[2] {
	case "serve":
		return dieServing(args[1])
	case "status":
		fmt.Println(`{"nodes":[{"id":"n1","alive":true}]}`)
	}
	return nil
}

// dieServing reports to be ready, takes messages, and ends like a crash.
func dieServing(config string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	setting := func(pattern string) string { return string(regexp.MustCompile(pattern).FindSubmatch(text)[1]) }
	data := setting(`data_dir = "(.*)"`)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	smtp, err := net.Listen("tcp", setting(`mx = \["(.*)"\]`))
	if err != nil {
		return err
	}
	admin, err := net.Listen("unix", filepath.Join(data, "admin.sock"))
	if err != nil {
		return err
	}
	dead := make(chan struct{})
	go func() { _ = http.Serve(admin, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }() // ends with the program
	go serveSMTP(smtp, 10, "", func() { close(dead) })
	<-dead
	return errors.New("no luck with the tenth message")
}

// serveSMTP answers connections until the listener closes. The final dot gets refusal, where there is one;
// when as many messages as may be were taken, it calls full.
func serveSMTP(l net.Listener, most int, refusal string, full func()) {
	var mu sync.Mutex
	taken := 0
	take := func() string {
		mu.Lock()
		defer mu.Unlock()
		if taken++; taken == most {
			full()
		}
		return "250 taken"
	}
	if refusal != "" {
		take = func() string { return refusal }
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { talk(c, take) })
	}
}

// talk is one connection of a server that takes everything but, perhaps, the message.
func talk(c net.Conn, take func() string) {
	defer c.Close()
	fmt.Fprint(c, "220 fake\r\n")
	body := false
	for in := bufio.NewScanner(c); in.Scan(); {
		line := in.Text()
		verb, _, _ := strings.Cut(line, " ")
		switch {
		case body && line == ".":
			body = false
			fmt.Fprintf(c, "%s\r\n", take())
		case body:
		case verb == "DATA":
			body = true
			fmt.Fprint(c, "354 go on\r\n")
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 fine\r\n")
		}
	}
}

// TestBinaryThatDiesWhileItIsMeasured: the message shows the end of its log, and nothing is left.
func TestBinaryThatDiesWhileItIsMeasured(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(actAs, "10")
	dir := t.TempDir()
	err = execute(t.Context(), "run", "deliver-4k", "--binary", self, "--dir", dir, "--quiet", "--connections", "2")
	if !errors.Is(err, load.ErrGone) || !strings.Contains(err.Error(), "no luck with the tenth message") {
		t.Errorf("got %v, want the end of the server's log", err)
	}
	nothingLeft(t, dir)
}

// nothingLeft fails when a bench left files or processes.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("files left behind: %v, %v", files, err)
	}
	if below, err := load.Descendants(os.Getpid()); err != nil || len(below) > 0 {
		t.Errorf("processes left behind: %v, %v", below, err)
	}
}

// TestTargetThatRefuses: the message has the server's own words and what may be done.
func TestTargetThatRefuses(t *testing.T) {
	for _, c := range []struct{ reply, want string }{
		{"451 4.7.1 greylisted, come back later", "come back later (not now: look for greylisting"},
		{"452 4.3.1 no room", "no room (its disk is full: make room"},
		{"550 5.7.1 go away", "refused the message: 550 5.7.1 go away"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { serveSMTP(l, 0, c.reply, nil) })
		err = execute(t.Context(), "run", "deliver-4k", "--quiet", "--target", "smtp://"+l.Addr().String(), "--account", "ada@example.org:x")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q in it", err, c.want)
		}
		_ = l.Close()
		wg.Wait()
	}
}

// TestTooLittleDisk needs a file system without room that every user has.
func TestTooLittleDisk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before, err := load.Descendants(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	err = execute(t.Context(), "run", "deliver-4k", "--quiet", "--binary", self, "--dir", "/proc")
	if err == nil || !strings.Contains(err.Error(), "/proc has 0 MiB of room") || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v, want what --dir lacks", err)
	}
	if after, err := load.Descendants(os.Getpid()); err != nil || !slices.Equal(before, after) {
		t.Errorf("processes: %v before, %v after, %v", before, after, err)
	}
}
