package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
)

// tape is a connection whose client said everything before.
type tape struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *tape) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *tape) Wait(context.Context, <-chan struct{}) (bool, error) {
	return true, nil
}
func (c *tape) Within(bool)                    {}
func (c *tape) Secure() bool                   { return true }
func (c *tape) CanStartTLS() bool              { return false }
func (c *tape) Compress()                      {}
func (c *tape) Compressed() bool               { return false }
func (c *tape) StartTLS(context.Context) error { return errors.New("TLS is active") }

// FuzzSession: whatever a client sends, the session ends with its input, answers each command at most
// once, and finds no error that nobody thought of.
func FuzzSession(f *testing.F) {
	files, err := filepath.Glob("testdata/*.imap")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var said bytes.Buffer
		for line := range strings.Lines(string(script)) {
			if _, text, ok := strings.Cut(line, ": "); ok && line[0] == 'C' {
				said.WriteString(strings.TrimSuffix(text, "\n") + "\r\n")
			}
		}
		f.Add(said.Bytes())
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		st := newStage(t)
		if len(said)%2 == 1 {
			st.limit(1, 0)
		}
		st.sharing = newNeighbourhood(st)
		st.deliver(2, "INBOX", "mixed")
		st.deliver(2, "INBOX", "utf8")
		mail := imapd.Mailstore(st.store)
		c := &tape{in: bytes.NewReader(append([]byte("s SELECT INBOX\r\n"), said...))}
		session := st.engine.NewSession(engine.Peer{Conn: c, Login: &actor{}, Others: st.sharing.others(),
			Authenticated: &engine.Identity{Account: 2, Address: "chris@example.org"},
			Open:          func(_ context.Context, who engine.Identity) (engine.Account, error) { return mail(who.Account), nil }})
		err := session.Run(t.Context())
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
			errors.Is(err, wire.ErrOutOfSync) || errors.Is(err, index.ErrGone) {
			return
		}
		if !strings.Contains(c.out.String(), "* BYE") {
			t.Errorf("ended with %v and no BYE", err)
		}
	})
}
