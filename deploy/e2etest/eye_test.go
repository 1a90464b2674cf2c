package e2etest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// The other eye: what a story's client did is looked at with go-imap's client.

// dial logs in at the door where the account's mail is read.
func (a *account) dial(t *testing.T) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialTLS(a.out.direct, &imapclient.Options{TLSConfig: a.site.tlsConfig(t, a.out)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(a.address, a.password).Wait(); err != nil {
		t.Fatalf("log in as %s: %v", a.address, err)
	}
	enable(t, c)
	return c
}

// enable turns on IMAP4rev2, whose mailbox names the client uses as soon as it sees the capability.
func enable(t *testing.T, c *imapclient.Client) {
	t.Helper()
	if _, err := c.Enable(imap.CapIMAP4rev2).Wait(); err != nil {
		t.Fatal(err)
	}
}

// seen is one message as the eye sees it.
type seen struct {
	subject string
	flags   []string // sorted, without \Recent
	text    string   // the whole message
}

// String gives "subject \Flag".
func (s seen) String() string { return strings.Join(append([]string{s.subject}, s.flags...), " ") }

// look reads all of a mailbox, in its order; a mailbox that is not there is an error.
func (a *account) look(t *testing.T, mailbox string) ([]seen, error) {
	t.Helper()
	c := a.dial(t)
	defer c.Close()
	if _, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return nil, fmt.Errorf("select %s: %w", mailbox, err)
	}
	all := imap.SeqSet{imap.SeqRange{Start: 1, Stop: 0}}
	if data := c.Mailbox(); data == nil || data.NumMessages == 0 {
		return nil, nil
	}
	body := &imap.FetchItemBodySection{Peek: true}
	options := &imap.FetchOptions{Envelope: true, Flags: true, BodySection: []*imap.FetchItemBodySection{body}}
	messages, err := c.Fetch(all, options).Collect()
	if err != nil {
		return nil, fmt.Errorf("fetch all of %s: %w", mailbox, err)
	}
	var list []seen
	for _, m := range messages {
		s := seen{subject: m.Envelope.Subject, text: string(m.FindBodySection(body))}
		for _, f := range m.Flags {
			if f != `\Recent` {
				s.flags = append(s.flags, string(f))
			}
		}
		slices.Sort(s.flags)
		list = append(list, s)
	}
	return list, nil
}

// expect waits until a mailbox holds exactly these messages, written as seen.String does, in any order.
func (a *account) expect(t *testing.T, mailbox string, want ...string) {
	t.Helper()
	slices.Sort(want)
	eventually(t, func() error {
		list, err := a.look(t, mailbox)
		if err != nil {
			return err
		}
		var got []string
		for _, s := range list {
			got = append(got, s.String())
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("%s holds %q, want %q", mailbox, got, want)
		}
		return nil
	})
}

// text waits for the message of a subject and gives it whole.
func (a *account) text(t *testing.T, mailbox, subject string) (text string) {
	t.Helper()
	eventually(t, func() error {
		list, err := a.look(t, mailbox)
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.subject == subject {
				text = s.text
				return nil
			}
		}
		return fmt.Errorf("no %q in %s", subject, mailbox)
	})
	return text
}

// put appends a message by the eye.
func (a *account) put(t *testing.T, mailbox, message string, flags ...imap.Flag) {
	t.Helper()
	c := a.dial(t)
	defer c.Close()
	cmd := c.Append(mailbox, int64(len(message)), &imap.AppendOptions{Flags: flags})
	if _, err := io.WriteString(cmd, message); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatalf("append to %s: %v", mailbox, err)
	}
}

// message makes a small message with CRLF line ends.
func message(from, to, subject, text string) string {
	return strings.ReplaceAll(fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\nDate: Tue, 02 Jan 2024 16:04:03 +0100\n"+
		"Message-ID: <%s@story.example>\n\n%s\n", from, to, subject,
		strings.ReplaceAll(strings.ToLower(subject), " ", "-"), text), "\n", "\r\n")
}
