package dispatch

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/mta/egress"
	"github.com/rookery-mail/rookery/mta/remote"
)

// block is what is known of a receiver that blocks, or blocked, an address.
type block struct {
	name    string
	version uint64 // 0: it did not
	was     *directorypb.Block
}

func (b block) record() *directorypb.Block {
	if b.was == nil {
		return &directorypb.Block{}
	}
	return b.was
}

func (d *Dispatcher) blockOf(address, site string) (block, error) {
	b := block{name: egress.BlockName(address, site)}
	err := d.view(func(v directory.View) error {
		r, err := v.MailRecord(directory.MailBlock, b.name)
		if errors.Is(err, directory.ErrNotFound) {
			return nil
		}
		b.version, b.was = r.GetVersion(), r.GetBlock()
		return err
	})
	return b, err
}

// recordWait is how long a record may take to change; the attempt itself is over.
const recordWait = 10 * time.Second

// blocked notes that a receiver blocks an address. Of attempts that hear it together the first counts.
func (d *Dispatcher) blocked(ctx context.Context, b block, r remote.Result) {
	now := d.c.Clock()
	next := &directorypb.Block{Times: b.record().Times + 1, Since: b.record().Since, Reply: short(r.Reply.Error())}
	if next.Since == 0 {
		next.Since = now.UnixMilli()
	}
	pause := egress.PauseOf(next.Times)
	next.Until = now.Add(pause).UnixMilli()
	if d.change(ctx, b, directory.MailChange{Record: &directorypb.MailRecord{Name: b.name, Record: &directorypb.MailRecord_Block{Block: next}}, Expected: &b.version}) {
		d.c.Logger.Warn("a receiver blocks an address", "block", b.name, "for", pause, "times", next.Times, "host", r.Host, "reply", next.Reply)
	}
}

// unblocked notes that a receiver takes mail of an address again.
func (d *Dispatcher) unblocked(ctx context.Context, b block) {
	record := &directorypb.MailRecord{Name: b.name, Record: &directorypb.MailRecord_Block{Block: &directorypb.Block{}}}
	if d.change(ctx, b, directory.MailChange{Record: record, Remove: true, Expected: &b.version}) {
		d.c.Logger.Info("a receiver takes mail of an address again", "block", b.name, "times", b.record().Times)
	}
}

func (d *Dispatcher) change(ctx context.Context, b block, c directory.MailChange) bool {
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	err := d.c.Directory.Put(ctx, c)
	if err != nil && !errors.Is(err, directory.ErrConflict) {
		d.c.Logger.Warn("what a receiver says of an address could not be noted", "block", b.name, "error", err)
	}
	return err == nil
}

// short is a reply in one line of a length that a record may have.
func short(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "?")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
