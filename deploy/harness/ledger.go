package harness

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Ledger holds what was promised (each message acknowledged for each recipient) against what can be
// read. It may be used from several goroutines.
type Ledger struct {
	mu     sync.Mutex // guards what follows
	copies map[Copy]*ledgerCopy
}

// Copy is one message of one recipient.
type Copy struct {
	Recipient string // an address
	ID        string // the Message-ID
}

type ledgerCopy struct {
	digest       Digest
	acknowledged bool
}

// NewLedger makes an empty ledger.
func NewLedger() *Ledger { return &Ledger{copies: map[Copy]*ledgerCopy{}} }

// Offer says that m is about to be sent to a recipient. From here on it may arrive, once.
func (l *Ledger) Offer(m Message, recipient string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies[Copy{recipient, m.ID}] = &ledgerCopy{digest: m.Digest}
}

// Acknowledge says that a server promised m to a recipient. From here on it must be there.
func (l *Ledger) Acknowledge(m Message, recipient string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.copies[Copy{recipient, m.ID}].acknowledged = true
}

// Acknowledged counts what was promised so far.
func (l *Ledger) Acknowledged() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.copies {
		if c.acknowledged {
			n++
		}
	}
	return n
}

// Found is one message that was read.
type Found struct {
	Recipient string
	Mailbox   string
	UID       uint32
	ID        string // its Message-ID
	Digest    Digest
	Flags     []string  // sorted, lower case
	Text      string    // all of it, of a report alone
	Reports   *Reported // what it says became of another message, nil for any that is no report
}

// Report is the outcome: copies are counted, one message of one recipient each.
type Report struct {
	Acknowledged int
	Readable     int // acknowledged and there as it was sent
	Lost         int // acknowledged and not there, or not as it was sent
	Duplicated   int // there more often than once
	Unpromised   int // there, offered, but never acknowledged: the reply was lost
	Strange      int // there and never offered
	Details      []string
}

// Good reports whether every promise was kept.
func (r Report) Good() bool { return r.Lost == 0 && r.Duplicated == 0 && r.Strange == 0 }

// String is the ledger's line.
func (r Report) String() string {
	return fmt.Sprintf("acknowledged=%d readable=%d lost=%d duplicated=%d", r.Acknowledged, r.Readable, r.Lost, r.Duplicated)
}

// Compare holds the ledger against everything that can be read.
func (l *Ledger) Compare(found []Found) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r Report
	seen := map[Copy]int{}
	broken := map[Copy]bool{}
	for _, f := range found {
		key := Copy{f.Recipient, f.ID}
		c := l.copies[key]
		if c == nil {
			r.Strange++
			r.note("%s has a message that nobody sent: %s in %s", f.Recipient, f.ID, f.Mailbox)
			continue
		}
		if seen[key]++; seen[key] > 1 {
			r.Duplicated++
			r.note("%s has %s again, in %s as UID %d", f.Recipient, f.ID, f.Mailbox, f.UID)
		}
		if f.Digest != c.digest {
			broken[key] = true
			r.note("%s has %s in %s with other content than was sent", f.Recipient, f.ID, f.Mailbox)
		}
	}
	for key, c := range l.copies {
		switch there := seen[key] > 0 && !broken[key]; {
		case c.acknowledged && there:
			r.Readable++
		case c.acknowledged:
			r.Lost++
			r.note("%s does not have %s, which was acknowledged", key.Recipient, key.ID)
		case there:
			r.Unpromised++
		}
		if c.acknowledged {
			r.Acknowledged++
		}
	}
	slices.Sort(r.Details)
	return r
}

func (r *Report) note(format string, args ...any) {
	r.Details = append(r.Details, fmt.Sprintf(format, args...))
}

// Explain gives the first details, at most limit of them.
func (r Report) Explain(limit int) string {
	lines := r.Details
	if len(lines) > limit {
		lines = append(slices.Clone(lines[:limit]), fmt.Sprintf("and %d more", len(r.Details)-limit))
	}
	return strings.Join(lines, "\n")
}
