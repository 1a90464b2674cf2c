// Package milter has mail filters of Sendmail's protocol judge a message: version 6, and those before from 2 on. All stages of a
// session are told in one go once the message is there: connection, HELO, sender, recipients, DATA, header, body, end. What
// goes over the line is the client of emersion/go-milter's, through a connection that holds the filter to bounds and speaks what
// that client does not (wire.go).
package milter

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/emersion/go-milter"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/line"
)

// Milter asks one filter.
type Milter struct{ setting filter.Setting }

// New makes a Milter by a setting that has passed Check.
func New(s filter.Setting) *Milter { return &Milter{s} }

// What is offered to a filter: all that it may change but the list of macros, since it gets all that there are; and that it may leave out
// any stage or reply.
const (
	actions = milter.OptAddHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt | milter.OptChangeHeader |
		milter.OptQuarantine | milter.OptChangeFrom | milter.OptAddRcptWithArgs
	protocol = milter.OptNoConnect | milter.OptNoHelo | milter.OptNoMailFrom | milter.OptNoRcptTo | milter.OptNoBody | milter.OptNoHeaders |
		milter.OptNoEOH | milter.OptNoUnknown | milter.OptNoData | milter.OptSkip | milter.OptHeaderLeadingSpace |
		milter.OptNoHeaderReply | milter.OptNoConnReply | milter.OptNoHeloReply | milter.OptNoMailReply | milter.OptNoRcptReply |
		milter.OptNoDataReply | milter.OptNoUnknownReply | milter.OptNoEOHReply | milter.OptNoBodyReply
)

// Check has a message judged. It is over when ctx is.
func (x *Milter) Check(ctx context.Context, m *filter.Message) (filter.Report, error) {
	draft, err := filter.NewDraft(m.Text, m.Size, m.HeaderSize)
	if err != nil {
		return filter.Report{}, err
	}
	conn, err := line.Dial(ctx, &x.setting)
	if err != nil {
		return filter.Report{}, err
	}
	defer conn.Close()
	octets, _ := x.setting.Portion(m.Size)
	w := &wire{Conn: conn, budget: 2*octets + slack}
	report, err := converse(w, m, draft, octets)
	if err != nil {
		return filter.Report{}, fmt.Errorf("ask the milter: %w", line.Reason(ctx, err))
	}
	return report, nil
}

// converse has a session about one message.
func converse(w *wire, m *filter.Message, draft *filter.Draft, octets int64) (filter.Report, error) {
	client := milter.NewClientWithOptions("", "", milter.ClientOptions{Dialer: w, ActionMask: actions, ProtocolMask: protocol})
	session, err := client.Session()
	if err != nil {
		return filter.Report{}, err
	}
	if err := w.agreed(session); err != nil {
		return filter.Report{}, err
	}
	t := &talk{wire: w, session: session, message: m, draft: draft, octets: octets}
	report, err := t.whole()
	if err == nil {
		_ = session.Close() // says goodbye; nothing hangs on it
	}
	return report, err
}

// Dial gives the one connection there is to the client of go-milter.
func (w *wire) Dial(string, string) (net.Conn, error) {
	if w.taken {
		return nil, errors.New("the connection is taken")
	}
	w.taken = true
	return w, nil
}
