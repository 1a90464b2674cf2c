package node

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// talk is an IMAP connection to a node.
type talk struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	said int
}

// talkPatience is how long a command may take, on a machine that is busy with other things.
const talkPatience = 90 * time.Second

// talk logs in as ada.
func (s *site) talk(i int) *talk {
	s.t.Helper()
	return s.talkAs(i, "ada@example.org")
}

func (s *site) talkAs(i int, address string) *talk {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.config(i).IMAP.TLSListen[0], &tls.Config{InsecureSkipVerify: true}) // its certificate is made up
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	k := &talk{t: s.t, conn: conn, r: bufio.NewReader(conn)}
	k.ok("LOGIN %s secret", address)
	return k
}

// say sends a command and gives the rest of its tagged response, after the untagged ones.
func (k *talk) say(format string, args ...any) (answer string, untagged []string) {
	k.t.Helper()
	k.said++
	tag, line := fmt.Sprint("a", k.said, " "), fmt.Sprintf(format, args...)
	if err := k.conn.SetDeadline(time.Now().Add(talkPatience)); err != nil {
		k.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(k.conn, "%s%s\r\n", tag, line); err != nil {
		k.t.Fatalf("%s: %v", line, err)
	}
	for {
		answer, err := k.r.ReadString('\n')
		if err != nil {
			k.t.Fatalf("%s: %v after %q", line, err, untagged)
		}
		answer = strings.TrimRight(answer, "\r\n")
		if rest, found := strings.CutPrefix(answer, tag); found {
			return rest, untagged
		}
		untagged = append(untagged, answer)
	}
}

// hear waits for a line that begins with prefix.
func (k *talk) hear(prefix string) {
	k.t.Helper()
	if err := k.conn.SetDeadline(time.Now().Add(talkPatience)); err != nil {
		k.t.Fatal(err)
	}
	var before []string
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			k.t.Fatalf("waiting for %q: %v after %q", prefix, err, before)
		}
		if strings.HasPrefix(line, prefix) {
			return
		}
		before = append(before, line)
	}
}

// idle begins an IDLE, which wake ends.
func (k *talk) idle() {
	k.t.Helper()
	k.said++
	if _, err := fmt.Fprintf(k.conn, "a%d IDLE\r\n", k.said); err != nil {
		k.t.Fatal(err)
	}
	k.hear("+ ")
}

func (k *talk) wake() {
	k.t.Helper()
	if _, err := fmt.Fprint(k.conn, "DONE\r\n"); err != nil {
		k.t.Fatal(err)
	}
	k.hear(fmt.Sprintf("a%d OK", k.said))
}

// ok says a command that must be answered OK, and gives the untagged responses.
func (k *talk) ok(format string, args ...any) []string {
	k.t.Helper()
	answer, untagged := k.say(format, args...)
	if !strings.HasPrefix(answer, "OK") {
		k.t.Fatalf("%s was answered %s", fmt.Sprintf(format, args...), answer)
	}
	return untagged
}
