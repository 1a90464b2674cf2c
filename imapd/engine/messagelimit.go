package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// partly is the lowest UID that a command worked on where the limit has left others below it out, and 0 where
// nothing was left out (RFC 9738, section 3.1).
type partly index.UID

// limitError refuses a command that would work on more messages than the limit, and on none of them therefore.
type limitError struct {
	limit  int
	lowest index.UID // with the messages from this UID up it would not have been too many; 0 is not known
}

func (e *limitError) Error() string {
	return "more than " + strconv.Itoa(e.limit) + " messages in one command"
}

func (e *limitError) code() string { return limitCode(e.limit, e.lowest) }

// limitCode is the MESSAGELIMIT response code; a lowest of 0 is left out (RFC 9738, section 5).
func limitCode(limit int, lowest index.UID) string {
	if lowest == 0 {
		return "MESSAGELIMIT " + strconv.Itoa(limit)
	}
	return fmt.Sprintf("MESSAGELIMIT %d %d", limit, lowest)
}

// limitCapability is what tells of the limit, empty where there is none (RFC 9738, section 3).
func (s *Session) limitCapability() string {
	switch {
	case s.c.MessageLimit > 0:
		return "MESSAGELIMIT=" + strconv.Itoa(s.c.MessageLimit)
	case s.c.SaveLimit > 0:
		return "SAVELIMIT=" + strconv.Itoa(s.c.SaveLimit)
	}
	return ""
}

// saves is how many messages one COPY or APPEND takes, 0 where that is not limited.
func (c *Config) saves() int { return max(c.MessageLimit, c.SaveLimit) }

// highest gives those of uids that a command may work on: all, or those of the highest UIDs.
func (s *Session) highest(uids *uidset.Set) (*uidset.Set, partly) {
	n := uids.Len()
	if s.c.MessageLimit == 0 || n <= s.c.MessageLimit {
		return uids, 0
	}
	top := between(uids, n-s.c.MessageLimit+1, n)
	return top, partly(top.Min())
}

// highestDeleted is highest for UID EXPUNGE, which counts the messages that are \Deleted.
func (s *Session) highestDeleted(ctx context.Context, uids *uidset.Set) (*uidset.Set, partly, error) {
	if s.c.MessageLimit == 0 || uids.Len() <= s.c.MessageLimit {
		return uids, 0, nil
	}
	deleted := uidset.New()
	err := s.box.Flags(ctx, uids, func(u index.UID, st index.FlagState) error {
		if st.System&index.FlagDeleted != 0 {
			deleted.Add(u)
		}
		return nil
	})
	top, part := s.highest(deleted)
	if part == 0 { // the store may know of more that are \Deleted than this replica does
		top = uids
	}
	return top, part, err
}

// matchingHighest is matching for SEARCH. The messages that are searched count, not those that match.
func (s *Session) matchingHighest(ctx context.Context, a *wire.Search, scores relevancy) (*uidset.Set, partly, error) {
	k, err := s.program(a)
	if err != nil {
		return nil, 0, err
	}
	among, part := s.view.UIDs(), partly(0)
	if s.exceeds(among) {
		among, part = s.highest(k.narrow(among))
	}
	found, err := s.find(ctx, &k, among, scores)
	return found, part, err
}

// matchingWhole is matching for SORT and THREAD, which would put part of the messages into an order that is not that
// of all (RFC 9738, section 3.3).
func (s *Session) matchingWhole(ctx context.Context, a *wire.Search, scores relevancy) (*uidset.Set, error) {
	k, err := s.program(a)
	if err != nil {
		return nil, err
	}
	among := s.view.UIDs()
	if s.exceeds(among) {
		if among = k.narrow(among); s.exceeds(among) {
			return nil, &limitError{limit: s.c.MessageLimit}
		}
	}
	return s.find(ctx, &k, among, scores)
}

func (s *Session) exceeds(uids *uidset.Set) bool {
	return s.c.MessageLimit > 0 && uids.Len() > s.c.MessageLimit
}

// partial adds to the outcome of a command up to where it worked: in its response code, or in an untagged NO where it
// has one already (RFC 9738, section 3.1).
func (s *Session) partial(p partly, rep reply, err error) (reply, error) {
	expunged := errors.Is(err, errExpunged)
	if p == 0 || err != nil && !expunged && !errors.Is(err, errUnknownCTE) {
		return rep, err
	}
	code, text := limitCode(s.c.MessageLimit, index.UID(p)), "done for the messages of the highest UIDs, ask again for the others"
	if err == nil && rep.code == "" {
		return ok(code, text), nil
	}
	s.w.StatusLine("*", wire.NO, code, text)
	if expunged {
		return ok("EXPUNGEISSUED", errExpunged.Error()), nil
	}
	return rep, err
}

// downward gives the members in sets of n, those of the highest UIDs first; the last may have fewer. The set must not
// change meanwhile.
func downward(set *uidset.Set, n int) iter.Seq[*uidset.Set] {
	return func(yield func(*uidset.Set) bool) {
		for hi := set.Len(); hi > 0; hi -= n {
			if !yield(between(set, max(hi-n+1, 1), hi)) {
				return
			}
		}
	}
}
