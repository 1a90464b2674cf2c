package signing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"github.com/rookery-mail/rookery/cluster/directory/address"
	"github.com/rookery-mail/rookery/index/message"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/remote"
)

// sign gives the signatures of a message; none where no domain of ours answers for it, or no key of it signs. What is not
// signed is read no further than its header.
func (l *Link) sign(job remote.Job) (string, error) {
	text, err := job.Open()
	if err != nil {
		return "", fmt.Errorf("open a message to be signed: %w", err)
	}
	defer text.Close()
	r, err := dkim.Begin(text)
	if errors.Is(err, dkim.ErrHeader) {
		l.c.Logger.Info("a message is sent without a signature", "id", job.ID, "error", err)
		return "", nil
	}
	if err != nil {
		return "", err
	}
	domain, err := l.domain(job, r.Header)
	if err != nil || domain == "" {
		return "", err
	}
	keys, err := l.c.Book.Signers(domain)
	if err != nil {
		return "", fmt.Errorf("find the keys of %s: %w", domain, err)
	}
	if len(keys) == 0 {
		return "", nil
	}
	m, err := r.Body(false)
	if err != nil {
		return "", err
	}
	fields := ""
	for _, k := range keys {
		f, err := m.Sign(dkim.Options{Key: k, Time: l.c.Clock()})
		if err != nil {
			return "", err
		}
		fields += f
	}
	return fields, nil
}

// domain is the one of ours that answers for a message: that of From where the account may write in its name, else
// that of the sender in the envelope, which the door has checked. A message with other than one From has no author
// that anybody would believe.
func (l *Link) domain(job remote.Job, h dkim.Header) (string, error) {
	if h.Count("From") != 1 {
		return "", nil
	}
	sender := domainOf(job.Envelope.From)
	if from := author(h); from != "" {
		domain := domainOf(from)
		ours, err := l.c.Book.Ours(domain)
		if err != nil {
			return "", err
		}
		if ours && domain != sender {
			if ours, err = l.c.Book.MaySign(job.Account, from); err != nil {
				return "", err
			}
		}
		if ours {
			return domain, nil
		}
	}
	if sender == "" {
		return "", nil
	}
	ours, err := l.c.Book.Ours(sender)
	if err != nil || !ours {
		return "", err
	}
	return sender, nil
}

// author is the first address of From.
func author(h dkim.Header) string {
	f, _ := h.First("From")
	value := strings.NewReplacer("\r", "", "\n", "").Replace(f.Value())
	for _, a := range message.Addresses([]byte(value)) {
		if len(a.Host) > 0 {
			found, err := address.Parse(address.Address{Local: string(a.Mailbox), Domain: string(a.Host)}.String())
			if err != nil {
				return ""
			}
			return found.String()
		}
	}
	return ""
}

// domainOf is the domain of an address as the directory names it; empty where there is none.
func domainOf(text string) string {
	a, err := address.Parse(text)
	if err != nil {
		return ""
	}
	return a.Domain
}

// home is the domain that sends a message on: that of the address it came to (RFC 3461, section 4.2), else that of the
// account behind that.
func (l *Link) home(job remote.Job) (string, error) {
	for _, to := range job.Recipients {
		kind, text, _ := strings.Cut(to.ORCPT, ";")
		if !strings.EqualFold(kind, "rfc822") {
			continue
		}
		original, err := mta.DecodeXtext(text)
		domain := domainOf(original)
		if err != nil || domain == "" {
			continue
		}
		ours, err := l.c.Book.Ours(domain)
		if err != nil {
			return "", err
		}
		if ours {
			return domain, nil
		}
	}
	return l.c.Book.Home(job.Account)
}

// maxVerified is how many signatures of a message are looked at.
const maxVerified = 5

// seal gives the fields of a seal; none where the domain has no key, or the chain takes no more. Where DNS does not say
// now what the chain is worth none is added: what is there stays as good as it is.
func (l *Link) seal(ctx context.Context, job remote.Job, home string) (string, error) {
	keys, err := l.c.Book.Signers(home)
	if err != nil {
		return "", fmt.Errorf("find the keys of %s: %w", home, err)
	}
	if len(keys) == 0 {
		return "", nil
	}
	m, err := whole(job)
	if err == nil {
		var fields string
		if fields, err = l.sealWith(ctx, job, m, keys[0]); err == nil && ctx.Err() == nil { // else what DNS said is not all
			return fields, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if errors.Is(err, dkim.ErrHeader) || errors.Is(err, arc.ErrEnded) || errors.Is(err, arc.ErrTemporary) {
		l.c.Logger.Info("a message is sent on without a seal", "id", job.ID, "error", err)
		return "", nil
	}
	return "", err
}

// whole reads the message of a job.
func whole(job remote.Job) (*dkim.Message, error) {
	text, err := job.Open()
	if err != nil {
		return nil, fmt.Errorf("open a message to be sealed: %w", err)
	}
	defer text.Close()
	return dkim.Read(text)
}

func (l *Link) sealWith(ctx context.Context, job remote.Job, m *dkim.Message, key dkim.Key) (string, error) {
	chain, err := arc.Validate(ctx, m, l.c.Lookup)
	if err != nil {
		return "", err
	}
	results, err := l.results(ctx, job, m)
	if err != nil {
		return "", err
	}
	return chain.Seal(m, arc.Options{Key: key, Server: l.c.Server, Results: results, Time: l.c.Clock()})
}

// results says what the signatures of a message are worth (RFC 8601, section 2.7.1); nothing where its header is none
// that go-msgauth reads.
func (l *Link) results(ctx context.Context, job remote.Job, m *dkim.Message) ([]string, error) {
	if m.Header.Count(dkim.FieldName) == 0 {
		return []string{"dkim=none"}, nil
	}
	text, err := job.Open()
	if err != nil {
		return nil, fmt.Errorf("open a message to be sealed: %w", err)
	}
	defer text.Close()
	source := &untroubled{r: text}
	list, err := msgauth.VerifyWithOptions(source, &msgauth.VerifyOptions{MaxVerifications: maxVerified, LookupTXT: func(name string) ([]string, error) {
		texts, err := l.c.Lookup(ctx, name)
		if err != nil {
			return nil, noAnswer{err}
		}
		return texts, nil
	}})
	if source.err != nil {
		return nil, fmt.Errorf("read a message to be sealed: %w", source.err)
	}
	if err != nil && !errors.Is(err, msgauth.ErrTooManySignatures) {
		l.c.Logger.Info("the signatures of a message are not read", "id", job.ID, "error", err)
		return nil, nil
	}
	var out []string
	for _, v := range list {
		domain, err := address.ParseDomain(v.Domain)
		if err != nil {
			domain = "invalid" // it is theirs to choose, and stands in a field of ours
		}
		out = append(out, "dkim="+verdict(v.Err)+" header.d="+domain)
	}
	return out, nil
}

func verdict(err error) string {
	switch {
	case err == nil:
		return "pass"
	case msgauth.IsTempFail(err):
		return "temperror"
	case msgauth.IsPermFail(err):
		return "permerror"
	}
	return "fail"
}

// untroubled ends where its source fails, and keeps the error: with one in the middle of a body, go-msgauth leaves the
// goroutines behind that digest it.
type untroubled struct {
	r   io.Reader
	err error
}

func (u *untroubled) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		u.err, err = err, io.EOF
	}
	return n, err
}

// noAnswer is an error of DNS that passes, as go-msgauth knows one: a net.Error.
type noAnswer struct{ error }

func (noAnswer) Timeout() bool   { return true }
func (noAnswer) Temporary() bool { return true }
