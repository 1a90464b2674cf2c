//go:build linux

package filtertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/deploy/harness"
	"github.com/rookery-mail/rookery/deploy/nameserver"
)

// Addresses of the world: DNS on port 53, where the daemons look for it, and the host of bank.example.
const (
	namesAddress = "127.89.0.53"
	bankHost     = "127.89.1.1"
)

const zone = `
1.1.89.127.in-addr.arpa. 60 IN PTR mail.bank.example.
mail.bank.example. 60 IN A 127.89.1.1
bank.example. 60 IN MX 10 mail.bank.example.
bank.example. 60 IN A 127.89.1.1
bank.example. 60 IN TXT "v=spf1 ip4:127.89.1.1 -all"
_dmarc.bank.example. 60 IN TXT "v=DMARC1; p=reject"
`

// world is a node, and the bank that writes to it.
type world struct {
	node *harness.Node
	key  *rsa.PrivateKey // of bank.example
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("ROOKERY_FILTERS") == "" {
		t.Skip("needs the filters of others: run `make filter-test`")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for file systems of the filters' own and DNS on port 53")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	record := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(public)
	names, err := nameserver.Start(net.JoinHostPort(namesAddress, "53"), zone+fmt.Sprintf("m1._domainkey.bank.example. 60 IN TXT %q %q\n", record[:200], record[200:]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = names.Close() })
	binary := os.Getenv("ROOKERY_BINARY")
	if binary == "" {
		binary = filepath.Join("..", "..", "bin", "rookery")
	}
	c, err := harness.New(harness.Config{Binary: binary, Nodes: 1, Domain: "example.org", Dir: t.TempDir(), ExtraTOML: fmt.Sprintf("outbound.resolvers = [%q]", namesAddress), Progress: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx := within(t)
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	w := &world{node: c.Nodes()[0], key: key}
	w.do(t, "domain", "add", "example.org")
	if err := w.node.AddAccount(ctx, "ada@example.org", "secret"); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"unchecked_networks": "", "greylist_score": "0"} {
		w.do(t, "setting", "set", name, value)
	}
	return w
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// do runs a command of rookery, again until the cluster takes it.
func (w *world) do(t *testing.T, args ...string) (out string) {
	t.Helper()
	await(t, strings.Join(args, " "), func() error {
		data, err := w.node.Run(within(t), "", args...)
		out = string(data)
		return err
	})
	return out
}

// only has one filter be asked, and no other.
func (w *world) only(t *testing.T, filters ...string) {
	t.Helper()
	var list []struct{ Name string }
	if err := w.node.JSON(within(t), &list, "filter", "list"); err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		asked := false
		for _, name := range filters {
			asked = asked || name == f.Name
		}
		w.do(t, "filter", "set", f.Name, fmt.Sprintf("--paused=%v", !asked))
	}
}

// letter is a message of the bank.
func (w *world) letter(t *testing.T, subject, body string, signed bool) []byte {
	t.Helper()
	text := []byte(strings.ReplaceAll("From: Your bank <letters@bank.example>\nTo: Ada <ada@example.org>\nSubject: "+subject+
		"\nDate: Sun, 22 Nov 2026 10:00:00 +0000\nMessage-ID: <"+rand.Text()+"@bank.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n"+body+"\n", "\n", "\r\n"))
	if !signed {
		return text
	}
	var out bytes.Buffer
	if err := dkim.Sign(&out, bytes.NewReader(text), &dkim.SignOptions{Domain: "bank.example", Selector: "m1", Signer: w.key}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// send hands a message over and gives the refusal, if there was one.
func (w *world) send(t *testing.T, text []byte) *textproto.Error {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(bankHost)}}
	conn, err := dialer.DialContext(within(t), "tcp", w.node.MX())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var refused *textproto.Error
	if err := transmit(conn, text); err != nil && !errors.As(err, &refused) {
		t.Fatal(err)
	}
	return refused
}

func transmit(conn net.Conn, text []byte) error {
	c, err := smtp.NewClient(conn, "mx")
	if err != nil {
		return err
	}
	if err := c.Hello("mail.bank.example"); err != nil {
		return err
	}
	if err := c.Mail("letters@bank.example"); err != nil {
		return err
	}
	if err := c.Rcpt("ada@example.org"); err != nil {
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

// test asks the filters about a message that goes nowhere.
func (w *world) test(t *testing.T, text []byte, args ...string) string {
	t.Helper()
	out, err := w.node.Run(within(t), string(text), append([]string{"filter", "test", "--client", bankHost, "--name", "mail.bank.example", "--helo", "mail.bank.example",
		"--from", "letters@bank.example", "--to", "ada@example.org"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
