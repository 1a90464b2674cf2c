package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/smtpd"
	"github.com/rookery-mail/rookery/mta/spool"
	"github.com/rookery-mail/rookery/mta/wire"
)

// post is a message of the mail system's own.
type post struct {
	From    string // the reverse-path; empty is the null sender
	To      string
	Message []byte // with its header, lines ending in CRLF
}

// post brings a message to an address: into mailboxes where it is one of ours, else into the queue, in the partition of
// the postmaster's account. When it returns nil, all that the address leads to has the message or is in the queue. The
// same octets, with their Message-ID, arrive once in 24 hours however often they are posted. Errors are
// directory.ErrNoUser and directory.ErrInvalid where nobody has the address; others may pass.
func (n *Node) post(ctx context.Context, p post) error {
	who, err := n.resolve(p.To)
	if errors.Is(err, directory.ErrNoDomain) && !strings.HasSuffix(p.To, "]") {
		who, err = directory.Resolution{Remote: []string{p.To}}, nil
	}
	if err == nil {
		err = n.courier().carry(ctx, parcel{id: smtpd.RandomID(), env: envelopeOf(p),
			to: mta.Recipient{Address: p.To}, text: bytes.NewReader(p.Message), client: "this system"}, who)
	}
	if err != nil {
		return fmt.Errorf("post a message to <%s>: %w", p.To, err)
	}
	return nil
}

// resolve finds whom an address leads to, as this node's directory says. The addresses that senders of ours go out with are known.
func (n *Node) resolve(address string) (directory.Resolution, error) {
	return returning{smtpd.Members(directorySource{n}), n.view, time.Now}.Resolve(address)
}

// courier is that of this node.
func (n *Node) courier() courier {
	queue := n.queueDoor()
	if queue == nil {
		queue = smtpd.NoQueue{}
	}
	return courier{queue: queue, told: n.told, store: smtpd.Mailstore(n.store), scripts: n.scripts, spool: spool.Config{Dir: n.layout.spool()}}
}

// caretaker is the account that has what belongs to nobody.
func (n *Node) caretaker() (index.AccountID, error) {
	var a directory.Account
	err := n.view(func(v directory.View) (err error) {
		a, err = v.Caretaker()
		return err
	})
	return a.ID, err
}

// envelopeOf is that of a message: its header may say that TLS is no must (RFC 8689, section 3).
func envelopeOf(p post) mta.Envelope {
	header, _, _ := bytes.Cut(p.Message, []byte("\r\n\r\n"))
	return mta.Envelope{From: p.From, Body: bodyOf(p.Message), TLSOptional: wire.TLSOptional(append(header[:len(header):len(header)], "\r\n"...))}
}

// bodyOf is what MAIL has to say of a message (RFC 6152).
func bodyOf(message []byte) mta.Body {
	if bytes.ContainsFunc(message, func(r rune) bool { return r >= 0x80 }) {
		return mta.Body8Bit
	}
	return mta.Body7Bit
}

// note writes a message of the mail system to somebody who runs it. What is the same twice is to have the same id and
// date, so that it arrives once.
func (n *Node) note(id string, at time.Time, to, subject, text string) post {
	host := n.cfg.SMTP.Hostname
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Mail system <postmaster@%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n", host, to,
		mime.QEncoding.Encode("utf-8", subject), mta.Date(at.UTC()), id, host)
	b.WriteString("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	b.WriteString(strings.ReplaceAll(text, "\n", "\r\n"))
	return post{To: to, Message: b.Bytes()}
}
