package recovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/object"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/index/recovery/plan"
)

// What goes into one append.
const (
	batchMessages = 64
	batchOctets   = 192 << 10 // compressed
)

// stamp is what of a message is known without its octets.
type stamp struct {
	date int64 // internal, in milliseconds
	size uint64
}

// filling is a mailbox being filled, in as many tries as it takes.
type filling struct {
	*run
	account *mailstore.Account
	address string
	box     plan.Mailbox
	fetch   *fetcher

	have    map[stamp][][sha256.Size]byte // messages that were there when the try began and are not accounted for
	before  uint64                        // messages in have that earlier tries of this run appended
	added   uint64                        // messages that were appended in all tries
	lost    map[int]bool                  // places in box.Messages of those given up
	batch   []*mailstore.Incoming
	options []mailstore.AppendOptions
	places  []int
	held    int
}

// once goes through the mailbox, and appends what is not in it.
func (f *filling) once(ctx context.Context) error {
	defer f.discard()
	box, err := f.prepare(ctx)
	switch {
	case errors.Is(err, index.ErrInvalidName):
		f.lose(uint64(len(f.box.Messages)), "mailbox %q of %s: %v", f.box.Name, f.address, err)
		return nil
	case err != nil:
		return err
	}
	if f.lost == nil {
		f.lost = map[int]bool{}
	}
	f.have, f.before = map[stamp][][sha256.Size]byte{}, f.added
	if err := box.Contents(ctx, f.remember); err != nil {
		return err
	}
	for i := range f.box.Messages {
		if f.lost[i] {
			continue
		}
		there, err := f.isThere(ctx, i)
		if err == nil && !there {
			err = f.take(ctx, i)
		}
		if err != nil {
			return err
		}
	}
	return f.flush(ctx)
}

func (f *filling) remember(date time.Time, size uint64, hash []byte) error {
	if len(hash) != sha256.Size {
		return nil
	}
	s := stamp{date.UnixMilli(), size}
	f.have[s] = append(f.have[s], [sha256.Size]byte(hash))
	return nil
}

// isThere says whether a message was appended before, and accounts for it.
func (f *filling) isThere(ctx context.Context, i int) (bool, error) {
	m := &f.box.Messages[i]
	s := stamp{m.InternalDate.UnixMilli(), m.Copies[0].Body.Size}
	if len(f.have[s]) == 0 {
		return false, nil
	}
	hash := sha256.New()
	if err := f.read(ctx, i, func() (io.Writer, error) { hash.Reset(); return hash, nil }); err != nil {
		if unreadable(err) {
			err = nil // take will find out, and tell
		}
		return false, err
	}
	at := slices.Index(f.have[s], [sha256.Size]byte(hash.Sum(nil)))
	if at < 0 {
		return false, nil
	}
	f.have[s] = slices.Delete(f.have[s], at, at+1)
	if f.before > 0 {
		f.before-- // of this run, and counted
	} else {
		f.tell(func(r *Report) { r.Present++ })
	}
	return true, nil
}

// unreadable says whether an error is that of one body, and another one may go well.
func unreadable(err error) bool {
	return errors.Is(err, blobstore.ErrDamaged) || errors.Is(err, object.ErrNotFound)
}

// read writes a message to what begin gives, and begins anew with the next copy where one cannot be read.
func (f *filling) read(ctx context.Context, i int, begin func() (io.Writer, error)) (err error) {
	m := &f.box.Messages[i]
	for n, c := range m.Copies {
		ahead := int64(c.Body.End())
		if n == 0 {
			ahead = reach(f.box.Messages, i)
		}
		var to io.Writer
		if to, err = begin(); err != nil {
			return err
		}
		if err = f.fetch.body(ctx, c, ahead, to); err == nil || !unreadable(err) {
			return err
		}
	}
	return err
}

// take reads a message and puts it to those that are appended next.
func (f *filling) take(ctx context.Context, i int) error {
	var in *mailstore.Incoming
	err := f.read(ctx, i, func() (io.Writer, error) {
		if in != nil {
			in.Discard()
		}
		in = f.c.Store.NewIncoming(ctx, []index.AccountID{f.account.ID()}, nil)
		return in, nil
	})
	held := 0
	if err == nil {
		held, err = in.Park(batchOctets)
	}
	if err != nil {
		in.Discard()
		return f.giveUp(i, err)
	}
	if len(f.batch) == batchMessages || f.held+held > batchOctets {
		if err := f.flush(ctx); err != nil {
			in.Discard()
			return err
		}
	}
	m := &f.box.Messages[i]
	f.batch, f.places, f.held = append(f.batch, in), append(f.places, i), f.held+held
	f.options = append(f.options, mailstore.AppendOptions{Flags: m.Flags, Keywords: m.Keywords, InternalDate: m.InternalDate})
	return nil
}

// giveUp tells that a message is not recovered, unless the error is none of the message's own.
func (f *filling) giveUp(i int, err error) error {
	if temporary(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, object.ErrDenied) {
		return err
	}
	f.lost[i] = true
	f.lose(1, "message %d in %q of %s: %v", f.box.Messages[i].UID, f.box.Name, f.address, err)
	return nil
}

// flush appends the messages that were taken: together, or one by one where one of them is refused.
func (f *filling) flush(ctx context.Context) error {
	defer f.discard()
	if len(f.batch) == 0 {
		return nil
	}
	err := f.append(ctx, f.batch, f.options)
	if err == nil || temporary(err) || ctx.Err() != nil {
		return err
	}
	for k, in := range f.batch {
		err := f.append(ctx, []*mailstore.Incoming{in}, f.options[k:k+1])
		if errors.Is(err, index.ErrTooManyKeywords) {
			f.fault("message %d in %q of %s: its keywords are left out: %v", f.box.Messages[f.places[k]].UID, f.box.Name, f.address, err)
			f.options[k].Keywords = nil
			err = f.append(ctx, []*mailstore.Incoming{in}, f.options[k:k+1])
		}
		if err != nil {
			if err := f.giveUp(f.places[k], err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *filling) append(ctx context.Context, messages []*mailstore.Incoming, options []mailstore.AppendOptions) error {
	if _, err := f.account.AppendAll(ctx, f.box.Name, messages, options); err != nil {
		return fmt.Errorf("append %d messages: %w", len(messages), err)
	}
	n := uint64(len(messages))
	f.added += n
	f.tell(func(r *Report) { r.Added += n })
	return nil
}

// discard lets go of what was taken and not appended, which the next try takes again.
func (f *filling) discard() {
	for _, in := range f.batch {
		in.Discard()
	}
	f.batch, f.options, f.places, f.held = nil, nil, nil, 0
}
