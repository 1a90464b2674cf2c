package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/uidset"
)

// minBatch is how many messages a batch has at least, so that nobody has a mailbox told one by one (RFC 10022).
const minBatch = 500

// uidBatches is UIDBATCHES (RFC 10022): ranges of UIDs, the highest first, that have as many messages each as were
// asked for, and together all UIDs from the highest in use down to 1. The last may have fewer messages. The
// result that SEARCH saved stays.
func (s *Session) uidBatches(_ context.Context, cmd *wire.Command) (reply, error) {
	a := cmd.Args.(*wire.UIDBatches)
	switch {
	case a.Size < minBatch:
		return reply{kind: wire.NO, code: "TOOFEW", text: "a batch has 500 messages at least"}, nil
	case a.From > a.To:
		return reply{kind: wire.BAD, code: "CLIENTBUG", text: "batches are asked for from the first to the last"}, nil
	}
	s.w.Raw(`* UIDBATCHES (TAG "`)
	s.w.Raw(cmd.Tag)
	s.w.Raw(`")`)
	separator := byte(' ')
	for hi, lo := range batches(s.view.UIDs(), a) {
		s.w.Byte(separator)
		s.w.Num(uint64(hi))
		s.w.Byte(':')
		s.w.Num(uint64(lo))
		separator = ','
	}
	s.w.CRLF()
	return reply{}, nil
}

// batches gives the ranges of the batches that were asked for, each from its highest UID to its lowest.
func batches(uids *uidset.Set, a *wire.UIDBatches) func(yield func(hi, lo uint32) bool) {
	return func(yield func(hi, lo uint32) bool) {
		size, n := uint64(a.Size), uint64(uids.Len())
		from, to := uint64(1), (n+size-1)/size
		if a.From > 0 {
			from, to = uint64(a.From), min(uint64(a.To), to)
		}
		// lowest is the lowest UID of a batch; all but the last begin right above the next.
		lowest := func(batch uint64) uint32 {
			if batch*size >= n {
				return 1
			}
			u, _ := uids.At(int(n - batch*size + 1))
			return uint32(u)
		}
		for b := from; b <= to; b++ {
			hi := uint32(uids.Max())
			if b > 1 {
				hi = lowest(b-1) - 1
			}
			if !yield(hi, lowest(b)) {
				return
			}
		}
	}
}
