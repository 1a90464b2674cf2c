package smtpd

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/bearer"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
	"github.com/rookery-mail/rookery/cluster/directory/login"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/mailstore/mailstoretest"
)

// whole is a server over the real directory, login and mail store, all in memory.
type whole struct {
	*Server
	people *directorytest.Directory
	mail   *mailstoretest.Cluster
	store  *mailstore.Store
}

func newWhole(t *testing.T, config *tls.Config) *whole {
	w := &whole{people: directorytest.New(t, "example.org"), mail: mailstoretest.NewCluster(t)}
	w.store = w.mail.Store(func(c *mailstore.Config) {
		c.Limits = func(a index.AccountID) (bytes, messages uint64) {
			bytes, messages, _ = w.people.View().Limits(a)
			return bytes, messages
		}
	})
	auth, err := login.New(login.Config{Directory: w.people, Tokens: bearer.New(bearer.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	w.Server = New(Config{
		Hostname: "mx.example.org", Directory: Members(w.people), Store: Mailstore(w.store), Auth: Logins(auth), TLS: config,
	})
	return w
}

// inbox reads all messages of an account's INBOX.
func (w *whole) inbox(t *testing.T, id cluster.AccountID) []string {
	t.Helper()
	m, err := w.store.Account(id).Open(t.Context(), index.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.View(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for uid := range v.UIDs.All() {
		b, err := m.OpenBody(t.Context(), uid)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		if err != nil {
			t.Fatal(err)
		}
		b.Close()
		all = append(all, string(text))
	}
	return all
}

// TestWhole sends mail to accounts, an alias and a subaddress, again as a peer does that missed our
// answer, and while there is no majority.
func TestWhole(t *testing.T) {
	w := newWhole(t, nil)
	alice := w.people.AddAccount(t, "alice@example.org", "")
	bob := w.people.AddAccount(t, "bob@example.org", "")
	w.people.Must(t)(directory.PutAlias("team@example.org", "alice@example.org", "bob@example.org"))
	c := dial(t, listen(t, w.Server, MX))
	c.expect("220 ")
	c.send("EHLO x\r\n")
	c.expect("250-")
	send := func(subject, reply string, rcpts ...string) {
		t.Helper()
		c.send("MAIL FROM:<carol@example.com>\r\n")
		c.expect("250 ")
		for _, r := range rcpts {
			c.send("RCPT TO:<" + r + ">\r\n")
			c.expect("250 ")
		}
		c.send("DATA\r\nMessage-ID: <" + subject + "@example.com>\r\nSubject: " + subject + "\r\n\r\nbody\r\n.\r\n")
		c.expect("354 ")
		c.expect(reply)
	}
	send("one", "250 ", "Alice+shop@example.org")
	send("two", "250 ", "team@example.org", "bob@example.org")
	send("two", "250 ", "team@example.org", "bob@example.org") // our 250 was lost
	w.mail.Fail(cluster.ErrUnavailable)
	send("three", "451 4.3.2 ", "alice@example.org")
	w.mail.Fail(cluster.ErrStorageFull)
	send("three", "452 4.3.1 ", "alice@example.org")
	w.mail.Fail(nil)
	send("three", "250 ", "alice@example.org")
	send("four", "250 ", "postmaster")

	for id, want := range map[cluster.AccountID]int{alice: 4, bob: 1} {
		got := w.inbox(t, id)
		if len(got) != want {
			t.Fatalf("account %d has %d messages, want %d: %q", id, len(got), want, got)
		}
		for _, m := range got {
			if !strings.HasPrefix(m, "Return-Path: <carol@example.com>\r\nReceived: from x ([127.0.0.1]) by mx.example.org with ESMTP") ||
				!strings.HasSuffix(m, "\r\n\r\nbody\r\n") {
				t.Errorf("account %d has %q", id, m)
			}
		}
	}
}

func TestWholeQuota(t *testing.T) {
	w := newWhole(t, nil)
	alice := w.people.AddAccount(t, "alice@example.org", "")
	w.people.Must(t)(directory.SetSetting("quota_bytes", "3000"))
	c := dial(t, listen(t, w.Server, MX))
	c.expect("220 ")
	c.send("EHLO x\r\nMAIL FROM:<> SIZE=4000\r\nRCPT TO:<alice@example.org>\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n")
	c.expect("250-")
	c.expect("250 ")
	c.expect("552 5.2.2 ")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("354 ")
	c.send("\r\n" + strings.Repeat("x", 2500) + "\r\n.\r\nMAIL FROM:<> SIZE=500\r\nRCPT TO:<alice@example.org>\r\n")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("452 4.2.2 ")
	c.send("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n\r\n" + strings.Repeat("y", 2500) + "\r\n.\r\n")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("250 ")
	c.expect("354 ")
	c.expect("452 4.2.2 ") // the size was not declared, so the delivery found out
	if got := w.inbox(t, alice); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}

// TestBigBody passes a message that is staged in chunks, by DATA and by BDAT.
func TestBigBody(t *testing.T) {
	w := newWhole(t, nil)
	alice := w.people.AddAccount(t, "alice@example.org", "")
	c := dial(t, listen(t, w.Server, MX))
	c.expect("220 ")
	var text strings.Builder
	text.WriteString("Subject: big\r\n\r\n")
	for i := range 60_000 {
		fmt.Fprintf(&text, "%x %x\r\n", i*i, i*7919)
	}
	body := text.String()
	c.send("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n" + body + ".\r\n")
	for _, reply := range []string{"250-", "250 ", "250 ", "354 ", "250 2.0.0 "} {
		c.expect(reply)
	}
	second := body + "second\r\n"
	c.send(fmt.Sprintf("MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nBDAT %d\r\n%sBDAT 8 LAST\r\nsecond\r\n", len(body), body))
	for _, reply := range []string{"250 ", "250 ", "250 ", "250 2.0.0 "} {
		c.expect(reply)
	}
	got := w.inbox(t, alice)
	if len(got) != 2 || !strings.HasSuffix(got[0], "\r\n"+body) || !strings.HasSuffix(got[1], "\r\n"+second) {
		t.Errorf("%d messages, or other octets than were sent", len(got))
	}
}

// scramClient is the client side of SCRAM for go-smtp.
type scramClient struct {
	name string
	conv *scram.ClientConversation
}

func (s *scramClient) Start() (string, []byte, error) {
	first, err := s.conv.Step("")
	return s.name, []byte(first), err
}

func (s *scramClient) Next(challenge []byte) ([]byte, error) {
	answer, err := s.conv.Step(string(challenge))
	return []byte(answer), err
}

func TestSCRAM(t *testing.T) {
	serverTLS, clientTLS := certificate(t)
	w := newWhole(t, serverTLS)
	w.people.AddAccount(t, "alice@example.org", "secret")
	addr := listen(t, w.Server, Submissions)
	bindings := map[string]func(*tls.ConnectionState) (scram.ChannelBinding, error){
		"exporter": scram.NewTLSExporterBinding, "end-point": scram.NewTLSServerEndpointBinding, "none": nil,
	}
	for name, bind := range bindings {
		t.Run(name, func(t *testing.T) {
			nc, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", addr, clientTLS)
			if err != nil {
				t.Fatal(err)
			}
			user, err := scram.SHA256.NewClient("alice@example.org", "secret", "")
			if err != nil {
				t.Fatal(err)
			}
			mechanism, conv := "SCRAM-SHA-256", user.NewConversation()
			if bind != nil {
				state := nc.ConnectionState()
				cb, err := bind(&state)
				if err != nil {
					t.Fatal(err)
				}
				mechanism, conv = "SCRAM-SHA-256-PLUS", user.NewConversationWithChannelBinding(cb)
			}
			c := gosmtp.NewClient(nc)
			defer c.Close()
			if err := c.Auth(&scramClient{mechanism, conv}); err != nil {
				t.Fatal(err)
			}
			if !conv.Valid() {
				t.Error("the server did not prove that it knows the password")
			}
			if err := c.SendMail("alice+x@example.org", []string{"alice@example.org"}, strings.NewReader("\r\n"+name+"\r\n")); err != nil {
				t.Fatal(err)
			}
			if err := c.Mail("bob@example.org", nil); err == nil || !strings.Contains(err.Error(), "not an address of") {
				t.Errorf("MAIL FROM of somebody else: %v", err)
			}
		})
	}
}
