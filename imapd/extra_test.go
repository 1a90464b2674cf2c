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

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/credential"
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

// TestSHA1 logs in with SCRAM-SHA-1 and bound to TLS, where the cluster offers it and the account has
// its keys.
//
// RFC 5802: AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS
func TestSHA1(t *testing.T) {
	h := newHouse(t)
	c, err := credential.Derive("secret", []byte("0123456789abcdef"), credential.MinIterations)
	must(t, err)
	c, err = c.WithSHA1("secret")
	must(t, err)
	h.dir.Must(t)(directory.SetSetting("scram_sha1", "on"))
	h.dir.Must(t)(directory.UpdateAccount(cluster.AccountID(h.ann), directory.AccountChange{Credential: &c}))
	for _, password := range []string{"secret", "sekret"} {
		for _, plus := range []bool{false, true} {
			nc, err := tls.Dial("tcp", h.tls, trusting())
			must(t, err)
			state := nc.ConnectionState()
			binding, err := scram.NewTLSExporterBinding(&state)
			must(t, err)
			imap := imapclient.New(nc, nil)
			t.Cleanup(func() { imap.Close() })
			client, err := scram.SHA1.NewClient("ann@example.com", password, "")
			must(t, err)
			run := &sha1Client{scramClient{client.NewConversation()}, "SCRAM-SHA-1"}
			if plus {
				run = &sha1Client{scramClient{client.NewConversationWithChannelBinding(binding)}, "SCRAM-SHA-1-PLUS"}
			}
			err = imap.Authenticate(run)
			if password == "secret" && err != nil || password != "secret" && (err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED")) {
				t.Errorf("%s with %q: %v", run.name, password, err)
			}
		}
	}
}

type sha1Client struct {
	scramClient
	name string
}

func (s *sha1Client) Start() (string, []byte, error) {
	first, err := s.Step("")
	return s.name, []byte(first), err
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
