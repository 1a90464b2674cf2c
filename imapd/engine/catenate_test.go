package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// sameOctets gives one octet for ever, and holds nothing.
type sameOctets byte

func (o sameOctets) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(o)
	}
	return len(p), nil
}

// largeMail is an account of one message of size octets, and counts what is appended.
type largeMail struct {
	engine.Account
	size, taken int64
}

func (m *largeMail) Mailbox(context.Context, string) (index.Mailbox, error) {
	return index.Mailbox{ID: 1, Name: "INBOX"}, nil
}
func (m *largeMail) Open(context.Context, string) (engine.Mailbox, error) {
	return &largeBox{size: m.size}, nil
}
func (m *largeMail) NewIncoming(context.Context) engine.Incoming { return m }
func (m *largeMail) Watch() (<-chan struct{}, func())            { return nil, func() {} }
func (m *largeMail) AppendAll(context.Context, string, []engine.Incoming, []access.AppendOptions) (access.CopyResult, error) {
	return access.CopyResult{UIDValidity: 1, To: []index.UIDRange{{Lo: 2, Hi: 2}}}, nil
}
func (m *largeMail) Write(p []byte) (int, error) { m.taken += int64(len(p)); return len(p), nil }
func (m *largeMail) Park(int) (int, error)       { return 0, nil }
func (m *largeMail) Discard()                    {}

type largeBox struct {
	engine.Mailbox
	size int64
}

func (b *largeBox) Info() index.Mailbox { return index.Mailbox{ID: 1, UIDValidity: 1} }
func (b *largeBox) Messages(_ context.Context, _ *uidset.Set, fn func(access.Message) error) error {
	return fn(access.Message{UID: 1, Size: uint64(b.size)})
}
func (b *largeBox) OpenBody(context.Context, index.UID) (access.Body, error) { return b, nil }
func (b *largeBox) Size() int64                                              { return b.size }
func (b *largeBox) Close() error                                             { return nil }
func (b *largeBox) ReadAt(p []byte, off int64) (int, error) {
	if off >= b.size {
		return 0, io.EOF
	}
	n, _ := sameOctets('u').Read(p[:min(int64(len(p)), b.size-off)])
	return n, nil
}

// stream is a connection whose client says what a reader gives.
type stream struct {
	tape
	from io.Reader
}

func (s *stream) Read(p []byte) (int, error) { return s.from.Read(p) }

// TestCatenateHoldsNoParts: a message of 50 MiB from the client and as much by URL, twice each, passes through
// a session that allocates less than 1 MiB in all, so that it cannot hold more at any moment.
func TestCatenateHoldsNoParts(t *testing.T) {
	const size = 50 << 20
	mail := &largeMail{size: size}
	e := engine.New(engine.Config{MaxMessage: 5 * size, Limits: wire.DefaultLimits(), Now: time.Now, Events: &stage{t: t}})
	text := fmt.Sprintf(" TEXT {%d+}\r\n", size)
	c := &stream{from: io.MultiReader(
		strings.NewReader(`a APPEND INBOX CATENATE (URL "/INBOX/;UID=1"`+text), io.LimitReader(sameOctets('t'), size),
		strings.NewReader(` URL "/INBOX;UIDVALIDITY=1/;UID=1"`+text), io.LimitReader(sameOctets('t'), size),
		strings.NewReader(")\r\nb LOGOUT\r\n"))}
	c.in = bytes.NewReader(nil)
	session := e.NewSession(engine.Peer{Conn: c, Login: &actor{}, Authenticated: &engine.Identity{Account: 2},
		Open: func(context.Context, engine.Identity) (engine.Account, error) { return mail, nil }})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := session.Run(t.Context())
	runtime.ReadMemStats(&after)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if !strings.Contains(c.out.String(), "a OK [APPENDUID 1 2]") || mail.taken != 4*size {
		t.Fatalf("%d octets were taken; %s", mail.taken, c.out.String())
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d KiB allocated for %d MiB", allocated>>10, mail.taken>>20)
	if allocated > 1<<20 {
		t.Errorf("%d octets allocated", allocated)
	}
}
