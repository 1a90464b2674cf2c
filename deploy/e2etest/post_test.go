package e2etest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/nameserver"
)

// The hosts that mail comes from. Only the first is one of bank.example.
const (
	bankHost    = "127.88.0.1"
	strangeHost = "127.88.0.2"
)

// worldZone is what DNS says of the world, but for the bank's key.
const worldZone = `
1.0.88.127.in-addr.arpa. 60 IN PTR mail.bank.example.
mail.bank.example. 60 IN A 127.88.0.1
bank.example. 60 IN MX 10 mail.bank.example.
bank.example. 60 IN TXT "v=spf1 ip4:127.88.0.1 -all"
_dmarc.bank.example. 60 IN TXT "v=DMARC1; p=reject; adkim=s"
2.0.88.127.in-addr.arpa. 60 IN PTR host2.strange.example.
host2.strange.example. 60 IN A 127.88.0.2
shop.example. 60 IN MX 10 host2.strange.example.
shop.example. 60 IN TXT "v=spf1 ip4:127.88.0.9 ~all"
_dmarc.shop.example. 60 IN TXT "v=DMARC1; p=quarantine"
pen.example. 60 IN MX 10 host2.strange.example.
pen.example. 60 IN TXT "v=spf1 ip4:127.88.0.2 -all"
nomail.example. 60 IN MX 0 .
`

// post is a site that looks at what comes in, and the world that writes to it.
type post struct {
	*site
	node *harness.Node
	key  *rsa.PrivateKey // of bank.example
}

// TestPost tells cases of post: who wrote, whether it is wanted, and what the operator is told about it.
func TestPost(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(public)
	names, err := nameserver.Start("127.0.0.1:0", worldZone+fmt.Sprintf("m1._domainkey.bank.example. 60 IN TXT %q %q\n", record[:200], record[200:]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := names.Close(); err != nil {
			t.Error(err)
		}
	})
	s, c := startWith(t, 1, fmt.Sprintf("outbound.enabled = true\noutbound.resolvers = [%q]", names.Address()))
	s.set(t, "unchecked_networks", "")
	p := &post{site: s, node: c.Nodes()[0], key: key}
	p.awaitChecks(t)
	for _, story := range []struct {
		name string
		tell func(*testing.T, *post)
	}{
		{"the bank writes", bankWrites},
		{"a stranger is to come again", greylisted},
		{"somebody writes as the bank", forgery},
		{"a shop whose mail is not signed", quarantined},
		{"a letter with two authors", twoAuthors},
		{"who takes no mail sends none", takesNone},
		{"words put into our mouth", borrowedWords},
		{"somebody who is not wanted", blocked},
		{"the same as last week", learnt},
		{"why would it be refused", explained},
		{"a user's own rules", scripted},
	} {
		t.Run(story.name, func(t *testing.T) { story.tell(t, p) })
	}
}

// awaitChecks waits until the door goes by the setting.
func (p *post) awaitChecks(t *testing.T) {
	a := p.newAccount(t, "first")
	eventually(t, func() error {
		l := letter{host: strangeHost, helo: "host2.strange.example", from: "x@nomail.example", to: a.address, text: "Subject: x\n\nx\n"}
		if refused := p.send(t, l); refused == nil {
			return errors.New("nothing is checked")
		}
		return nil
	})
}

// letter is a message from a host of the world.
type letter struct {
	host, helo string
	from       string // of the envelope
	to         string
	text       string // lines end in LF
	signed     bool   // by bank.example
}

// send hands a letter over and returns the server's refusal, if there was one.
func (p *post) send(t *testing.T, l letter) *textproto.Error {
	t.Helper()
	text := []byte(strings.ReplaceAll(l.text, "\n", "\r\n"))
	if l.signed {
		var out bytes.Buffer
		if err := dkim.Sign(&out, bytes.NewReader(text), &dkim.SignOptions{Domain: "bank.example", Selector: "m1", Signer: p.key}); err != nil {
			t.Fatal(err)
		}
		text = out.Bytes()
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(l.host)}}
	conn, err := dialer.DialContext(within(t), "tcp", p.doors[0].mx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var refused *textproto.Error
	if err := transmit(conn, l, text); err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return refused
}

