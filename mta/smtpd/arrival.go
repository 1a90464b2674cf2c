package smtpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/queue"
	"github.com/rookery-mail/rookery/mta/wire"
)

// maxHeld is how much of a message is held back to look at its header, in octets. A header that is
// longer is taken as it is.
const maxHeld = 64 << 10

// sink is what a message goes into: the store, or a spool where it waits for its verdict.
type sink interface {
	io.Writer
	Discard()
}

// arrival is a message on its way from the line into the store: line ends are checked, the trace
// fields are put in front once the header is seen, and the rest is passed on as it comes. After the
// first error the octets are only counted.
type arrival struct {
	limit int64     // octets that are allowed
	until time.Time // the end of our patience
	ends  wire.LineEnds
	open  func(header []byte) (sink, error) // the header may be cut at maxHeld
	keeps bool                              // the header is wanted once more

	octets int64 // as they came
	held   []byte
	head   []byte // the header, where it is wanted once more
	in     sink   // nil while the header is held back
	err    error  // why the message is refused; a *mta.Reply or an error of the store
}

// copyFrom takes all of r. An error of it is one of the connection: what is wrong with the message
// is told by finish. Octets beyond twice the limit are not waited for, they are errHangUp.
func (a *arrival) copyFrom(r io.Reader, buffer []byte) error {
	for {
		n, err := r.Read(buffer)
		a.take(buffer[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if a.octets > 2*a.limit+bufferSize {
			return errHangUp
		}
	}
}

func (a *arrival) take(p []byte) {
	a.octets += int64(len(p))
	if a.err != nil {
		return
	}
	if a.octets > a.limit {
		a.fail(tooBig(a.limit))
		return
	}
	p, err := a.ends.Next(p)
	if err != nil {
		a.fail(err)
		return
	}
	a.pass(p)
}

// pass holds p back until the header is complete, and gives it to the store afterwards.
func (a *arrival) pass(p []byte) {
	if a.in == nil {
		if len(a.held) == 0 && wire.HeaderEnd(p, 0) >= 0 {
			a.held = p // for begin only, which keeps nothing of it
			a.begin(wire.HeaderEnd(p, 0))
			return
		}
		seen := len(a.held)
		a.held = append(a.held, p...)
		end := wire.HeaderEnd(a.held, seen)
		if end < 0 {
			if end = maxHeld; len(a.held) < maxHeld {
				return
			}
		}
		a.begin(end)
		return
	}
	if _, err := a.in.Write(p); err != nil {
		a.fail(fmt.Errorf("write to the store: %w", err))
	}
}

// begin opens the store with the header, which is the first end octets of what is held.
func (a *arrival) begin(end int) {
	if a.keeps {
		a.head = bytes.Clone(a.held[:end])
	}
	in, err := a.open(a.held[:end])
	if err != nil {
		a.fail(err)
		return
	}
	a.in = in
	held := a.held
	a.held = nil
	if _, err := in.Write(held); err != nil {
		a.fail(fmt.Errorf("write to the store: %w", err))
	}
}

// finish ends the message and returns what has it, or why it is refused.
func (a *arrival) finish() (sink, error) {
	if a.err == nil {
		rest, err := a.ends.End()
		if err != nil {
			a.fail(err)
		} else if len(rest) > 0 {
			a.pass(rest)
		}
	}
	if a.err == nil && a.in == nil {
		a.begin(len(a.held)) // all of it is header
	}
	return a.in, a.err
}

func (a *arrival) fail(err error) {
	a.err = err
	a.discard()
}

// discard gives back what the store holds. It is harmless after a delivery.
func (a *arrival) discard() {
	a.held = nil
	if a.in != nil {
		a.in.Discard()
	}
}

// overBound is the reply to an account that sends more than it may.
func overBound(over *queue.OverError) *mta.Reply {
	if over.Until.IsZero() {
		return mta.Replyf(550, mta.NotAuthorized, "Your account may not write to so many at once: the bound is %s", over.What)
	}
	return mta.Replyf(450, mta.TempNotNow, "Your account has sent what it may: %s. Try again after %s", over.What, over.Until.UTC().Format("15:04 MST on 2 Jan"))
}

func tooBig(limit int64) *mta.Reply {
	return mta.Replyf(552, mta.TooBig, "The largest message taken here has %d octets", limit)
}

// failed gives the reply for an error that is not the client's fault; the log line has the details
// under the reference that the reply names.
func (c *conn) failed(doing string, err error) *mta.Reply {
	if r := known(err); r != nil {
		c.log.Warn("cannot "+doing, "error", err, "reply", r.Error())
		return r
	}
	ref := c.srv.c.NewID()
	c.log.Error("cannot "+doing, "error", err, "reference", ref)
	return mta.Replyf(451, mta.TempSystem, "Internal error, try again later (reference %s)", ref)
}

// known gives the reply for an error that the store or the message stands for, nil for others.
func known(err error) *mta.Reply {
	var r *mta.Reply
	var over *queue.OverError
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &over):
		return overBound(over)
	case errors.Is(err, cluster.ErrUnavailable), errors.Is(err, cluster.ErrStopped), errors.Is(err, cluster.ErrNotLeader),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return mta.Replyf(451, mta.TempNotAccepting, "The mail store cannot take mail now, try again later")
	case errors.Is(err, cluster.ErrStorageFull): // index.ErrStagingFull too
		return mta.Replyf(452, mta.TempSystemFull, "No room for mail now, try again later")
	case errors.Is(err, index.ErrOverQuota):
		return mta.Replyf(452, mta.TempMailboxFull, "A mailbox is full")
	case errors.Is(err, index.ErrTooLarge):
		return mta.Replyf(552, mta.TooBig, "The message is too large")
	case errors.Is(err, index.ErrNoAccount):
		return mta.Replyf(550, mta.BadMailbox, "No such user here")
	case errors.Is(err, wire.ErrBareLineEnd):
		return mta.Replyf(550, mta.BadMedia, "CR and LF may be used as CR LF only (RFC 5321, section 2.3.8)")
	case errors.Is(err, wire.ErrNUL):
		return mta.Replyf(550, mta.BadMedia, "NUL octets are not allowed (RFC 5322, section 4.1)")
	}
	return nil
}
