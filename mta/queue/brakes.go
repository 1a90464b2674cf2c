package queue

import (
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// tally is what an account has sent in the windows of now.
type tally struct{ messages, recipients, strangers, rejections uint32 }

func tallyOf(rec *queuepb.ConductRecord) tally {
	return tally{rec.Messages, rec.Recipients, rec.Strangers, rec.Rejections}
}

func (t *tally) set(rec *queuepb.ConductRecord) {
	rec.Messages, rec.Recipients, rec.Strangers, rec.Rejections = t.messages, t.recipients, t.strangers, t.rejections
}

// count is the tally with one more entry.
func count(rec *queuepb.ConductRecord, n *queuepb.NewEntry, strangers int) *tally {
	t := tallyOf(rec)
	t.messages++
	t.recipients += uint32(len(n.Recipients))
	t.strangers += uint32(strangers)
	return &t
}

// roll begins the windows anew that are over.
func roll(rec *queuepb.ConductRecord, now int64) {
	if now >= rec.Hour+hour {
		rec.Hour, rec.Messages = now, 0
	}
	if now >= rec.Day+day {
		rec.Day, rec.Recipients, rec.Strangers, rec.Rejections = now, 0, 0, 0
	}
}

// exceeded says which bound a tally is over in the windows of rec, nil for none. In it is a message with so many recipients, of
// whom so many are strangers.
func exceeded(b *queuepb.Brakes, rec *queuepb.ConductRecord, t *tally, recipients, strangers int) *queuepb.Refusal {
	for _, bound := range []struct {
		most, is, alone uint32 // alone is what the message has by itself
		until           int64
		what            string
	}{
		{b.MessagesHour, t.messages, 1, rec.Hour + hour, "messages an hour"},
		{b.RecipientsDay, t.recipients, uint32(recipients), rec.Day + day, "recipients a day"},
		{b.StrangersDay, t.strangers, uint32(strangers), rec.Day + day, "recipients a day that it never wrote to before"},
		{b.RejectionsDay, t.rejections, 0, rec.Day + day, "recipients a day that their hosts refuse"},
	} {
		if bound.most == 0 || bound.is <= bound.most {
			continue
		}
		if bound.alone > bound.most {
			bound.until = 0
		}
		return &queuepb.Refusal{What: fmt.Sprintf("%d %s", bound.most, bound.what), Until: bound.until}
	}
	return nil
}

// stolen reports whether a tally is that of an account in wrong hands: many who were never written to, and many refusals, at half of
// both bounds. Lists that were bought have it, and hardly anybody who writes to people he knows of.
func stolen(b *queuepb.Brakes, t *tally) bool {
	return b.StrangersDay != 0 && b.RejectionsDay != 0 && 2*uint64(t.strangers) >= uint64(b.StrangersDay) && 2*uint64(t.rejections) >= uint64(b.RejectionsDay)
}

func stolenWhy(rec *queuepb.ConductRecord) string {
	return fmt.Sprintf("like a stolen account: %d recipients that it never wrote to before, %d refused by their hosts, since %s",
		rec.Strangers, rec.Rejections, time.UnixMilli(rec.Day).UTC().Format("2006-01-02 15:04 MST"))
}