func transmit(conn net.Conn, l letter, text []byte) error {
	c, err := smtp.NewClient(conn, "mx")
	if err != nil {
		return err
	}
	if err := c.Hello(l.helo); err != nil {
		return err
	}
	if err := c.Mail(l.from); err != nil {
		return err
	}
	if err := c.Rcpt(l.to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// told waits until `rookery trace` says all of words about an address.
func (p *post) told(t *testing.T, address string, words ...string) {
	t.Helper()
	eventually(t, func() error {
		out, err := p.node.Run(within(t), "", "trace", address, "--limit", "5")
		if err != nil {
			return err
		}
		for _, word := range words {
			if !strings.Contains(string(out), word) {
				return fmt.Errorf("the story does not say %q:\n%s", word, out)
			}
		}
		return nil
	})
}

func expectWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
}

func bankLetter(to, subject string) letter {
	return letter{host: bankHost, helo: "mail.bank.example", from: "letters@bank.example", to: to, signed: true,
		text: "From: Your bank <letters@bank.example>\nTo: you\nSubject: " + subject + "\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <" + rand.Text() + "@bank.example>\n\nYour statement is ready.\n"}
}

func bankWrites(t *testing.T, p *post) {
	a := p.newAccount(t, "ben")
	if refused := p.send(t, bankLetter(a.address, "statement")); refused != nil {
		t.Fatal(refused)
	}
	text := a.text(t, "INBOX", "statement")
	expectWords(t, text, "Authentication-Results: "+p.doors[0].host, "spf=pass", "dkim=pass", "dmarc=pass", "iprev=pass")
	p.told(t, a.address, "spf pass", "dkim pass", "dmarc pass")
}

func greylisted(t *testing.T, p *post) {
	a := p.newAccount(t, "gil")
	l := letter{host: strangeHost, helo: "host2.strange.example", from: "letters@bank.example", to: a.address, text: "Subject: x\n\nx\n"}
	refused := p.send(t, l)
	if refused == nil || refused.Code != 451 {
		t.Fatalf("a host that its sender's domain denies got %v", refused)
	}
	p.told(t, a.address, "spf fail", "greylist")
	p.set(t, "greylist_score", "0") // the other stories do not wait
	eventually(t, func() error {
		if refused := p.send(t, l); refused != nil && refused.Code == 451 {
			return refused
		}
		return nil
	})
}

func forgery(t *testing.T, p *post) {
	a := p.newAccount(t, "fay")
	l := bankLetter(a.address, "urgent")
	l.host, l.helo, l.signed = strangeHost, "host2.strange.example", false
	refused := p.send(t, l)
	if refused == nil || refused.Code != 550 {
		t.Fatalf("the forgery got %v", refused)
	}
	expectWords(t, refused.Msg, "5.7.1")
	a.expect(t, "INBOX")
	p.told(t, a.address, "spf fail", "dmarc fail")
}

func quarantined(t *testing.T, p *post) {
	a := p.newAccount(t, "quin")
	l := letter{host: strangeHost, helo: "host2.strange.example", from: "news@shop.example", to: a.address,
		text: "From: news@shop.example\nSubject: offers\nMessage-ID: <offers.1@shop.example>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\nBuy.\n"}
	if refused := p.send(t, l); refused != nil {
		t.Fatal(refused)
	}
	a.expect(t, "INBOX")
	expectWords(t, a.text(t, "Junk", "offers"), "dmarc=fail")
}

func twoAuthors(t *testing.T, p *post) {
	a := p.newAccount(t, "tom")
	l := letter{host: strangeHost, helo: "host2.strange.example", from: "x@pen.example", to: a.address,
		text: "From: x@pen.example\nFrom: letters@bank.example\nSubject: two\n\nWho am I?\n"}
	if refused := p.send(t, l); refused == nil || refused.Code != 550 {
		t.Errorf("a letter with two From fields got %v", refused)
	}
	a.expect(t, "INBOX")
}

func takesNone(t *testing.T, p *post) {
	a := p.newAccount(t, "nat")
	l := letter{host: strangeHost, helo: "host2.strange.example", from: "x@nomail.example", to: a.address, text: "From: x@nomail.example\nSubject: hm\n\nx\n"}
	if refused := p.send(t, l); refused == nil || refused.Code != 550 {
		t.Errorf("a sender whose domain takes no mail got %v", refused)
	}
}

func borrowedWords(t *testing.T, p *post) {
	a := p.newAccount(t, "bo")
	l := letter{host: strangeHost, helo: "host2.strange.example", from: "x@pen.example", to: a.address,
		text: "Authentication-Results: " + p.doors[0].host + "; dmarc=pass header.from=bank.example\nFrom: x@pen.example\nSubject: trust me\n" +
			"Message-ID: <trust@pen.example>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\nIt says so above.\n"}
	if refused := p.send(t, l); refused != nil {
		t.Fatal(refused)
	}
	text := a.text(t, "INBOX", "trust me")
	if strings.Contains(text, "bank.example") {
		t.Errorf("what others say in our name is believed:\n%s", text)
	}
	expectWords(t, text, "spf=pass")
}

// penLetter is one of somebody who is who he says he is.
func penLetter(to, subject, text string) letter {
	return letter{host: strangeHost, helo: "host2.strange.example", from: "x@pen.example", to: to, text: "From: x@pen.example\nTo: " + to + "\nSubject: " + subject +
		"\nMessage-ID: <" + rand.Text() + "@pen.example>\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n\n" + text + "\n"}
}

func blocked(t *testing.T, p *post) {
	a, b := p.newAccount(t, "una"), p.newAccount(t, "ulf")
	if _, err := p.node.Run(within(t), "", "sender", "block", "pen.example", "--for", a.address); err != nil {
		t.Fatal(err)
	}
	if refused := p.send(t, penLetter(a.address, "again", "It is me again.")); refused == nil || refused.Code != 550 {
		t.Errorf("who is blocked got %v", refused)
	}
	if refused := p.send(t, penLetter(b.address, "again", "It is me again.")); refused != nil {
		t.Errorf("who is blocked by another got %v", refused)
	}
	a.expect(t, "INBOX")
	p.told(t, a.address, "list")
}

// learnt has a user move junk to Junk, and no more than a few times.
func learnt(t *testing.T, p *post) {
	a := p.newAccount(t, "lea")
	p.set(t, "bayes_least", "3")
	const pitch = "Cheap watches and miracle pills, replica luxury for casino winners: order tonight, discreet shipping, unbelievable bargain number "
	for i := range 4 {
		subject := fmt.Sprint("bargain ", i)
		if refused := p.send(t, penLetter(a.address, subject, pitch+fmt.Sprint(i)+".")); refused != nil {
			t.Fatal(refused)
		}
		a.text(t, "INBOX", subject)
		fileInto(t, a, subject, "Junk")
		wanted := penLetter(a.address, "minutes", "The committee met on Monday; the minutes and the budget of the library are attached, please review paragraph "+fmt.Sprint(i)+".").text
		if _, err := p.node.Run(within(t), strings.ReplaceAll(wanted, "\n", "\r\n"), "spam", "train", "--ham", a.address); err != nil {
			t.Fatal(err)
		}
	}
	// What was learnt reaches the models in a moment, not at once.
	n := 0
	eventually(t, func() error {
		n++
		subject := fmt.Sprint("bargain once more ", n)
		if refused := p.send(t, penLetter(a.address, subject, pitch+"eleven.")); refused != nil {
			t.Fatal(refused)
		}
		time.Sleep(time.Second) // not to be refused for writing too often
		list, err := a.look(t, "Junk")
		if err != nil {
			return err
		}
		for _, s := range list {
			if s.subject == subject {
				return nil
			}
		}
		status, err := p.node.Run(within(t), "", "spam", "status", a.address)
		return errors.Join(err, fmt.Errorf("junk of a kind that was moved four times is in INBOX:\n%s", status))
	})
	p.told(t, a.address, "bayes spam")
	if refused := p.send(t, penLetter(a.address, "committee", "The committee meets again on Monday; please review the budget of the library.")); refused != nil {
		t.Fatal(refused)
	}
	a.text(t, "INBOX", "committee")
}

func explained(t *testing.T, p *post) {
	a := p.newAccount(t, "eve")
	l := bankLetter(a.address, "explain me")
	out, err := p.node.Run(within(t), strings.ReplaceAll(l.text, "\n", "\r\n"), "explain", "--client", strangeHost, "--helo", "host2.strange.example", "--from", l.from, "--to", a.address)
	if err != nil {
		t.Fatal(err)
	}
	expectWords(t, string(out), "spf", "fail", "dmarc", "reject", "550")
	a.expect(t, "INBOX")
}

// scripted has a user's rules sort, answer and turn away what comes.
func scripted(t *testing.T, p *post) {
	a, friend := p.newAccount(t, "siv"), p.newAccount(t, "fred")
	script := `require ["fileinto", "mailbox", "vacation", "reject", "imap4flags"];
if header :contains "subject" "offer" { reject "No offers, please."; stop; }
if header :contains "subject" "list:" { fileinto :create :flags "\\Flagged" "Lists/One"; stop; }
vacation :days 3 :subject "I am away" "Back on Monday.";
`
	if _, err := p.node.Run(within(t), script, "sieve", "put", a.address, "main", "--activate"); err != nil {
		t.Fatal(err)
	}
	if refused := p.send(t, penLetter(a.address, "an offer", "Buy.")); refused == nil || !strings.Contains(refused.Msg, "No offers, please.") {
		t.Errorf("what the script turns away got %v", refused)
	}
	if refused := p.send(t, penLetter(a.address, "list: news", "News.")); refused != nil {
		t.Fatal(refused)
	}
	a.text(t, "Lists/One", "list: news")
	for i := range 2 {
		subject := fmt.Sprint("are you there ", i)
		text := "From: " + friend.address + "\r\nTo: " + a.address + "\r\nSubject: " + subject + "\r\nMessage-ID: <" + rand.Text() + "@example.org>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nHello?\r\n"
		friend.submit(t, a.address, text)
		a.text(t, "INBOX", subject)
	}
	answer := friend.text(t, "INBOX", "I am away")
	expectWords(t, answer, "Auto-Submitted: auto-replied", "Back on Monday.")
	friend.expect(t, "INBOX", "I am away")
}

// submit has a user send a message.
func (a *account) submit(t *testing.T, to, text string) {
	t.Helper()
	c, err := smtp.Dial(a.in.submission)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	host, _, _ := net.SplitHostPort(a.in.submission) // as PlainAuth knows it
	for _, step := range []func() error{
		func() error { return c.Hello("laptop.example.org") },
		func() error { return c.StartTLS(a.site.tlsConfig(t, a.in)) },
		func() error { return c.Auth(smtp.PlainAuth("", a.address, a.password, host)) },
		func() error { return c.Mail(a.address) },
		func() error { return c.Rcpt(to) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	w, err := c.Data()
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = c.Quit()
	}
	if err != nil {
		t.Fatal(err)
	}
}
