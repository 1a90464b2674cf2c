package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rookery-mail/rookery/deploy/harness"
)

// audit counts how promises were kept, over all accounts as read through one node or several.
type audit struct {
	acknowledged int           // messages and copies that a server promised
	readable     int           // of these, there as they should be
	expunged     int           // of these, gone as they should be or may be
	lost         int           // of these, not there though they should be, or with other content
	duplicated   int           // there more often than once, or again after an expunge
	misplaced    int           // in another mailbox than they should be
	flagsWrong   int           // with other flags than acknowledged
	strange      int           // never sent
	unknown      int           // operations without a reply
	groups       int           // whose replicas are equal
	worstGap     time.Duration // without an accepted message, outages included
	details      []string
}

// String is the ledger's line.
func (a *audit) String() string {
	return fmt.Sprintf("acknowledged=%d readable=%d expunged=%d lost=%d duplicated=%d misplaced=%d flags_wrong=%d strange=%d unknown_outcomes=%d groups_equal=%d longest_accept_gap_ms=%d",
		a.acknowledged, a.readable, a.expunged, a.lost, a.duplicated, a.misplaced, a.flagsWrong, a.strange, a.unknown, a.groups, a.worstGap.Milliseconds())
}

// good reports whether every promise was kept.
func (a *audit) good() bool {
	return a.lost == 0 && a.duplicated == 0 && a.misplaced == 0 && a.flagsWrong == 0 && a.strange == 0
}

// explain gives the first details.
func (a *audit) explain(limit int) string {
	slices.Sort(a.details)
	lines := a.details
	if len(lines) > limit {
		lines = append(slices.Clone(lines[:limit]), fmt.Sprintf("and %d more", len(a.details)-limit))
	}
	return strings.Join(lines, "\n")
}

func (a *audit) note(count *int, format string, args ...any) {
	*count++
	a.details = append(a.details, fmt.Sprintf(format, args...))
}

// check holds what was read of one account through a node against its book.
func (a *audit) check(b *book, node string, found []harness.Found) {
	b.mu.Lock()
	defer b.mu.Unlock()
	originals, inCopies := map[string][]harness.Found{}, map[string][]harness.Found{}
	for _, f := range found {
		switch {
		case b.items[f.ID] == nil:
			a.note(&a.strange, "%s: %s has %s in %s, which nobody sent", node, b.address, f.ID, f.Mailbox)
		case f.Mailbox == copies:
			inCopies[f.ID] = append(inCopies[f.ID], f)
		default:
			originals[f.ID] = append(originals[f.ID], f)
		}
	}
	for id, it := range b.items {
		a.checkOriginal(fmt.Sprintf("%s: %s of %s", node, id, b.address), it, originals[id])
		a.checkCopy(fmt.Sprintf("%s: the copy of %s of %s", node, id, b.address), it, inCopies[id])
	}
}

func (a *audit) checkOriginal(name string, it *item, found []harness.Found) {
	if it.acknowledged {
		a.acknowledged++
	}
	mayBeGone := slices.Contains(it.places, nowhere)
	switch {
	case len(found) == 0 && mayBeGone:
		if it.acknowledged {
			a.expunged++
		}
		return
	case len(found) == 0:
		a.note(&a.lost, "%s is not there; it should be in %q", name, it.places)
		return
	case len(found) > 1:
		a.note(&a.duplicated, "%s is there %d times: %s UID %d, %s UID %d", name, len(found),
			found[0].Mailbox, found[0].UID, found[1].Mailbox, found[1].UID)
		return
	}
	f := found[0]
	switch {
	case f.Digest != it.digest:
		a.note(&a.lost, "%s has other content", name)
	case len(it.places) == 1 && mayBeGone:
		a.note(&a.duplicated, "%s was expunged and is in %s again", name, f.Mailbox)
	case !slices.Contains(it.places, f.Mailbox):
		a.note(&a.misplaced, "%s is in %s; it should be in %q", name, f.Mailbox, it.places)
	default:
		if it.acknowledged {
			a.readable++
		}
		a.checkFlags(name, it, f)
	}
}

func (a *audit) checkFlags(name string, it *item, f harness.Found) {
	for flag, want := range it.flags {
		if is := slices.Contains(f.Flags, strings.ToLower(flag)); !want.allows(is) {
			a.note(&a.flagsWrong, "%s in %s (UID %d) has the flags %v; %s should be %v", name, f.Mailbox, f.UID, f.Flags, flag, want == yes)
		}
	}
}

func (a *audit) checkCopy(name string, it *item, found []harness.Found) {
	if it.copied == yes {
		a.acknowledged++
	}
	switch {
	case len(found) > 1 || len(found) == 1 && it.copied == no:
		a.note(&a.duplicated, "%s is there %d times", name, len(found))
	case len(found) == 0 && it.copied == yes:
		a.note(&a.lost, "%s is not there", name)
	case len(found) == 1 && found[0].Digest != it.digest:
		a.note(&a.lost, "%s has other content", name)
	case it.copied == yes:
		a.readable++
	}
}

// join adds what another node shows: its faults count, and what is readable is readable everywhere.
func (a *audit) join(other *audit) {
	a.readable = min(a.readable, other.readable)
	a.lost += other.lost
	a.duplicated += other.duplicated
	a.misplaced += other.misplaced
	a.flagsWrong += other.flagsWrong
	a.strange += other.strange
	a.details = append(a.details, other.details...)
}
