package reportbox

import (
	"context"
	"errors"
	"time"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta/dmarcreport"
	"github.com/rookery-mail/rookery/mta/tlsrpt"
)

// Letter is a message that came to an address for reports, in somebody's INBOX.
type Letter struct {
	Account index.AccountID
	UID     index.UID
}

// Notice has a letter be read by and by. Where many wait it is left: it stays in the mailbox, and can be brought by hand.
func (b *Box) Notice(l Letter) {
	select {
	case b.letters <- l:
	default:
		b.c.Logger.Warn("a report is not read, since others wait", "account", uint64(l.Account), "uid", uint32(l.UID))
	}
}

// patience is how long a letter is read.
const patience = 30 * time.Second

// Run reads letters until ctx ends.
func (b *Box) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-b.letters:
			b.read(ctx, l)
		}
	}
}

func (b *Box) read(ctx context.Context, l Letter) {
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := b.c.Open(reading, l)
	if err == nil {
		err = b.letter(reading, data)
	}
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, dmarcreport.ErrNoReport):
		b.c.Logger.Debug("a message to the address for reports is none", "account", uint64(l.Account), "uid", uint32(l.UID), "error", err)
	default:
		b.c.Logger.Warn("a report was not taken", "account", uint64(l.Account), "uid", uint32(l.UID), "error", err)
	}
}

// letter takes the report in a mail, whichever kind it is: one address may be for both. The error is dmarcreport.ErrNoReport
// where it is none.
func (b *Box) letter(ctx context.Context, mail []byte) error {
	if b.busy() {
		return ErrBusy
	}
	how := b.came(ctx, mail)
	_, err := b.Take(ctx, mail, how)
	if errors.Is(err, tlsrpt.ErrNoReport) {
		_, err = b.TakeDMARC(ctx, mail, how)
	}
	return err
}
