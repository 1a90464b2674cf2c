package packer

import (
	"math"
	"time"

	"github.com/rookery-mail/rookery/blobstore"
)

// Status is what a partition's packer does.
type Status struct {
	Group   uint16
	Backlog blobstore.Backlog // at the last look
	// Packs, Bodies and Octets count what went into object storage since this node leads.
	Packs, Bodies, Octets uint64
	// Homed counts the octets that came home, HomeLeft those that are to come (blobstore.Homing).
	Homed, HomeLeft uint64
	// Rate is the octets per second into object storage or home, over about the last minute.
	Rate float64
	// Err is why the last thing tried failed, "" where it did not, and Since when that began.
	Err   string
	Since time.Time
}

// Status tells what the worker does.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Group = w.part.Group()
	s.Rate = w.speed.rate()
	return s
}

func (w *Worker) observe(backlog blobstore.Backlog) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Backlog = backlog
}

// note keeps how the last thing went.
func (w *Worker) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.status.Err, w.status.Since = "", time.Time{}
	case w.status.Err == "":
		w.status.Since = w.p.Now()
		fallthrough
	default:
		w.status.Err = err.Error()
	}
}

// count counts a pack that was made.
func (w *Worker) count(s *spool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Packs++
	for _, r := range s.runs {
		w.status.Bodies += uint64(len(r.entries))
	}
	w.status.Octets += uint64(s.summary.Size)
	w.speed.add(float64(s.summary.Size))
}

// own notes that a pack is being made here, so that it is not taken for an earlier leader's.
func (w *Worker) own(id blobstore.PackID, making bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if making {
		w.making[id] = true
	} else {
		delete(w.making, id)
	}
}

func (w *Worker) owns(id blobstore.PackID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.making[id]
}

// meter is a rate that forgets: what was added counts by e^-1 less each minute.
type meter struct {
	now  func() time.Time
	sum  float64
	last time.Time
}

const memory = time.Minute

func (m *meter) add(n float64) {
	m.fade()
	m.sum += n
}

func (m *meter) rate() float64 {
	m.fade()
	return m.sum / memory.Seconds()
}

func (m *meter) fade() {
	now := m.now()
	if !m.last.IsZero() {
		m.sum *= math.Exp(-now.Sub(m.last).Seconds() / memory.Seconds())
	}
	m.last = now
}
