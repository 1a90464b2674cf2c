package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd"
	"github.com/rookery-mail/rookery/imapd/engine"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// vanishing is an account of which a mailbox is always deleted between its lookup and SETACL.
type vanishing struct{ engine.Account }

func (v vanishing) SetACL(ctx context.Context, m index.Mailbox, _ access.GrantChange) error {
	if err := v.Delete(ctx, m.Name); err != nil && !errors.Is(err, index.ErrInvalidName) { // INBOX stays
		return err
	}
	return fmt.Errorf("set rights: %w", index.ErrGone)
}

// TestAnotherIsGone: a mailbox that is deleted while a command is at it is one that there is not; the session ends only
// where it is the one that is selected.
func TestAnotherIsGone(t *testing.T) {
	mail := vanishing{imapd.Mailstore(mailstoretest.New(t))(1)}
	others := imapd.NewOthers(&neighbourhood{addresses: map[index.AccountID]string{1: "fred@example.org", 2: "chris@example.org"},
		pairs: map[[2]index.AccountID]bool{}}, nil)
	e := engine.New(engine.Config{MaxMessage: 1 << 20, Limits: wire.DefaultLimits(), Now: time.Now, Events: &stage{t: t}})
	c := &tape{in: bytes.NewReader([]byte("a CREATE One\r\nb SETACL One chris@example.org lr\r\nc SELECT INBOX\r\nd CREATE Two\r\n" +
		"e SETACL Two chris@example.org lr\r\nf CREATE Three\r\ng SELECT Three\r\nh SETACL Three chris@example.org lr\r\ni NOOP\r\n"))}
	session := e.NewSession(engine.Peer{Conn: c, Login: &actor{}, Authenticated: &engine.Identity{Account: 1, Address: "fred@example.org"}, Others: others,
		Open: func(context.Context, engine.Identity) (engine.Account, error) { return mail, nil }})
	if err := session.Run(t.Context()); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, index.ErrGone) {
		t.Fatal(err)
	}
	said := c.out.String()
	for _, want := range []string{"b NO [NONEXISTENT]", "e NO [NONEXISTENT]", "* BYE the selected mailbox was deleted"} {
		if !strings.Contains(said, want) {
			t.Errorf("without %q: %s", want, said)
		}
	}
	if strings.Contains(said, "h NO") || strings.Contains(said, "i OK") {
		t.Errorf("the session outlived its mailbox: %s", said)
	}
}
