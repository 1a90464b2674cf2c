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

// exceeded says which bound a tally with the entry n in it is over, nil for none.
func exceeded(b *queuepb.Brakes, c *conduct, t *tally, n *queuepb.NewEntry, strangers int) *queuepb.Refusal {
	for _, bound := range []struct {
		most, is, alone uint32 // alone is what the entry has by itself
		until           int64
		what            string
	}{
		{b.MessagesHour, t.messages, 1, c.rec.Hour + hour, "messages an hour"},
		{b.RecipientsDay, t.recipients, uint32(len(n.Recipients)), c.rec.Day + day, "recipients a day"},
		{b.StrangersDay, t.strangers, uint32(strangers), c.rec.Day + day, "recipients a day that it never wrote to before"},
		{b.RejectionsDay, t.rejections, 0, c.rec.Day + day, "recipients a day that their hosts refuse"},
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
