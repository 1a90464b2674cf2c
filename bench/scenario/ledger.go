package scenario

import (
	"context"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/bench/load"
	"github.com/rookery-mail/rookery/bench/site"
)

// ledger holds what a server has acknowledged against what can be read afterwards.
type ledger struct {
	accepted map[string]bool // by Message-ID
}

// verify reads the accounts' INBOXes and fills in the figures: accepted, lost and doubled messages.
func (l ledger) verify(ctx context.Context, s site.Site, accounts []load.Login, r *Result) error {
	seen := map[string]int{}
	for _, a := range accounts {
		if err := readIDs(ctx, s.IMAP()[0], a, seen); err != nil {
			return fmt.Errorf("read back %s: %w", a.Address, err)
		}
	}
	lost, doubled := 0, 0
	for id := range l.accepted {
		if seen[id] == 0 {
			lost++
		}
	}
	for _, n := range seen {
		doubled += max(0, n-1)
	}
	r.add("accepted", float64(len(l.accepted)))
	r.add("lost", float64(lost))
	r.add("doubled", float64(doubled))
	if lost > 0 {
		r.Broken = append(r.Broken, fmt.Sprintf("%d acknowledged messages cannot be read", lost))
	}
	if doubled > 0 {
		r.Broken = append(r.Broken, fmt.Sprintf("%d messages are there twice", doubled))
	}
	return nil
}

// readIDs counts the Message-IDs of one INBOX.
func readIDs(ctx context.Context, door load.Door, a load.Login, seen map[string]int) error {
	c, err := load.DialIMAP(ctx, door, a)
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := c.Count("INBOX")
	if err != nil || n == 0 {
		return err
	}
	if _, err := c.Do("EXAMINE INBOX"); err != nil {
		return err
	}
	_, err = c.Each("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])", func(_ string, literals [][]byte) {
		for _, field := range literals {
			if _, id, ok := strings.Cut(string(field), ":"); ok {
				seen[strings.TrimSpace(id)]++
			}
		}
	})
	return err
}
