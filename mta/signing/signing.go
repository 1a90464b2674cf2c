// Package signing is the link of an attempt that makes mail out what receivers trust: it puts DKIM signatures in front
// of what our users and this system write (mta/dkim), a seal in front of what is sent on (mta/arc), and sees to
// it that the envelope sender can be told when it comes back (mta/srs, mta/batv). It keeps no keys: what the
// directory says comes from a Book.
package signing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/arc"
	"github.com/rookery-mail/rookery/mta/batv"
	"github.com/rookery-mail/rookery/mta/dkim"
	"github.com/rookery-mail/rookery/mta/remote"
	"github.com/rookery-mail/rookery/mta/srs"
)

// Sender makes an attempt.
type Sender interface {
	Deliver(ctx context.Context, job remote.Job) []remote.Result
}

// Rules are the settings of the cluster that this link keeps.
type Rules struct {
	DKIM, ARC, SRS bool
	Tags           bool // of bounces
}

// Book is what the directory says at this moment. Its errors are temporary.
type Book interface {
	Rules() (Rules, error)
	// Ours reports whether a domain is one of ours.
	Ours(domain string) (bool, error)
	// Signers are the keys that sign for a domain now; none where none does.
	Signers(domain string) ([]dkim.Key, error)
	// MaySign reports whether an account may have mail signed in the name of an address.
	MaySign(account index.AccountID, address string) (bool, error)
	// Home is the domain of an account's address.
	Home(account index.AccountID) (string, error)
	// RewriteKey is the secret of mta/srs, TagKey that of mta/batv; ok is false while there is none.
	RewriteKey() (secret []byte, ok bool, err error)
	TagKey() (key batv.Key, ok bool, err error)
}

// Outcome is what a message got, for metrics.
type Outcome string

// The outcomes.
const (
	Signed   Outcome = "signed"
	Sealed   Outcome = "sealed"
	Unsigned Outcome = "unsigned" // it is sent without either
	Failed   Outcome = "failed"   // it waits
)

// Config says what a Link works with. Fields without a default are required.
type Config struct {
	Next   Sender
	Book   Book
	Lookup arc.Lookup       // of TXT records
	Server string           // our name, in seals: the authserv-id of RFC 8601, section 2.5
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: none
	Count  func(Outcome)    // of each message that is looked at; nil: nobody counts
	Kept   int              // messages whose fields are kept for the next attempt; 2,000
}

// fieldsLife is for how long fields are kept. A key that was taken away signs no longer than that.
const fieldsLife = 5 * time.Minute

// Link is for any number of goroutines.
type Link struct {
	c      Config
	kept   shelf
	flight singleflight.Group // jobs of one message wait for one signature
}

var _ Sender = (*Link)(nil)

// New makes a Link.
func New(c Config) *Link {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Count == nil {
		c.Count = func(Outcome) {}
	}
	if c.Kept <= 0 {
		c.Kept = 2000
	}
	return &Link{c: c, kept: shelf{most: c.Kept}}
}

// Deliver has the next link deliver the message with its fields in front. Where they cannot be made now, the message
// waits: one that lacks its signature would be taken for a forgery.
func (l *Link) Deliver(ctx context.Context, job remote.Job) []remote.Result {
	changed, err := l.prepare(ctx, job)
	if err != nil {
		l.c.Logger.Warn("a message could not be signed", "id", job.ID, "error", err)
		results := make([]remote.Result, len(job.Recipients))
		for i := range results {
			results[i] = remote.Result{Kind: remote.Temporary, Reached: true, Reply: *mta.Replyf(0, mta.TempSystem, "The message could not be signed yet")}
		}
		return results
	}
	return l.c.Next.Deliver(ctx, changed)
}

func (l *Link) prepare(ctx context.Context, job remote.Job) (remote.Job, error) {
	rules, err := l.c.Book.Rules()
	if err != nil {
		return job, fmt.Errorf("read the settings: %w", err)
	}
	home := ""
	if job.Forward {
		if home, err = l.home(job); err != nil {
			return job, err
		}
	}
	fields, err := l.fields(ctx, job, rules, home)
	if err != nil {
		return job, err
	}
	if job.Envelope.From, err = l.sender(job, rules, home); err != nil {
		return job, err
	}
	if fields != "" {
		open := job.Open
		job.Envelope.Size += int64(len(fields))
		job.Open = func() (io.ReadCloser, error) { return withFields(fields, open) }
	}
	return job, nil
}

// withFields opens a message with fields in front.
func withFields(fields string, open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	text, err := open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(fields), text), text}, nil
}

// fields makes those of a message, or takes those that were made.
func (l *Link) fields(ctx context.Context, job remote.Job, rules Rules, home string) (string, error) {
	if job.Forward && !rules.ARC || !job.Forward && !rules.DKIM {
		return "", nil
	}
	if job.ID == "" {
		return l.make(ctx, job, home)
	}
	key := fmt.Sprintf("%s\x00%d\x00%t\x00%s\x00%s\x00%d", job.ID, job.Account, job.Forward, home, job.Envelope.From, job.Envelope.Size)
	if text, ok := l.kept.get(key, l.c.Clock()); ok {
		return text, nil
	}
	for {
		got, err, _ := l.flight.Do(key, func() (any, error) {
			text, err := l.make(ctx, job, home)
			if err == nil {
				l.kept.put(key, text, l.c.Clock().Add(fieldsLife))
			}
			return text, err
		})
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue // it was that of the job that we waited for
		}
		return got.(string), err
	}
}

func (l *Link) make(ctx context.Context, job remote.Job, home string) (fields string, err error) {
	done := Signed
	if job.Forward {
		done = Sealed
		fields, err = l.seal(ctx, job, home)
	} else {
		fields, err = l.sign(job)
	}
	switch {
	case err != nil:
		done = Failed
	case fields == "":
		done = Unsigned
	}
	l.c.Count(done)
	return fields, err
}

// sender is what the envelope says instead of its sender.
func (l *Link) sender(job remote.Job, rules Rules, home string) (string, error) {
	from := job.Envelope.From
	if from == "" || job.Forward && !rules.SRS || !job.Forward && !rules.Tags {
		return from, nil
	}
	ours, err := l.c.Book.Ours(domainOf(from))
	if err != nil || ours == job.Forward { // what is ours needs no rewriting, what is not no tag
		return from, err
	}
	if !job.Forward {
		key, ok, err := l.c.Book.TagKey()
		if err != nil || !ok {
			return from, err
		}
		return batv.Tag(from, key, l.c.Clock()), nil
	}
	secret, ok, err := l.c.Book.RewriteKey()
	if err != nil || !ok || home == "" {
		return from, err
	}
	to, err := srs.Rewrite(from, home, secret, l.c.Clock())
	if errors.Is(err, srs.ErrSender) {
		return from, nil
	}
	return to, err
}
