package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a server that takes mail, or refuses it.
type fake struct {
	refuse  map[string]string // command → reply in place of the usual one
	hangUp  string            // command after which the connection ends
	listen  net.Listener
	wg      sync.WaitGroup
	mu      sync.Mutex
	bodies  []string // guarded by mu
	rcpts   int      // guarded by mu
	dialled int      // guarded by mu
}

func startFake(t *testing.T, f *fake) Door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.listen = l
	f.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.wg.Wait()
	})
	return Door{Address: l.Addr().String()}
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	f.mu.Lock()
	f.dialled++
	f.mu.Unlock()
	r := bufio.NewReader(c)
	fmt.Fprint(c, "220 fake\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		word := strings.ToUpper(strings.TrimSpace(strings.SplitN(line, " ", 2)[0]))
		if word == f.hangUp {
			return
		}
		if reply, ok := f.refuse[word]; ok {
			fmt.Fprint(c, reply+"\r\n")
			continue
		}
		switch word {
		case "EHLO":
			fmt.Fprint(c, "250-fake\r\n250 PIPELINING\r\n")
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			if !f.body(r, c) {
				return
			}
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			if word == "RCPT" {
				f.mu.Lock()
				f.rcpts++
				f.mu.Unlock()
			}
			fmt.Fprint(c, "250 yes\r\n")
		}
	}
}

func (f *fake) body(r *bufio.Reader, w io.Writer) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(line)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies = append(f.bodies, b.String())
	reply := f.refuse["."]
	if reply == "" {
		reply = "250 kept"
	}
	fmt.Fprint(w, reply+"\r\n")
	return true
}
