package queue

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// OverError says that an account is over one of its brakes: what it submits is not queued.
type OverError struct {
	What  string    // such as "500 messages an hour"
	Until time.Time // when the bound may be met again; zero: never by this message
}

// Error says which bound, and until when.
func (e *OverError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("over the bound of the account: %s", e.What)
	}
	return fmt.Sprintf("over the bound of the account: %s, until %s", e.What, e.Until.UTC().Format("2006-01-02 15:04 MST"))
}

func overError(r *queuepb.Refusal) *OverError {
	e := &OverError{What: r.What}
	if r.Until != 0 {
		e.Until = time.UnixMilli(r.Until)
	}
	return e
}

// Counted is what of a conduct counts at a time: messages in an hour; recipients, strangers among them, and rejections in a day.
func Counted(rec *queuepb.ConductRecord, now time.Time) (messages, recipients, strangers, rejections uint32) {
	t := tallyOf(at(rec, now))
	return t.messages, t.recipients, t.strangers, t.rejections
}

// at is a conduct with the counts of a time.
func at(rec *queuepb.ConductRecord, now time.Time) *queuepb.ConductRecord {
	out := &queuepb.ConductRecord{Hour: rec.Hour, Messages: rec.Messages, Day: rec.Day, Recipients: rec.Recipients, Strangers: rec.Strangers, Rejections: rec.Rejections}
	roll(out, now.UnixMilli())
	return out
}

// Over says whether one message more for so many recipients is refused whoever they are, by what is known of the account's conduct;
// nil where it may pass. Whether it does is decided where it is queued.
func Over(rec *queuepb.ConductRecord, b *queuepb.Brakes, recipients int, now time.Time) *OverError {
	if b == nil || b.Hold || rec.HeldSince != 0 {
		return nil
	}
	rec = at(rec, now)
	t := tallyOf(rec)
	t.messages++
	t.recipients += uint32(recipients)
	if r := exceeded(b, rec, &t, recipients, 0); r != nil {
		return overError(r)
	}
	return nil
}
