package object

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// list gives the objects below a folder ("" or one that ends in a slash) whose names begin with prefix.
func (f *File) list(ctx context.Context, folder, prefix string, fn func(Info) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(f.path(folder))
	if err != nil {
		if err = fileError(err); errors.Is(err, ErrNotFound) {
			return nil // a prefix that no object has
		}
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(sortName(a), sortName(b)) })
	for _, e := range entries {
		name := folder + sortName(e)
		if e.Name()[0] == '.' || !strings.HasPrefix(name, prefix) && !strings.HasPrefix(prefix, name) {
			continue
		}
		if err := f.listEntry(ctx, e, name, prefix, fn); err != nil {
			return err
		}
	}
	return nil
}

// sortName is what an entry is sorted by: a folder as the beginning of the names in it, so that "a-b"
// comes before "a/b" as it does in S3.
func sortName(e os.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return e.Name()
}

func (f *File) listEntry(ctx context.Context, e os.DirEntry, name, prefix string, fn func(Info) error) error {
	if e.IsDir() {
		return f.list(ctx, name, prefix, fn)
	}
	if !strings.HasPrefix(name, prefix) {
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted just now
	}
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, fileError(err))
	}
	return fn(Info{name, info.Size(), info.ModTime()})
}
