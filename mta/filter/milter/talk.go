package milter

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emersion/go-milter"

	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/filter"
)

// talk is a session about one message.
type talk struct {
	*wire
	session *milter.ClientSession
	message *filter.Message
	draft   *filter.Draft
	octets  int64 // of the message that the filter gets
	refused []filter.Refused
}

// whole tells all stages until the filter has decided.
func (t *talk) whole() (filter.Report, error) {
	for _, stage := range []func() (*milter.Action, error){t.connect, t.hello, t.mail, t.recipients, t.data, t.header, t.body} {
		act, err := stage()
		if err != nil {
			return filter.Report{}, err
		}
		if act.Code != milter.ActContinue {
			return t.decided(act)
		}
	}
	if err := t.macros(milter.CodeEOB, "i", string(t.message.ID)); err != nil {
		return filter.Report{}, err
	}
	edits, act, err := t.session.End()
	if err != nil {
		return filter.Report{}, err
	}
	report, err := t.decided(act)
	if err != nil || report.Word == filter.Refuse || report.Word == filter.Defer {
		return report, err
	}
	return report, t.edit(&report, edits)
}

// decided reads what the filter decided.
func (t *talk) decided(act *milter.Action) (filter.Report, error) {
	r := filter.Report{Word: filter.Pass}
	r.Recipients = t.refused
	switch act.Code {
	case milter.ActAccept, milter.ActContinue:
	case milter.ActReject:
		r.Word = filter.Refuse
	case milter.ActTempFail:
		r.Word = filter.Defer
	case milter.ActDiscard:
		r.Word = filter.Discard
	case milter.ActReplyCode:
		reply, err := replyOf(act)
		if err != nil {
			return r, err
		}
		r.Reply, r.Detail = reply, reply.Error()
		if r.Word = filter.Refuse; reply.Temporary() {
			r.Word = filter.Defer
		}
	default:
		return r, fmt.Errorf("it answers %q", byte(act.Code))
	}
	return r, nil
}

// replyOf reads a reply of the filter's own: its code, an enhanced code where there is one, and text.
func replyOf(act *milter.Action) (*mta.Reply, error) {
	if act.SMTPCode < 400 || act.SMTPCode > 599 {
		return nil, fmt.Errorf("it replies with %d %.80q", act.SMTPCode, act.SMTPText)
	}
	reply := &mta.Reply{Code: act.SMTPCode, Enhanced: mta.NotAuthorized}
	if reply.Temporary() {
		reply.Enhanced = mta.TempNotNow
	}
	var lines []string
	for i, line := range strings.Split(act.SMTPText, "\n") {
		line = strings.TrimRight(line, "\r")
		if rest, ok := strings.CutPrefix(line, strconv.Itoa(act.SMTPCode)); ok && i > 0 && rest != "" {
			line = rest[1:] // lines of more than one have the code again
		}
		code, rest, _ := strings.Cut(line, " ")
		if enhanced(code, reply.Code) {
			reply.Enhanced, line = mta.Enhanced(code), rest
		}
		if len(line) > 400 {
			line = line[:400]
		}
		if lines = append(lines, strings.ToValidUTF8(line, "?")); len(lines) == 20 {
			break
		}
	}
	reply.Text = strings.Join(lines, "\n")
	return reply, nil
}

// enhanced reports whether text is an enhanced code that fits a reply (RFC 3463, section 2).
func enhanced(text string, code int) bool {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return false
	}
	for _, p := range parts[1:] {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 999 || len(p) > 3 {
			return false
		}
	}
	return true
}

// macros gives names with their values to a stage; those without a value are left out.
func (t *talk) macros(code milter.Code, pairs ...string) error {
	var kept []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := plain(pairs[i+1]); value != "" {
			kept = append(kept, pairs[i], value)
		}
	}
	return t.session.Macros(code, kept...)
}

// plain is a text as a string of C can hold it.
func plain(s string) string { return strings.ReplaceAll(s, "\x00", "") }

func (t *talk) connect() (*milter.Action, error) {
	c := t.message.Client
	addr := c.Remote.Addr().Unmap().WithZone("")
	name := c.Name
	if name == "" && addr.IsValid() {
		name = "[" + addr.String() + "]"
	} else if name == "" {
		name = "localhost"
	}
	local := ""
	if c.Local.IsValid() {
		local = c.Local.Addr().Unmap().String()
	}
	if err := t.macros(milter.CodeConn, "j", t.message.Server, "{daemon_name}", "rookery", "{if_addr}", local, "v", "Rookery",
		"_", name+" "+origin(addr), "{client_addr}", origin(addr), "{client_name}", orUnknown(c.Name), "{client_ptr}", orUnknown(c.Name)); err != nil {
		return nil, err
	}
	switch {
	case addr.Is4():
		return t.session.Conn(plain(name), milter.FamilyInet, c.Remote.Port(), addr.String())
	case addr.Is6():
		return t.session.Conn(plain(name), milter.FamilyInet6, c.Remote.Port(), addr.String())
	}
	return t.session.Conn(plain(name), milter.FamilyUnknown, 0, "")
}

