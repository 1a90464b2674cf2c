package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableSize is how large a table of an import grows, in bytes of keys and values.
const tableSize = 64 << 20

// Import replaces all keys of the group by those of a state stream, at once and durably. A stream
// that is not whole is refused with ErrStream and changes nothing. Snapshots taken before return
// ErrRestored from then on.
func (g *Group) Import(ctx context.Context, r io.Reader) (err error) {
	h, err := ReadHeader(r)
	if err != nil {
		return fmt.Errorf("import %v: %w", g.id, err)
	}
	if h.Group != g.id {
		return fmt.Errorf("import %v: stream of %v: %w", g.id, h.Group, ErrStream)
	}
	dir := g.db.fs.PathJoin(g.db.dir, fmt.Sprintf("%s%d", importPrefix, g.id))
	if err := makeEmptyDir(g.db.fs, dir); err != nil {
		return fmt.Errorf("import %v: %w", g.id, err)
	}
	defer func() {
		if removeErr := g.db.fs.RemoveAll(dir); removeErr != nil && err == nil {
			err = fmt.Errorf("import %v: remove tables: %w", g.id, removeErr)
		}
	}()
	b := tableBuilder{group: g, dir: dir}
	if err := b.build(ctx, r); err != nil {
		return fmt.Errorf("import %v: %w", g.id, err)
	}
	if b.applied == nil {
		return fmt.Errorf("import %v: no applied index: %w", g.id, ErrStream)
	}
	if at, err := decodeApplied(b.applied); err != nil || at != h.Applied {
		return fmt.Errorf("import %v: applied index %x does not match the header: %w", g.id, b.applied, ErrStream)
	}
	g.epoch.Add(1)
	if _, err := g.db.db.IngestAndExcise(ctx, b.paths, nil, nil, g.span()); err != nil {
		return fmt.Errorf("import %v: %w", g.id, err)
	}
	return g.db.Flush() // what Pebble took in as a memtable has no log behind it
}

func makeEmptyDir(fs vfs.FS, dir string) error {
	if err := fs.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove old tables: %w", err)
	}
	return fs.MkdirAll(dir, 0o700)
}

// tableBuilder turns a state stream into tables that Pebble can take in.
type tableBuilder struct {
	group   *Group
	dir     string
	paths   []string
	applied []byte // the value of the applied index, once met

	w    *sstable.Writer // nil between tables
	size int
	last []byte // the last key, with prefix
	key  []byte
}

func (b *tableBuilder) build(ctx context.Context, r io.Reader) error {
	err := readBlocks(r, func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.add(key, value)
	})
	if b.w == nil {
		return err
	}
	return errors.Join(err, b.w.Close())
}

func (b *tableBuilder) add(key, value []byte) error {
	b.key = b.group.key(b.key, key)
	if b.last != nil && bytes.Compare(b.key, b.last) <= 0 {
		return fmt.Errorf("key %x does not ascend: %w", key, ErrStream)
	}
	b.last = append(b.last[:0], b.key...)
	if len(key) == 1 && key[0] == appliedKey {
		b.applied = bytes.Clone(value)
	}
	if b.w == nil {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if err := b.w.Set(b.key, value); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	if b.size += len(b.key) + len(value); b.size < tableSize {
		return nil
	}
	w := b.w
	b.w = nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("close table: %w", err)
	}
	return nil
}

func (b *tableBuilder) begin() error {
	db := b.group.db
	path := db.fs.PathJoin(b.dir, fmt.Sprintf("%06d.sst", len(b.paths)))
	f, err := db.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create table: %w", err)
	}
	b.paths = append(b.paths, path)
	b.size = 0
	b.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{
		TableFormat: db.db.TableFormat(),
	})
	return nil
}
