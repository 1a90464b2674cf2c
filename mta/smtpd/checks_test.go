package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/plan"
	"github.com/rookery-mail/rookery/mta/queue"
)

// fakeChecks do what the words of names and messages say, and remember what they were told.
type fakeChecks struct {
	refuse bool // everybody, at once
	heard  []string
}

func (f *fakeChecks) Begin(context.Context, Peer) (Session, *mta.Reply) {
	if f.refuse {
		return nil, mta.Replyf(554, mta.NotAuthorized, "Not you")
	}
	return fakeSession{f}, nil
}

type fakeSession struct{ f *fakeChecks }

func (s fakeSession) hear(what, about string) *mta.Reply {
	s.f.heard = append(s.f.heard, what+" "+about)
	if strings.Contains(about, "unwanted") {
		return mta.Replyf(550, mta.NotAuthorized, "%s is not wanted", about)
	}
	return nil
}

func (s fakeSession) Hello(_ context.Context, name string, _ bool, _ *tls.ConnectionState) *mta.Reply {
	return s.hear("hello", name)
}
func (s fakeSession) Login(_ index.AccountID, address string) { s.hear("login", address) }
func (s fakeSession) Mail(_ context.Context, _ mta.ID, env mta.Envelope) *mta.Reply {
	return s.hear("mail", env.From)
}
func (s fakeSession) Rcpt(_ context.Context, to mta.Recipient) *mta.Reply {
	return s.hear("rcpt", to.Address)
}
func (s fakeSession) Unknown(_ context.Context, to string) { s.hear("unknown", to) }
func (s fakeSession) Reset()                               { s.hear("reset", "") }
func (s fakeSession) End()                                 { s.hear("end", "") }

func (s fakeSession) Message(_ context.Context, m Message) (Verdict, error) {
	text, err := io.ReadAll(m.Text.Reader())
	if err != nil {
		return Verdict{}, err
	}
	if t := string(m.Trace); !strings.HasPrefix(t, "Return-Path: <") || !strings.Contains(t, "\r\nReceived: ") || !strings.HasSuffix(t, "\r\n") {
		return Verdict{}, fmt.Errorf("trace fields %q", t)
	}
	switch body := string(text); {
	case strings.Contains(body, "unwanted"):
		return Verdict{Reply: mta.Replyf(550, mta.NotAuthorized, "The message is not wanted")}, nil
	case strings.Contains(body, "not now"):
		return Verdict{}, cluster.ErrUnavailable
	case strings.Contains(body, "junk"):
		return Verdict{Fields: []byte("X-Seen: yes\r\n"), Text: strings.NewReader(strings.ReplaceAll(body, "junk", "JUNK")),
			Plans: map[index.AccountID]*plan.Plan{1: {Copies: []plan.Copy{{Mailbox: "Junk"}, {Mailbox: "Copies"}}}, 2: {}}}, nil
	}
	if body := string(text); strings.Contains(body, "twofold") { // another text beside the message, which account 6 has no room for
		other := plan.Other{Text: func() io.Reader { return strings.NewReader(strings.ReplaceAll(body, "twofold", "TWOFOLD")) }, Copies: []plan.Copy{{Mailbox: "Edited"}}}
		p := &plan.Plan{Copies: []plan.Copy{{Mailbox: "Plain"}}, Others: []plan.Other{other}, Also: []*mailstore.Also{queue.Submission{Account: 1, Recipients: []mta.Recipient{{Address: "away@example.com"}}}.Also()}}
		return Verdict{Plans: map[index.AccountID]*plan.Plan{1: p, 6: p}}, nil
	}
	return Verdict{Fields: []byte("X-Seen: yes\r\n")}, nil
}

// TestHeard: each step is heard once and in order, and a session that began ends.
func TestHeard(t *testing.T) {
	f := new(fakeChecks)
	converse(newServer(&fakeStore{}, func(c *Config) { c.Checks = f }), MX, [][]byte{[]byte("EHLO a.example\r\nMAIL FROM:<joe@example.net>\r\n" +
		"RCPT TO:<nobody@example.org>\r\nRCPT TO:<alice@example.org>\r\nRSET\r\nNOOP\r\nQUIT\r\n")}, func(int, string) {})
	const want = "hello a.example; mail joe@example.net; unknown nobody@example.org; rcpt alice@example.org; reset ; end "
	if got := strings.Join(f.heard, "; "); got != want {
		t.Errorf("heard %q", got)
	}
	f = &fakeChecks{refuse: true}
	var said string
	converse(newServer(&fakeStore{}, func(c *Config) { c.Checks = f }), MX, nil, func(_ int, answer string) { said += answer })
	if !strings.HasPrefix(said, "554 ") || len(f.heard) > 0 {
		t.Errorf("who is refused hears %q, and is heard %q", said, f.heard)
	}
}
