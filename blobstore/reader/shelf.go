package reader

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// inMemory is how many of the latest blocks are kept in memory beside the disk.
const inMemory = 16

// diskPause is how long nothing is written to a disk that failed.
const diskPause = time.Minute

// shelf keeps blocks: the latest in memory, and as many as it may in files of a folder. A file that cannot
// be read is one that is not there; nothing relies on what is in it before its checksums were looked at, so
// that files are neither synced nor renamed.
type shelf struct {
	dir    string // empty: no disk
	clock  func() time.Time
	logger *slog.Logger

	mu     sync.Mutex
	policy *policy          // guarded by mu: of the files
	latest map[block][]byte // guarded by mu
	order  []block          // guarded by mu: of latest, oldest first
	failed uint64           // guarded by mu
	paused time.Time        // guarded by mu: nothing is written before
}

func newShelf(c *Config) *shelf {
	s := &shelf{dir: c.Dir, clock: c.Clock, logger: c.Logger, policy: newPolicy(c.Bytes, c.Again), latest: make(map[block][]byte)}
	if s.dir == "" {
		return s
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		s.trouble("make", err)
		return s
	}
	s.load()
	return s
}

// capacity is how many octets the shelf can hold.
func (s *shelf) capacity() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" || s.clock().Before(s.paused) {
		return inMemory * blockSize
	}
	return max(s.policy.capacity, inMemory*blockSize)
}

func (s *shelf) holds() (bytes int64, blocks int, failed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.bytes, len(s.policy.blocks), s.failed
}

// has reports whether a block is likely to be there.
func (s *shelf) has(b block) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest[b] != nil || s.policy.has(b)
}

// read fills to with the octets of a block from an offset on, or returns false; then it is not there any more.
func (s *shelf) read(b block, to []byte, from int) bool {
	s.mu.Lock()
	octets, onDisk := s.latest[b], s.policy.read(b, s.clock())
	s.mu.Unlock()
	if octets != nil {
		if from+len(to) <= len(octets) {
			copy(to, octets[from:])
			return true
		}
		s.drop(b)
		return false
	}
	if !onDisk {
		return false
	}
	err := readFile(s.file(b), to, int64(from))
	if err == nil {
		return true
	}
	s.drop(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	return false
}

func readFile(name string, to []byte, from int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(to, from)
	return err
}

// put keeps a block, whose octets nobody changes any more, and returns how many others it pushed out.
func (s *shelf) put(b block, octets []byte) (evicted int) {
	s.mu.Lock()
	s.remember(b, octets)
	now := s.clock()
	write := s.dir != "" && !now.Before(s.paused)
	s.mu.Unlock()
	if !write || !s.write(b, octets) {
		return 0
	}
	s.mu.Lock()
	out := s.policy.add(b, int64(len(octets)), now)
	s.mu.Unlock()
	for _, b := range out {
		s.unlink(b)
	}
	return len(out)
}

// remember keeps a block in memory. The caller holds mu.
func (s *shelf) remember(b block, octets []byte) {
	if s.latest[b] == nil {
		if len(s.order) >= inMemory {
			delete(s.latest, s.order[0])
			s.order = slices.Delete(s.order, 0, 1)
		}
		s.order = append(s.order, b)
	}
	s.latest[b] = octets
}

// write puts a block into its file.
func (s *shelf) write(b block, octets []byte) bool {
	name := s.file(b)
	err := os.WriteFile(name, octets, 0o600)
	if os.IsNotExist(err) {
		if err = os.MkdirAll(filepath.Dir(name), 0o700); err == nil {
			err = os.WriteFile(name, octets, 0o600)
		}
	}
	if err != nil {
		s.unlink(b)
		s.trouble("write", err)
	}
	return err == nil
}

// trouble notes that the disk failed.
func (s *shelf) trouble(doing string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed++
	now := s.clock()
	if now.Before(s.paused) {
		return
	}
	s.paused = now.Add(diskPause)
	s.logger.Warn("bodies are not cached for a while", "doing", doing, "dir", s.dir, "error", err.Error())
}

// drop forgets a block.
func (s *shelf) drop(b block) {
	s.mu.Lock()
	onDisk := s.policy.has(b)
	s.policy.remove(b)
	if s.latest[b] != nil {
		delete(s.latest, b)
		s.order = slices.DeleteFunc(s.order, func(o block) bool { return o == b })
	}
	s.mu.Unlock()
	if onDisk {
		s.unlink(b)
	}
}

// unlink removes a block's file. What cannot be removed is found by the next load.
func (s *shelf) unlink(b block) { _ = os.Remove(s.file(b)) }

// file names the file of a block: the pack and the number, in a folder for the pack's first octet.
func (s *shelf) file(b block) string {
	id := b.pack.String()
	return filepath.Join(s.dir, id[:2], fmt.Sprintf("%s-%d", id, b.number))
}

// found is a block's file that was there.
type found struct {
	block
	size    int64
	written time.Time
}

// load finds the blocks that are there. Other files of the folders go.
func (s *shelf) load() {
	var all []found
	_ = filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be listed is not cached
		}
		b, ok := readName(filepath.Base(name))
		info, err := d.Info()
		if !ok || err != nil || s.file(b) != name || info.Size() == 0 || info.Size() > blockSize {
			_ = os.Remove(name)
			return nil
		}
		all = append(all, found{b, info.Size(), info.ModTime()})
		return nil
	})
	slices.SortFunc(all, func(a, b found) int { return a.written.Compare(b.written) })
	now := s.clock()
	for _, f := range all {
		for _, b := range s.policy.add(f.block, f.size, now) {
			s.unlink(b)
		}
	}
}

// readName reads the name of a block's file.
func readName(name string) (b block, ok bool) {
	id, number, _ := strings.Cut(name, "-")
	pack, err := blobstore.ParsePackID(id)
	n, wrong := strconv.ParseInt(number, 10, 64)
	return block{pack, n}, cmp.Or(err, wrong) == nil && n >= 0 && n <= 1<<40
}
