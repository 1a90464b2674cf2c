package reader

import (
	"container/list"
	"time"
)

// policy says which blocks stay, in the manner of 2Q (Johnson and Shasha, 1994): a new block goes to the
// recent ones, which leave in the order in which they came and may take up all that is free, but push nothing else out
// beyond a quarter. A block that is read again some time after it came, or that comes back soon
// after it had to go, is among those read often, of which the one that was not read for longest goes first. So a
// scan passes through the quarter. It is for one goroutine.
type policy struct {
	capacity int64 // octets
	again    time.Duration

	blocks        map[block]*list.Element // of kept, in recent or often
	recent, often list.List               // oldest first
	recentBytes   int64
	bytes         int64

	gone   map[block]*list.Element // of block, in ghosts
	ghosts list.List               // that were recent and left, oldest first
}

// kept is a block that stays for now.
type kept struct {
	block
	size  int64
	since time.Time // when it came
	often bool
}

func newPolicy(capacity int64, again time.Duration) *policy {
	return &policy{capacity: capacity, again: again, blocks: make(map[block]*list.Element), gone: make(map[block]*list.Element)}
}

func (p *policy) has(b block) bool { return p.blocks[b] != nil }

// read notes that a block is read. It returns false where it is not there.
func (p *policy) read(b block, now time.Time) bool {
	e := p.blocks[b]
	if e == nil {
		return false
	}
	k := e.Value.(*kept)
	switch {
	case k.often:
		p.often.MoveToBack(e)
	case now.Sub(k.since) >= p.again:
		p.recent.Remove(e)
		p.recentBytes -= k.size
		k.often = true
		p.blocks[b] = p.often.PushBack(k)
	}
	return true
}

// add notes a block that is there from now on, and gives those that have to go for it; it may be itself.
func (p *policy) add(b block, size int64, now time.Time) (out []block) {
	p.remove(b)
	k := &kept{block: b, size: size, since: now}
	if g := p.gone[b]; g != nil {
		p.ghosts.Remove(g)
		delete(p.gone, b)
		k.often = true
		p.blocks[b] = p.often.PushBack(k)
	} else {
		p.blocks[b] = p.recent.PushBack(k)
		p.recentBytes += size
	}
	p.bytes += size
	for p.bytes > p.capacity {
		out = append(out, p.evict())
	}
	return out
}

// evict removes one block.
func (p *policy) evict() block {
	if p.recent.Len() > 0 && (p.recentBytes > p.capacity/4 || p.often.Len() == 0) {
		b := p.recent.Front().Value.(*kept).block
		p.remove(b)
		p.gone[b] = p.ghosts.PushBack(b)
		if int64(p.ghosts.Len()) > p.capacity/blockSize/2 {
			delete(p.gone, p.ghosts.Remove(p.ghosts.Front()).(block))
		}
		return b
	}
	b := p.often.Front().Value.(*kept).block
	p.remove(b)
	return b
}

// remove forgets a block.
func (p *policy) remove(b block) {
	e := p.blocks[b]
	if e == nil {
		return
	}
	k := e.Value.(*kept)
	if k.often {
		p.often.Remove(e)
	} else {
		p.recent.Remove(e)
		p.recentBytes -= k.size
	}
	p.bytes -= k.size
	delete(p.blocks, b)
}
