package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// Session is an IMAP connection, logged in. The client's calls have no patience of their own: see
// Within.
type Session struct {
	*imapclient.Client
	Node *Node
	conn net.Conn
}

// DialIMAP connects with STARTTLS and logs in.
func (n *Node) DialIMAP(ctx context.Context, address, password string) (*Session, error) {
	config, err := n.TLS()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: connectPatience}
	conn, err := dialer.DialContext(ctx, "tcp", n.IMAP())
	if err != nil {
		return nil, fmt.Errorf("connect to IMAP of %s: %w", n.Name, err)
	}
	s := &Session{Node: n, conn: conn}
	defer s.Within(ctx, commandPatience)()
	if s.Client, err = imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: config}); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("STARTTLS with IMAP of %s: %w", n.Name, err)
	}
	if err := s.Login(address, password).Wait(); err != nil {
		s.End()
		return nil, fmt.Errorf("log in to %s as %s: %w", n.Name, address, err)
	}
	return s, nil
}

// Within closes the connection when ctx ends or the time is over before the function it returns is
// called. Every command then fails.
func (s *Session) Within(ctx context.Context, d time.Duration) (done func()) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(ctx, func() {
		if ctx.Err() != nil {
			_ = s.conn.Close()
		}
	})
	return func() {
		stop()
		cancel()
	}
}

// End closes the connection without a word.
func (s *Session) End() { _ = s.Client.Close() }

// readPatience is how long one mailbox may take to be read.
const readPatience = 2 * time.Minute

// ReadAll reads every message in every mailbox of an account through this node.
func (n *Node) ReadAll(ctx context.Context, address, password string) ([]Found, error) {
	s, err := n.DialIMAP(ctx, address, password)
	if err != nil {
		return nil, err
	}
	defer s.End()
	defer s.Within(ctx, readPatience)()
	mailboxes, err := s.List("", "*", nil).Collect()
	if err != nil {
		return nil, fmt.Errorf("list the mailboxes of %s: %w", address, err)
	}
	var all []Found
	for _, m := range mailboxes {
		if slices.Contains(m.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(m.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		found, err := s.readMailbox(m.Mailbox)
		if err != nil {
			return nil, fmt.Errorf("read %s of %s through %s: %w", m.Mailbox, address, n.Name, err)
		}
		for i := range found {
			found[i].Recipient, found[i].Mailbox = address, m.Mailbox
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s *Session) readMailbox(name string) ([]Found, error) {
	selected, err := s.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		return nil, err
	}
	if selected.NumMessages == 0 {
		return nil, nil
	}
	var all imap.UIDSet
	all.AddRange(1, 0)
	cmd := s.Fetch(all, &imap.FetchOptions{UID: true, Flags: true,
		BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
	var found []Found
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		f, err := readMessage(msg)
		if err != nil {
			_ = cmd.Close()
			return nil, err
		}
		found = append(found, f)
	}
	if err := cmd.Close(); err != nil {
		return nil, err
	}
	if len(found) != int(selected.NumMessages) {
		return nil, fmt.Errorf("%d messages were announced and %d came", selected.NumMessages, len(found))
	}
	return found, nil
}

func readMessage(msg *imapclient.FetchMessageData) (Found, error) {
	var f Found
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			f.UID = uint32(item.UID)
		case imapclient.FetchItemDataFlags:
			for _, flag := range item.Flags {
				f.Flags = append(f.Flags, strings.ToLower(string(flag)))
			}
			slices.Sort(f.Flags)
		case imapclient.FetchItemDataBodySection:
			raw, err := io.ReadAll(item.Literal)
			if err != nil {
				return f, fmt.Errorf("read a body: %w", err)
			}
			f.ID, f.Digest = ReadDigest(raw)
			if f.Reports = readReport(raw); f.Reports != nil {
				f.Text = string(raw)
			}
		}
	}
	return f, nil
}
