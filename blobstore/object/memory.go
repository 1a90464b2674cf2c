package object

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a store in memory, for tests. It is for any number of goroutines.
type Memory struct {
	mu      sync.Mutex // guards objects
	objects map[string]memoryObject
}

// memoryObject is one object. Its octets are never changed, only replaced.
type memoryObject struct {
	octets   []byte
	modified time.Time
}

var _ Bucket = (*Memory)(nil)

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{objects: map[string]memoryObject{}} }

// Put implements Bucket.
func (m *Memory) Put(ctx context.Context, name string, r io.ReadSeeker, size int64) error {
	if err := CheckPut(name, size); err != nil {
		return err
	}
	octets, err := readSized(r, size)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[name] = memoryObject{octets, time.Now()}
	return nil
}

// readSized reads all of r, which has to be size octets.
func readSized(r io.ReadSeeker, size int64) ([]byte, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	octets, err := io.ReadAll(io.LimitReader(r, size+1))
	if err == nil && int64(len(octets)) != size {
		err = fmt.Errorf("the reader does not have %d octets: %w", size, io.ErrUnexpectedEOF)
	}
	return octets, err
}

// Get implements Bucket.
func (m *Memory) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := CheckRange(name, offset, length); err != nil {
		return nil, err
	}
	o, err := m.find(ctx, name)
	if err != nil {
		return nil, err
	}
	have := int64(len(o.octets))
	if length < 0 {
		length = max(have-offset, 0)
	}
	if offset >= have && offset > 0 {
		return nil, fmt.Errorf("get %s from octet %d of %d: %w", name, offset, have, io.ErrUnexpectedEOF)
	}
	return Exact(io.NopCloser(bytes.NewReader(o.octets[offset:min(have, offset+length)])), length), nil
}

// Stat implements Bucket.
func (m *Memory) Stat(ctx context.Context, name string) (Info, error) {
	o, err := m.find(ctx, name)
	if err != nil {
		return Info{}, err
	}
	return Info{name, int64(len(o.octets)), o.modified}, nil
}

func (m *Memory) find(ctx context.Context, name string) (memoryObject, error) {
	if err := ctx.Err(); err != nil {
		return memoryObject{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[name]
	if !ok {
		return o, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return o, nil
}

// Delete implements Bucket.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// List implements Bucket.
func (m *Memory) List(ctx context.Context, prefix string, fn func(Info) error) error {
	m.mu.Lock()
	objects := maps.Clone(m.objects)
	m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if err := fn(Info{name, int64(len(objects[name].octets)), objects[name].modified}); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Flip turns one bit of an object round, as a failing disk does. It reports whether the object has that
// octet.
func (m *Memory) Flip(name string, offset int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[name]
	if !ok || offset < 0 || offset >= int64(len(o.octets)) {
		return false
	}
	o.octets = bytes.Clone(o.octets)
	o.octets[offset] ^= 0x10
	m.objects[name] = o
	return true
}
