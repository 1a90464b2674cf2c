package imapd_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// client is go-imap's client, logged in.
func (h *house) client(options *imapclient.Options) *imapclient.Client {
	h.t.Helper()
	if options == nil {
		options = &imapclient.Options{}
	}
	options.TLSConfig = trusting()
	c, err := imapclient.DialTLS(h.tls, options)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

func TestClient(t *testing.T) {
	h := newHouse(t)
	c := h.client(nil)
	must(t, c.Login("ann@example.com", "secret").Wait())
	if _, err := c.Enable(imap.CapIMAP4rev2).Wait(); err != nil {
		t.Fatal(err)
	}
	must(t, c.Create("Grüße/2026", nil).Wait())
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true}}).Collect()
	must(t, err)
	var names []string
	for _, b := range boxes {
		names = append(names, b.Mailbox)
	}
	if got := strings.Join(names, " "); got != "INBOX Archive Drafts Grüße Grüße/2026 Junk Sent Trash" {
		t.Errorf("got %s", got)
	}
	const text = "From: Ann <ann@example.com>\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
	up := c.Append("Grüße/2026", int64(len(text)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$Work"}, Time: time.Unix(1e9, 0)})
	_, err = io.WriteString(up, text)
	must(t, err)
	must(t, up.Close())
	appended, err := up.Wait()
	must(t, err)
	if appended.UID != 1 || appended.UIDValidity == 0 {
		t.Errorf("appended as %+v", appended)
	}
	selected, err := c.Select("Grüße/2026", &imap.SelectOptions{CondStore: true}).Wait()
	must(t, err)
	if selected.NumMessages != 1 || selected.HighestModSeq == 0 {
		t.Errorf("selected %+v", selected)
	}
	checkFetch(t, c, text)
	checkChange(t, c)
	must(t, c.Logout().Wait())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func checkFetch(t *testing.T, c *imapclient.Client, text string) {
	t.Helper()
	whole := &imap.FetchItemBodySection{Peek: true}
	binary := &imap.FetchItemBinarySection{Part: []int{1}, Peek: true}
	msgs, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{Envelope: true, Flags: true, UID: true, InternalDate: true, RFC822Size: true,
		ModSeq: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{whole}, BinarySection: []*imap.FetchItemBinarySection{binary},
		BinarySectionSize: []*imap.FetchItemBinarySectionSize{{Part: []int{1}}}}).Collect()
	must(t, err)
	m := msgs[0]
	if m.Envelope.Subject != "grüße" || m.Envelope.From[0].Addr() != "ann@example.com" || m.UID != 1 ||
		m.RFC822Size != int64(len(text)) || m.InternalDate.Unix() != 1e9 || len(m.Flags) != 2 {
		t.Errorf("fetched %+v, %+v", m, m.Envelope)
	}
	if got := m.BodyStructure.MediaType(); got != "text/plain" {
		t.Errorf("body structure of %s", got)
	}
	if got := m.FindBodySection(whole); string(got) != text {
		t.Errorf("body is %q", got)
	}
	if got := m.FindBinarySection(binary); string(got) != "hello\r\n" {
		t.Errorf("binary part is %q", got)
	}
}

func checkChange(t *testing.T, c *imapclient.Client) {
	t.Helper()
	found, err := c.UIDSearch(&imap.SearchCriteria{Body: []string{"HELLO"}, Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "GRÜ"}}}, nil).Wait()
	must(t, err)
	if got := found.AllUIDs(); len(got) != 1 || got[0] != 1 {
		t.Errorf("found %v", got)
	}
	flags, err := c.Store(imap.SeqSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsDel, Flags: []imap.Flag{"$Work"}}, nil).Collect()
	must(t, err)
	if len(flags) != 1 || len(flags[0].Flags) != 1 {
		t.Errorf("stored %+v", flags)
	}
	copied, err := c.Copy(imap.UIDSetNum(1), "Archive").Wait()
	must(t, err)
	if copied.DestUIDs.String() != "1" {
		t.Errorf("copied as %+v", copied)
	}
	moved, err := c.Move(imap.UIDSetNum(1), "Trash").Wait()
	must(t, err)
	if fmt.Sprint(moved.DestUIDs) != "1" {
		t.Errorf("moved as %+v", moved)
	}
	status, err := c.Status("Trash", &imap.StatusOptions{NumMessages: true, Size: true, UIDNext: true}).Wait()
	must(t, err)
	if *status.NumMessages != 1 || status.UIDNext != 2 || *status.Size == 0 {
		t.Errorf("status is %+v", status)
	}
}

// TestSCRAM logs in without sending the password.
//
// RFC 7677: AUTH=SCRAM-SHA-256
func TestSCRAM(t *testing.T) {
	h := newHouse(t)
	c := h.client(nil)
	client, err := scram.SHA256.NewClient("ann@example.com", "secret", "")
	must(t, err)
	must(t, c.Authenticate(&scramClient{client.NewConversation()}))
	_, err = c.Select("INBOX", nil).Wait()
	must(t, err)
	wrong := h.client(nil)
	if client, err = scram.SHA256.NewClient("ann@example.com", "sekret", ""); err != nil {
		t.Fatal(err)
	}
	if err := wrong.Authenticate(&scramClient{client.NewConversation()}); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
		t.Errorf("a wrong password gave %v", err)
	}
	if err := wrong.Authenticate(sasl.NewPlainClient("", "ann@example.com", "secret")); err != nil {
		t.Error(err)
	}
}

type scramClient struct{ *scram.ClientConversation }

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.Step("")
	return "SCRAM-SHA-256", []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	response, err := s.Step(string(challenge))
	return []byte(response), err
}
