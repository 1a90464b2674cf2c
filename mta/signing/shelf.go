package signing

import (
	"sync"
	"time"
)

// shelf keeps texts for a while, in two generations: what is used moves to the young one; when that is full the
// old one is forgotten.
type shelf struct {
	most int // texts in a generation

	mu         sync.Mutex // guards what follows
	young, old map[string]kept
}

type kept struct {
	text  string
	until time.Time
}

func (s *shelf) get(key string, now time.Time) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.young[key]
	if !ok {
		if k, ok = s.old[key]; !ok {
			return "", false
		}
		s.add(key, k)
	}
	return k.text, now.Before(k.until)
}

func (s *shelf) put(key, text string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(key, kept{text, until})
}

func (s *shelf) add(key string, k kept) {
	if s.young == nil || len(s.young) >= s.most {
		s.young, s.old = make(map[string]kept), s.young
	}
	s.young[key] = k
}
