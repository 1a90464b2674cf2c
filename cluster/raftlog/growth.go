package raftlog

// growth counts what was appended since the last snapshot.
type growth struct {
	bytes, entries       int64
	maxBytes, maxEntries int64         // 0 before Watch
	grown                chan struct{} // of one element; full while a snapshot is due
}

// Watch says how many bytes or entries may be appended since the last snapshot until the returned
// channel has an element: then the next snapshot is due.
func (l *Log) Watch(maxBytes, maxEntries int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.growth.maxBytes, l.growth.maxEntries = maxBytes, maxEntries
	l.grow(0, 0)
	return l.growth.grown
}

// grow counts an append. The caller holds mu.
func (l *Log) grow(bytes, entries int64) {
	g := &l.growth
	g.bytes += bytes
	g.entries += entries
	if g.maxBytes == 0 || (g.bytes < g.maxBytes && g.entries < g.maxEntries) {
		return
	}
	select {
	case g.grown <- struct{}{}:
	default: // it is known already
	}
}

// resetGrowth counts anew what lies behind the snapshot. The caller holds mu.
func (l *Log) resetGrowth() {
	l.growth.bytes, l.growth.entries = 0, 0
	from := l.first
	if l.snapshot != nil && uint64(l.snapshot.Index) >= from {
		from = uint64(l.snapshot.Index) + 1
	}
	if l.first == 0 || from > l.last() {
		return
	}
	for _, n := range l.sizes[from-l.first:] {
		l.growth.bytes += int64(n)
		l.growth.entries++
	}
}

// Bytes is the size of the entries held, in bytes, without the database's own overhead.
func (l *Log) Bytes() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bytes
}

// Growth is what was appended since the last snapshot.
func (l *Log) Growth() (bytes, entries int64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.growth.bytes, l.growth.entries
}

// Newest returns how many of the newest entries have at most maxBytes together.
func (l *Log) Newest(maxBytes int64) (entries uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := len(l.sizes) - 1; i >= 0; i-- {
		if maxBytes -= int64(l.sizes[i]); maxBytes < 0 {
			break
		}
		entries++
	}
	return entries
}
