package uidset

// Intersect returns a new set of what is in both.
func (s *Set) Intersect(o *Set) *Set {
	out := New()
	for i, j := 0, 0; i < len(s.slots) && j < len(o.slots); {
		a, b := &s.slots[i], &o.slots[j]
		switch {
		case a.number < b.number:
			i++
			continue
		case a.number > b.number:
			j++
			continue
		}
		block, other := a.block(), b.block()
		block.intersect(&other)
		out.PutBlock(a.number, &block)
		i, j = i+1, j+1
	}
	return out
}

// Union makes the members of o members of s.
func (s *Set) Union(o *Set) {
	for i := range o.slots {
		b := o.slots[i].block()
		s.PutBlock(o.slots[i].number, &b)
	}
}

// Subtract makes the members of o no members of s.
func (s *Set) Subtract(o *Set) {
	kept := s.slots[:0]
	j := 0
	for _, sl := range s.slots {
		for j < len(o.slots) && o.slots[j].number < sl.number {
			j++
		}
		if j < len(o.slots) && o.slots[j].number == sl.number {
			gone, before := o.slots[j].block(), sl.count
			sl.write(func(b *Block) { b.subtract(&gone) })
			s.size -= int(before - sl.count)
		}
		if sl.count > 0 {
			kept = append(kept, sl)
		}
	}
	s.slots = kept
}
