package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/rookery-mail/rookery/imapd/order"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// sort is SORT (RFC 5256, section 3; RFC 5957; RFC 5267 for RETURN).
func (s *Session) sort(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Sort)
	if a.Update { // there is no CONTEXT=SORT
		s.refuseContext(cmd.Tag)
	}
	found, err := s.matchingWhole(ctx, &a.Search)
	if err != nil {
		return reply{}, err
	}
	sorted, err := s.sorted(ctx, found, a.Criteria)
	if err != nil {
		return reply{}, err
	}
	res := result{session: s, uid: cmd.UID, order: sorted}
	if err := s.finish(ctx, &a.Search, found, &res); err != nil {
		return reply{}, err
	}
	if a.Return {
		s.tellESearch(cmd, &a.Search, &res)
	} else {
		s.tellSearch("SORT", &res)
	}
	return reply{}, nil
}

// sorted puts messages in order. Those that are gone meanwhile are left out.
func (s *Session) sorted(ctx context.Context, found *uidset.Set, criteria []wire.SortCriterion) ([]index.UID, error) {
	type row struct {
		uid index.UID
		key string
	}
	rows := make([]row, 0, found.Len())
	for batch := range found.Batches(fetchBatch) {
		err := s.box.Messages(ctx, batch, func(m access.Message) error {
			rows = append(rows, row{m.UID, order.Key(&m, criteria)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	out := make([]index.UID, len(rows))
	for i := range rows {
		out[i] = rows[i].uid
	}
	return out, nil
}
