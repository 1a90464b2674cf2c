package imapd_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// mirror is a client that believes all it is told of its mailbox: one entry a message, "" where it was
// not told the flags yet.
type mirror struct {
	*wire
	flags []string
	tag   int
}

// take reads responses up to the tagged one.
func (m *mirror) take(tag string) error {
	for {
		line, err := m.r.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, tag+" ") {
			if strings.HasPrefix(line, tag+" BAD") {
				return fmt.Errorf("server says %s", line)
			}
			return nil
		}
		if err := m.believe(line); err != nil {
			return err
		}
	}
}

func (m *mirror) believe(line string) error {
	words := strings.SplitN(strings.TrimPrefix(line, "* "), " ", 3)
	n, err := strconv.Atoi(words[0])
	if err != nil {
		return nil
	}
	switch words[1] {
	case "EXISTS":
		if n < len(m.flags) {
			return fmt.Errorf("EXISTS %d though there are %d", n, len(m.flags))
		}
		for len(m.flags) < n {
			m.flags = append(m.flags, "")
		}
	case "EXPUNGE":
		if n < 1 || n > len(m.flags) {
			return fmt.Errorf("EXPUNGE %d of %d", n, len(m.flags))
		}
		m.flags = slices.Delete(m.flags, n-1, n)
	case "FETCH":
		_, flags, ok := strings.Cut(line, "FLAGS (")
		if !ok || n < 1 || n > len(m.flags) {
			return fmt.Errorf("%d messages, and %s", len(m.flags), line)
		}
		m.flags[n-1] = "(" + flags[:strings.IndexByte(flags, ')')+1]
	}
	return nil
}

func (m *mirror) command(format string, args ...any) error {
	m.tag++
	tag := fmt.Sprintf("x%d", m.tag)
	if _, err := fmt.Fprintf(m.Conn, tag+" "+format+"\r\n", args...); err != nil {
		return err
	}
	return m.take(tag)
}

// act does something that a client might do.
func (m *mirror) act(r *rand.Rand) error {
	if len(m.flags) == 0 {
		return m.command("APPEND INBOX {18+}\r\nSubject: %08d\r\n", r.Uint32N(1e8))
	}
	n := r.IntN(len(m.flags)) + 1
	flag := []string{`\Seen`, `\Flagged`, `\Deleted`, "$a", "$b"}[r.IntN(5)]
	switch r.IntN(8) {
	case 0, 1:
		return m.command("APPEND INBOX {18+}\r\nSubject: %08d\r\n", r.Uint32N(1e8))
	case 2:
		return m.command("STORE %d:%d +FLAGS (%s)", n, min(n+2, len(m.flags)), flag)
	case 3:
		return m.command("STORE %d -FLAGS (%s)", n, flag)
	case 4:
		return m.command("EXPUNGE")
	case 5:
		return m.command("FETCH 1:%d (FLAGS)", n)
	case 6:
		return m.command("UID SEARCH UNSEEN")
	default:
		return m.command("NOOP")
	}
}

// TestConcurrentSessions: sessions that change one mailbox at the same time all end with the same
// picture of it, made only of what they were told.
func TestConcurrentSessions(t *testing.T) {
	h := newHouse(t)
	const sessions, steps = 6, 150
	mirrors := make([]*mirror, sessions)
	for i := range mirrors {
		m := &mirror{wire: h.dialTLS()}
		m.do(login1)
		if err := m.command("SELECT INBOX"); err != nil {
			t.Fatal(err)
		}
		mirrors[i] = m
	}
	var wg sync.WaitGroup
	for i, m := range mirrors {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range steps {
				if err := m.act(r); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	fresh := &mirror{wire: h.dialTLS()}
	fresh.do(login1)
	for _, c := range []string{"SELECT INBOX", "UID FETCH 1:* FLAGS"} {
		if err := fresh.command("%s", c); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range mirrors {
		if err := m.command("NOOP"); err != nil {
			t.Fatal(err)
		}
		for j, f := range m.flags {
			if f == "" && j < len(fresh.flags) {
				m.flags[j] = fresh.flags[j] // it never asked
			}
		}
		if !slices.Equal(m.flags, fresh.flags) {
			t.Errorf("session %d believes\n%v, there is\n%v", i, m.flags, fresh.flags)
		}
	}
}
