package e2etest

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// writeDown has all that clients say at port 993 written down, a file for each connection, where
// ROOKERY_E2E_TRANSCRIPTS names a folder for it. The conversations in imapd/engine/testdata/clients were
// made out of these.
func (s *site) writeDown(t *testing.T) {
	t.Helper()
	dir := os.Getenv("ROOKERY_E2E_TRANSCRIPTS")
	if dir == "" {
		return
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile(s.authority)
	if err != nil {
		t.Fatal(err)
	}
	var last atomic.Uint32
	s.scribe = func() *scribe {
		return &scribe{file: filepath.Join(dir, fmt.Sprintf("%v-%03d.txt", s.story.Load(), last.Add(1)))}
	}
	for i, d := range s.doors {
		p := tapOf(t, s, d, s.scribe)
		s.doors[i].imaps = p.address
		own, err := os.ReadFile(p.trust)
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(own); block == nil {
			t.Fatalf("no certificate in %s", p.trust)
		}
		trusted = append(trusted, own...)
	}
	write(t, s.authority, string(trusted))
}

// scribe writes down one conversation, in lines that begin with "C: " and "S: ", in the order in which
// they were complete.
type scribe struct {
	file string

	mu   sync.Mutex // guards what follows
	text strings.Builder
}

func (s *scribe) client() io.Writer { return &side{scribe: s, name: "C: "} }
func (s *scribe) server() io.Writer { return &side{scribe: s, name: "S: "} }

// end writes the file. That it cannot is seen by there being none.
func (s *scribe) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	os.WriteFile(s.file, []byte(s.text.String()), 0o600)
}

// side is what one of the two says.
type side struct {
	scribe *scribe
	name   string
	rest   []byte // of a line that is not complete; only its own copier touches it
}

func (d *side) Write(data []byte) (int, error) {
	d.scribe.mu.Lock()
	defer d.scribe.mu.Unlock()
	d.rest = append(d.rest, data...)
	for {
		line, rest, whole := bytes.Cut(d.rest, []byte("\n"))
		if !whole {
			return len(data), nil
		}
		d.scribe.text.WriteString(d.name + strings.TrimSuffix(string(line), "\r") + "\n")
		d.rest = rest
	}
}

// plainly keeps COMPRESS from a client, since what is compressed cannot be read in what is written down.
type plainly struct{ io.Writer }

func (w plainly) Write(data []byte) (int, error) {
	if _, err := w.Writer.Write(bytes.ReplaceAll(data, []byte(" COMPRESS=DEFLATE"), nil)); err != nil {
		return 0, err
	}
	return len(data), nil
}
