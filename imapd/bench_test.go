package imapd_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd"
)

// idlers is set for the process that TestIdleMemory starts: the address it connects to.
const idlers = "ROOKERY_TEST_IDLERS"

// compressing is set where they use COMPRESS.
const compressing = "ROOKERY_TEST_COMPRESSING"

const idleSessions = 300

// TestIdlers is the other process of TestIdleMemory: clients in IDLE.
func TestIdlers(t *testing.T) {
	address := os.Getenv(idlers)
	if address == "" {
		t.Skip("not started by TestIdleMemory")
	}
	for range idleSessions {
		nc, err := tls.Dial("tcp", address, trusting())
		if err != nil {
			t.Fatal(err)
		}
		w := newWire(t, nc)
		w.do(login1)
		if os.Getenv(compressing) != "" {
			w.compress()
		}
		w.say("b SELECT INBOX\r\nc UID FETCH 1:* (FLAGS ENVELOPE BODY.PEEK[])\r\nd IDLE")
		w.until("+ ")
	}
	fmt.Println("all idle")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// TestIdleMemory: what a session in IDLE over TLS costs, with its goroutines and TLS, after it has read
// mail. The clients are another process, so that they are not counted.
func TestIdleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("memory is weighed without the race detector, whose own it would count")
	}
	t.Run("plain", func(t *testing.T) { idleMemory(t, 48<<10) })
	t.Run("compressed", func(t *testing.T) {
		t.Setenv(compressing, "yes")
		idleMemory(t, 60<<10)
	})
}

func idleMemory(t *testing.T, most int64) {
	h := newHouse(t, func(c *imapd.Config) {
		c.Limits = imapd.Limits{ConnectionsPerAddress: -1, ConnectionsPerAccount: -1}
	})
	for i := range 20 {
		h.deliver(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("0123456789abcde\r\n", 200)))
	}
	before := inUse()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIdlers$", "-test.v")
	cmd.Env = append(os.Environ(), idlers+"="+h.tls)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	for lines := bufio.NewScanner(stdout); !ready && lines.Scan(); {
		ready = lines.Text() == "all idle"
	}
	each := (inUse() - before) / idleSessions
	stdin.Close()
	if err := cmd.Wait(); err != nil || !ready {
		t.Fatal(err, ready)
	}
	t.Logf("%d octets for each session", each)
	if each > most {
		t.Errorf("a session in IDLE costs %d octets", each)
	}
}

// inUse is the memory of heap and stacks after a collection.
func inUse() int64 {
	time.Sleep(50 * time.Millisecond) // stacks shrink in collections, of goroutines that have come to rest
	var m runtime.MemStats
	for range 4 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
