package mailbox

import (
	"fmt"

	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/keys"
	"github.com/rookery-mail/rookery/index/uidset"
)

// selectUIDs returns the UIDs of m that are in ranges, ascending. Ranges must ascend and not
// overlap, and select MaxMessages at most.
func (x *Execution) selectUIDs(m *mailboxState, ranges []*indexpb.UIDRange) ([]index.UID, *indexpb.Result, error) {
	last := uint32(0)
	for _, r := range ranges {
		if r == nil || r.Lo <= last || r.Hi < r.Lo {
			return nil, refuse(indexpb.Code_CODE_INVALID, "UID ranges do not ascend"), nil
		}
		last = r.Hi
	}
	if len(ranges) == 0 {
		return nil, nil, nil
	}
	uids, err := x.walkBlocks(m, ranges)
	if err != nil {
		return nil, nil, fmt.Errorf("select UIDs of mailbox %d of account %d: %w", m.id, m.account.id, err)
	}
	if len(uids) > MaxMessages {
		return nil, refuse(indexpb.Code_CODE_INVALID, "more than %d messages in one command", MaxMessages), nil
	}
	return uids, nil, nil
}

// walkBlocks intersects ascending ranges with the stored blocks, in one pass over both. It stops
// early once there are too many.
func (x *Execution) walkBlocks(m *mailboxState, ranges []*indexpb.UIDRange) (uids []index.UID, err error) {
	a := m.account.id
	prefix := keys.InMailbox(nil, keys.TableUIDs, a, m.id)
	it, err := x.b.Scan(prefix, keys.After(nil, prefix))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	ok := it.SeekGE(keys.Block(nil, keys.TableUIDs, a, m.id, uidset.BlockOf(index.UID(ranges[0].Lo))))
	for ok && len(ranges) > 0 && len(uids) <= MaxMessages {
		n, err := keys.LastField(it.Key())
		if err != nil {
			return nil, err
		}
		for len(ranges) > 0 && uidset.BlockOf(index.UID(ranges[0].Hi)) < n {
			ranges = ranges[1:]
		}
		if len(ranges) == 0 {
			break
		}
		if next := uidset.BlockOf(index.UID(ranges[0].Lo)); next > n {
			ok = it.SeekGE(keys.Block(nil, keys.TableUIDs, a, m.id, next))
			continue
		}
		value, err := it.Value()
		if err != nil {
			return nil, err
		}
		block, err := uidset.DecodeBlock(value)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w: %w", n, err, ErrCorrupt)
		}
		for len(ranges) > 0 && uidset.BlockOf(index.UID(ranges[0].Lo)) <= n {
			uids = block.AppendUIDs(uids, n, index.UID(ranges[0].Lo), index.UID(ranges[0].Hi))
			if uidset.BlockOf(index.UID(ranges[0].Hi)) > n {
				break // goes on in the next block
			}
			ranges = ranges[1:]
		}
		ok = nextBlock(it, keys.TableUIDs, a, m.id, n)
	}
	return uids, it.Error()
}

// ranges returns ascending UIDs as the fewest ranges.
func ranges(uids []index.UID) (out []*indexpb.UIDRange) {
	for _, u := range uids {
		if n := len(out); n > 0 && out[n-1].Hi+1 == uint32(u) {
			out[n-1].Hi++
			continue
		}
		out = append(out, &indexpb.UIDRange{Lo: uint32(u), Hi: uint32(u)})
	}
	return out
}
