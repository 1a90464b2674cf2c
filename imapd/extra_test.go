package imapd_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// TestChannelBinding logs in with SCRAM bound to the TLS connection (RFC 9266).
//
// RFC 7677: AUTH=SCRAM-SHA-256-PLUS
func TestChannelBinding(t *testing.T) {
	h := newHouse(t)
	nc, err := tls.Dial("tcp", h.tls, trusting())
	must(t, err)
	state := nc.ConnectionState()
	binding, err := scram.NewTLSExporterBinding(&state)
	must(t, err)
	c := imapclient.New(nc, nil)
	t.Cleanup(func() { c.Close() })
	client, err := scram.SHA256.NewClient("ann@example.com", "secret", "")
	must(t, err)
	must(t, c.Authenticate(&plusClient{client.NewConversationWithChannelBinding(binding)}))
	_, err = c.Select("INBOX", nil).Wait()
	must(t, err)
}

type plusClient struct{ *scram.ClientConversation }

func (s *plusClient) Start() (string, []byte, error) {
	first, err := s.Step("")
	return "SCRAM-SHA-256-PLUS", []byte(first), err
}

func (s *plusClient) Next(challenge []byte) ([]byte, error) {
	response, err := s.Step(string(challenge))
	return []byte(response), err
}

// TestLogin logs in with the mechanism that Outlook has.
//
// draft-murchison-sasl-login: AUTH=LOGIN
func TestLogin(t *testing.T) {
	h := newHouse(t)
	c := h.client(nil)
	if err := c.Authenticate(sasl.NewLoginClient("ann@example.com", "sekret")); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
		t.Errorf("a wrong password gave %v", err)
	}
	must(t, c.Authenticate(sasl.NewLoginClient("ann@example.com", "secret")))
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
}

// TestLargeHeader: the fields of a header that is too large to be kept are streamed, whole and in part.
func TestLargeHeader(t *testing.T) {
	h := newHouse(t)
	var header, want strings.Builder
	for i := range 20000 {
		line := fmt.Sprintf("X-%d: value %d\r\n", i%4, i)
		header.WriteString(line)
		if i%4 == 2 {
			want.WriteString(line)
		}
	}
	want.WriteString("\r\n")
	h.deliver(header.String() + "\r\nbody\r\n")
	c := h.client(nil)
	must(t, c.Login("ann", "secret").Wait())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	whole := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"x-2"}, Peek: true}
	part := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"x-2"}, Peek: true,
		Partial: &imap.SectionPartial{Offset: 30000, Size: 5000}}
	for section, want := range map[*imap.FetchItemBodySection]string{whole: want.String(), part: want.String()[30000:35000]} {
		cmd := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}})
		msg := cmd.Next()
		item := msg.Next().(imapclient.FetchItemDataBodySection)
		got, err := io.ReadAll(item.Literal)
		must(t, err)
		if string(got) != want {
			t.Errorf("got %d octets, not %d", len(got), len(want))
		}
		must(t, cmd.Close())
	}
}

// TestPipeline: commands that come together are answered in order.
func TestPipeline(t *testing.T) {
	h := newHouse(t)
	w := h.dialTLS()
	w.say("a LOGIN ann secret\r\nb APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\nc SELECT INBOX\r\nd FETCH 1 UID\r\ne STATUS INBOX (MESSAGES)\r\nf LOGOUT")
	for _, want := range []string{"a OK", "b OK [APPENDUID", "c OK", "* 1 FETCH (UID 1)", "d OK", "* STATUS INBOX (MESSAGES 1)", "e OK", "* BYE", "f OK"} {
		w.until(want)
	}
	w.ends()
}
