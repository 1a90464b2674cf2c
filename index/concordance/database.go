package concordance

import (
	"encoding/binary"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/search/trigram"
)

// The keys, integers big endian. All of a mailbox is written and deleted by Run's goroutine.
//
//	0x00                                    trigram.Version (1 octet), Config.Identity
//	0x01 account:8 mailbox:4                empty: the mailbox is kept
//	0x02 account:8 mailbox:4 segment:4      a trigram.Segment
//	0x03 account:8 mailbox:4 segment:4 gram:4   postings (trigram.Encode)
//
// A gram without a key is in no message of the segment. A segment's keys are in one batch.
const (
	tableIdentity byte = iota
	tableMailbox
	tableSegment
	tablePostings
)

const placeSize = 1 + 8 + 4

func (p place) key(table byte) []byte {
	key := make([]byte, 0, placeSize+8)
	key = append(key, table)
	key = binary.BigEndian.AppendUint64(key, uint64(p.account))
	return binary.BigEndian.AppendUint32(key, uint32(p.mailbox))
}

// segment is the number of one, ascending in the order in which they were written.
type segment uint32

func (p place) segment(table byte, n segment) []byte {
	return binary.BigEndian.AppendUint32(p.key(table), uint32(n))
}

func (p place) postings(n segment, g trigram.Gram) []byte {
	return binary.BigEndian.AppendUint32(p.segment(tablePostings, n), uint32(g))
}

// after gives the first key beyond all that begin with prefix, which is not all 0xff.
func after(prefix []byte) []byte {
	out := append([]byte(nil), prefix...)
	for i := len(out) - 1; ; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
}

// open opens Pebble and reads which mailboxes are kept. An index of another kind is trigram.ErrFormat.
func (x *Index) open(dir string) error {
	cache := pebble.NewCache(x.c.CacheBytes)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{
		FS: x.c.FS, Logger: logger{x.log}, Cache: cache, DisableWAL: true,
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 8 << 20,
		// Pebble's own listener would end the process for a damaged file.
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { x.log.Warn("background work of the search index failed", "error", err) },
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				x.log.Warn("a file of the search index is damaged", "file", info.Path, "error", info.Details)
			},
		},
	})
	if err != nil {
		return err
	}
	x.db = db
	err = x.identify()
	if err == nil {
		err = x.readMailboxes()
	}
	if err != nil {
		_ = db.Close() // the error that matters is err
	}
	return err
}

// identify holds the index against the version and the identity, and marks a new one.
func (x *Index) identify() error {
	want := append([]byte{trigram.Version}, x.c.Identity...)
	it, err := x.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	if !it.First() {
		if err := it.Error(); err != nil {
			return err
		}
		return x.db.Set([]byte{tableIdentity}, want, pebble.NoSync)
	}
	got, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	if len(it.Key()) != 1 || it.Key()[0] != tableIdentity || string(got) != string(want) {
		return fmt.Errorf("index of version %d or of another cluster: %w", trigram.Version, trigram.ErrFormat)
	}
	return nil
}

// readMailboxes makes the entries, each of which is to be held against its mailbox.
func (x *Index) readMailboxes() error {
	x.accounts, x.queue = make(map[index.AccountID]map[index.MailboxID]*entry), nil
	return each(x.db, []byte{tableMailbox}, func(key, _ []byte) error {
		if len(key) != placeSize {
			return fmt.Errorf("key %x: %w", key, trigram.ErrFormat)
		}
		x.enqueue(place{index.AccountID(binary.BigEndian.Uint64(key[1:])), index.MailboxID(binary.BigEndian.Uint32(key[9:]))})
		return nil
	})
}

// each calls fn with the keys that begin with prefix. They are valid until fn returns.
func each(r pebble.Reader, prefix []byte, fn func(key, value []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			err = fn(it.Key(), value)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// logger carries Pebble's messages.
type logger struct{ log *slog.Logger }

var _ pebble.Logger = logger{}

// Infof is for developers of the storage engine.
func (l logger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

// Errorf is a warning: Pebble tries again by itself.
func (l logger) Errorf(format string, args ...any) { l.log.Warn(fmt.Sprintf(format, args...)) }

// Fatalf is called where Pebble cannot go on, and relies on not coming back.
func (l logger) Fatalf(format string, args ...any) {
	panic("search index: " + fmt.Sprintf(format, args...))
}
