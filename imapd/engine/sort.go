package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/imapd/order"
	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/uidset"
)

// sort is SORT (RFC 5256, section 3; RFC 5957; RFC 5267 for RETURN; RFC 6203 for RELEVANCY).
func (s *Session) sort(ctx context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.Sort)
	if a.Update && s.context(cmd.Tag) != nil {
		return bad("the tag is that of a result that is kept up to date"), nil
	}
	scores := newRelevancy(a.Relevancy || a.ByRelevancy())
	found, err := s.matchingWhole(ctx, &a.Search, scores)
	if err != nil {
		return reply{}, err
	}
	rows, err := s.rows(ctx, found, a.Criteria, scores)
	if err != nil {
		return reply{}, err
	}
	res := result{session: s, uid: cmd.UID, order: uidsOf(rows), scores: scores}
	if err := s.finish(ctx, &a.Search, found, &res); err != nil {
		return reply{}, err
	}
	if a.Return {
		s.tellESearch(cmd, &a.Search, &res)
	} else {
		s.tellSearch("SORT", &res)
	}
	s.keepContext(cmd, &a.Search, found, &sorting{criteria: a.Criteria, rows: rows})
	return reply{}, nil
}

// row is a message in an order.
type row struct {
	uid index.UID
	key string
}

// compareRows puts messages of the same key in the order of their numbers (RFC 5256, section 3).
func compareRows(a, b row) int {
	return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.uid, b.uid))
}

// rows puts messages in order. Those that are gone meanwhile are left out.
func (s *Session) rows(ctx context.Context, found *uidset.Set, criteria []wire.SortCriterion, scores relevancy) ([]row, error) {
	rows := make([]row, 0, found.Len())
	for batch := range found.Batches(fetchBatch) {
		err := s.box.Messages(ctx, batch, func(m access.Message) error {
			rows = append(rows, row{m.UID, order.Key(&m, scores.of(m.UID), criteria)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(rows, compareRows)
	return rows, nil
}

func uidsOf(rows []row) []index.UID {
	out := make([]index.UID, len(rows))
	for i := range rows {
		out[i] = rows[i].uid
	}
	return out
}

func membersOf(rows []row) *uidset.Set {
	out := uidset.New()
	for i := range rows {
		out.Add(rows[i].uid)
	}
	return out
}
