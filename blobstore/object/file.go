package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rookery-mail/rookery/blobstore"
)

// File is a store in a directory, which nodes share over NFS or the like: each object is a file of its
// name. An object is there whole or not at all, and is on the disk when Put returns. It is for any number
// of goroutines and processes.
type File struct {
	dir string
}

var _ Bucket = (*File)(nil)

// incoming is the folder for objects that are being written. CheckName allows no name in it.
const incoming = ".incoming"

// OpenFile opens the store in dir, which has to be there: a directory that is not mounted must not
// become an empty store.
func OpenFile(dir string) (*File, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err != nil {
		return nil, fmt.Errorf("open the store in %s: %w", dir, fileError(err))
	}
	return &File{dir: dir}, nil
}

// fileError tells the errors of a file system in the words of a Bucket. All but a missing file and a
// missing right may go well another time: a disk gets room, a server comes back.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return fmt.Errorf("%w: %w", blobstore.ErrUnavailable, err)
}

func (f *File) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// present says ErrUnavailable while the store's own directory is away, which makes no object missing.
func (f *File) present() error {
	if _, err := os.Stat(f.dir); err != nil {
		return fmt.Errorf("%w: %w", blobstore.ErrUnavailable, err)
	}
	return nil
}

// Put implements Bucket.
func (f *File) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := CheckPut(name, size); err != nil {
		return err
	}
	if err := f.present(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	temporary, err := f.write(ctx, r, size)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if err := f.rename(temporary, name); err != nil {
		_ = os.Remove(temporary) // the error counts
		return fmt.Errorf("put %s: %w", name, fileError(err))
	}
	return nil
}

// write makes a synced file of size octets in the folder for incoming objects.
func (f *File) write(ctx context.Context, r io.Reader, size int64) (path string, err error) {
	folder := filepath.Join(f.dir, incoming)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fileError(err)
	}
	file, err := os.CreateTemp(folder, "*")
	if err != nil {
		return "", fileError(err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fileError(closeErr)
		}
		if err != nil {
			_ = os.Remove(file.Name()) // the error counts
		}
	}()
	n, err := io.Copy(file, &withContext{ctx, io.LimitReader(r, size+1)})
	switch {
	case err != nil && ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", fileError(err)
	case n != size:
		return "", fmt.Errorf("the reader does not have %d octets: %w", size, io.ErrUnexpectedEOF)
	}
	if err := errors.Join(file.Chmod(0o644), file.Sync()); err != nil {
		return "", fileError(err)
	}
	return file.Name(), nil
}

// withContext ends a copy when ctx does.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (w *withContext) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

// rename gives a synced file its name, and syncs the folders in which something changed.
func (f *File) rename(temporary, name string) error {
	path := f.path(name)
	made, err := makeFolders(filepath.Dir(path))
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	for _, folder := range made {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return syncFolder(filepath.Dir(path))
}

// makeFolders makes a folder and those above it, and lists the folders that have a new entry by that.
func makeFolders(folder string) (changed []string, err error) {
	if _, err := os.Stat(folder); err == nil {
		return nil, nil
	}
	above := filepath.Dir(folder)
	if changed, err = makeFolders(above); err != nil {
		return nil, err
	}
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return append(changed, above), nil
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Get implements Bucket.
func (f *File) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := errors.Join(CheckRange(name, offset, length), CheckName(name), ctx.Err()); err != nil {
		return nil, err
	}
	file, err := os.Open(f.path(name))
	if err != nil {
		return nil, f.failed("get", name, err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		_ = file.Close() // read only
		return nil, f.failed("get", name, err)
	}
	if offset > 0 && offset >= info.Size() {
		_ = file.Close() // read only
		return nil, fmt.Errorf("get %s from octet %d of %d: %w", name, offset, info.Size(), io.ErrUnexpectedEOF)
	}
	if length < 0 {
		length = info.Size() - offset
	}
	return Exact(&openFile{withContext{ctx, file}, file}, length), nil
}

// openFile is a file that is read until its context ends.
type openFile struct {
	withContext
	io.Closer
}

// failed tells what went wrong with an object. One that is not there is ErrNotFound only while the
// store itself is.
func (f *File) failed(what, name string, err error) error {
	if away := f.present(); away != nil {
		return fmt.Errorf("%s %s: %w", what, name, away)
	}
	return fmt.Errorf("%s %s: %w", what, name, fileError(err))
}

// Stat implements Bucket.
func (f *File) Stat(ctx context.Context, name string) (Info, error) {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return Info{}, err
	}
	info, err := os.Stat(f.path(name))
	if err == nil && info.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, f.failed("stat", name, err)
	}
	return Info{name, info.Size(), info.ModTime()}, nil
}

// Delete implements Bucket. The folder stays: another object may be on its way there.
func (f *File) Delete(ctx context.Context, name string) error {
	if err := errors.Join(CheckName(name), ctx.Err()); err != nil {
		return err
	}
	err := os.Remove(f.path(name))
	if err == nil {
		err = syncFolder(filepath.Dir(f.path(name)))
	}
	if err != nil {
		if err = f.failed("delete", name, err); errors.Is(err, ErrNotFound) {
			return nil
		}
	}
	return err
}

// List implements Bucket.
func (f *File) List(ctx context.Context, prefix string, fn func(Info) error) error {
	if err := f.present(); err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	folder := ""
	if at := strings.LastIndexByte(prefix, '/'); at >= 0 {
		folder = prefix[:at+1]
		if err := CheckName(folder[:at]); err != nil {
			return err
		}
	}
	return f.list(ctx, folder, prefix, fn)
}
