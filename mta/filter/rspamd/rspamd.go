// Package rspamd has rspamd judge a message, by its own HTTP protocol (/checkv2 of its normal worker): an action, the rules that
// fitted with their scores, and fields to add to the header or take away.
package rspamd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/line"
)

// Rspamd asks one worker.
type Rspamd struct {
	setting filter.Setting
	client  *http.Client
}

// maxReply is how long a reply may be; more is an error.
const maxReply = 2 << 20

// New makes a Rspamd by a setting that has passed Check. It keeps no connections.
func New(s filter.Setting) *Rspamd {
	r := &Rspamd{setting: s}
	r.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return line.Dial(ctx, &r.setting) },
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
	return r
}

// Check has a message judged. It is over when ctx is.
func (r *Rspamd) Check(ctx context.Context, m *filter.Message) (filter.Report, error) {
	octets, _ := r.setting.Portion(m.Size)
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://rspamd/checkv2", io.NewSectionReader(m.Text, 0, octets))
	if err != nil {
		return filter.Report{}, fmt.Errorf("ask rspamd: %w", err)
	}
	q.ContentLength = octets
	r.header(q.Header, m)
	answer, err := r.client.Do(q)
	if err != nil {
		return filter.Report{}, fmt.Errorf("ask rspamd: %w", line.Reason(ctx, inner(err)))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxReply+1))
	switch {
	case err != nil:
		return filter.Report{}, fmt.Errorf("ask rspamd: %w", line.Reason(ctx, err))
	case len(body) > maxReply:
		return filter.Report{}, fmt.Errorf("the reply of rspamd has more than %d octets", maxReply)
	case answer.StatusCode != http.StatusOK:
		return filter.Report{}, fmt.Errorf("rspamd says %d: %.200q", answer.StatusCode, body)
	}
	return parse(body)
}

// header says what is known of the message (https://rspamd.com/doc/architecture/protocol.html). What stays unknown is left out.
func (r *Rspamd) header(h http.Header, m *filter.Message) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, clean(value))
		}
	}
	set("From", "<"+m.Envelope.From+">")
	for _, to := range m.Recipients {
		h.Add("Rcpt", clean("<"+to+">"))
	}
	if a := m.Client.Remote; a.IsValid() {
		set("IP", a.Addr().Unmap().WithZone("").String())
	}
	set("Helo", m.Client.Hello)
	set("Hostname", m.Client.Name)
	set("User", m.Client.Login)
	set("Queue-Id", string(m.ID))
	set("MTA-Name", m.Server)
	if t := m.Client.TLS; t != nil {
		set("TLS-Version", t.Version)
		set("TLS-Cipher", t.Cipher)
	}
	set("Settings-Id", r.setting.User)
	set("Password", r.setting.Password)
	h.Set("User-Agent", "rookery")
}

// clean takes away what cannot be in a field of HTTP.
func clean(text string) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if c := text[i]; c >= ' ' && c != 0x7f {
			out = append(out, c)
		}
	}
	return string(out)
}

// inner is an error without the address that net/http puts in front.
func inner(err error) error {
	if e := errors.Unwrap(err); e != nil {
		return e
	}
	return err
}