func origin(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

func orUnknown(name string) string {
	if name == "" {
		return "unknown"
	}
	return name
}

func (t *talk) hello() (*milter.Action, error) {
	var version, cipher, bits string
	if s := t.message.Client.TLS; s != nil {
		version, cipher, bits = s.Version, s.Cipher, strconv.Itoa(s.Bits)
	}
	if err := t.macros(milter.CodeHelo, "{tls_version}", version, "{cipher}", cipher, "{cipher_bits}", bits); err != nil {
		return nil, err
	}
	return t.session.Helo(plain(t.message.Client.Hello))
}

func (t *talk) mail() (*milter.Action, error) {
	m := t.message
	kind := ""
	if m.Client.Login != "" {
		kind = "PLAIN"
	}
	_, host, _ := strings.Cut(m.Envelope.From, "@")
	if err := t.macros(milter.CodeMail, "i", string(m.ID), "{auth_type}", kind, "{auth_authen}", m.Client.Login,
		"{mail_mailer}", "esmtp", "{mail_host}", host, "{mail_addr}", m.Envelope.From); err != nil {
		return nil, err
	}
	var params []string
	if m.Envelope.Size > 0 {
		params = append(params, "SIZE="+strconv.FormatInt(m.Envelope.Size, 10))
	}
	if m.Envelope.Body != mta.BodyUnknown {
		params = append(params, "BODY="+string(m.Envelope.Body))
	}
	if m.Envelope.UTF8 {
		params = append(params, "SMTPUTF8")
	}
	return t.session.Mail(plain(m.Envelope.From), params)
}

// recipients tells each of them. One that the filter refuses does not end the session while there are others.
func (t *talk) recipients() (*milter.Action, error) {
	var last *milter.Action
	for _, to := range t.message.Recipients {
		_, host, _ := strings.Cut(to, "@")
		if err := t.macros(milter.CodeRcpt, "i", string(t.message.ID), "{rcpt_mailer}", "rookery", "{rcpt_host}", host, "{rcpt_addr}", to); err != nil {
			return nil, err
		}
		act, err := t.session.Rcpt(plain(to), nil)
		if err != nil {
			return nil, err
		}
		switch act.Code {
		case milter.ActContinue:
			continue
		case milter.ActReject, milter.ActTempFail, milter.ActReplyCode:
			reply, err := t.forOne(act)
			if err != nil {
				return nil, err
			}
			last = act
			t.refused = append(t.refused, filter.Refused{Recipient: to, Reply: reply})
		default:
			return act, nil
		}
	}
	if last != nil && len(t.refused) == len(t.message.Recipients) {
		t.refused = nil
		return last, nil
	}
	return &milter.Action{Code: milter.ActContinue}, nil
}

// forOne is the reply for a recipient.
func (t *talk) forOne(act *milter.Action) (*mta.Reply, error) {
	switch act.Code {
	case milter.ActReplyCode:
		return replyOf(act)
	case milter.ActTempFail:
		return mta.Replyf(451, mta.TempNotNow, "a filter asks to try this recipient again later"), nil
	}
	return mta.Replyf(550, mta.NotAuthorized, "a filter refuses this recipient"), nil
}

// data tells of DATA, which version 4 brought and go-milter's client has no method for.
func (t *talk) data() (*milter.Action, error) {
	if t.version < 4 || t.session.ProtocolOption(milter.OptNoData) {
		return &milter.Action{Code: milter.ActContinue}, nil
	}
	if err := t.macros(milter.CodeData, "i", string(t.message.ID)); err != nil {
		return nil, err
	}
	if err := t.send(byte(milter.CodeData), nil); err != nil {
		return nil, err
	}
	if t.session.ProtocolOption(milter.OptNoDataReply) {
		return &milter.Action{Code: milter.ActContinue}, nil
	}
	code, data, err := t.next()
	if err != nil {
		return nil, err
	}
	act := &milter.Action{Code: milter.ActionCode(code)}
	if act.Code == milter.ActReplyCode {
		text, _, _ := bytes.Cut(data, []byte{0})
		if len(text) < 4 {
			return nil, fmt.Errorf("it replies with %.80q", text)
		}
		if act.SMTPCode, err = strconv.Atoi(string(text[:3])); err != nil {
			return nil, fmt.Errorf("it replies with %.80q", text)
		}
		act.SMTPText = string(text[4:])
	}
	return act, nil
}

func (t *talk) header() (*milter.Action, error) {
	if err := t.macros(milter.CodeEOH, "i", string(t.message.ID)); err != nil {
		return nil, err
	}
	for _, f := range t.draft.Fields() {
		if f.Name == "" {
			continue
		}
		value := strings.ReplaceAll(plain(string(f.Value)), "\r\n", "\n")
		if !t.session.ProtocolOption(milter.OptHeaderLeadingSpace) {
			value = strings.TrimPrefix(value, " ")
		}
		act, err := t.session.HeaderField(f.Name, value)
		if err != nil || act.Code != milter.ActContinue {
			return act, err
		}
	}
	return t.session.HeaderEnd()
}

func (t *talk) body() (*milter.Action, error) {
	text, size := t.draft.Body()
	if size = min(size, t.octets); t.session.ProtocolOption(milter.OptNoBody) {
		size = 0
	}
	t.skip = false // said earlier it means nothing
	chunk := make([]byte, min(size, milter.MaxBodyChunk))
	for at := int64(0); at < size && !t.skip; at += int64(len(chunk)) {
		chunk = chunk[:min(int64(len(chunk)), size-at)]
		if n, err := text.ReadAt(chunk, at); n < len(chunk) {
			return nil, fmt.Errorf("read the message for a milter: %w", err)
		}
		act, err := t.session.BodyChunk(chunk)
		if err != nil || act.Code != milter.ActContinue {
			return act, err
		}
	}
	return &milter.Action{Code: milter.ActContinue}, nil
}
