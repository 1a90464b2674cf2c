package wire

import (
	"math"
	"strings"
)

// flagKey gives the keys that have no argument.
func flagKey(word string) (SearchKey, bool) {
	flag := func(name string) (SearchKey, bool) { return SearchKey{Op: SearchFlag, Text: name}, true }
	unflag := func(name string) (SearchKey, bool) { return not(SearchKey{Op: SearchFlag, Text: name}), true }
	switch word {
	case "ALL", "OLD", "SAVEDATESUPPORTED":
		return SearchKey{Op: SearchAll}, true
	case "NEW", "RECENT":
		return SearchKey{Op: SearchNone}, true
	case "ANSWERED":
		return flag(`\Answered`)
	case "DELETED":
		return flag(`\Deleted`)
	case "DRAFT":
		return flag(`\Draft`)
	case "FLAGGED":
		return flag(`\Flagged`)
	case "SEEN":
		return flag(`\Seen`)
	case "UNANSWERED":
		return unflag(`\Answered`)
	case "UNDELETED":
		return unflag(`\Deleted`)
	case "UNDRAFT":
		return unflag(`\Draft`)
	case "UNFLAGGED":
		return unflag(`\Flagged`)
	case "UNSEEN":
		return unflag(`\Seen`)
	}
	return SearchKey{}, false
}

// dateOp gives the keys that take a date.
func dateOp(word string) (SearchOp, bool) {
	switch word {
	case "BEFORE":
		return SearchBefore, true
	case "ON":
		return SearchOn, true
	case "SINCE":
		return SearchSince, true
	case "SENTBEFORE":
		return SearchSentBefore, true
	case "SENTON":
		return SearchSentOn, true
	case "SENTSINCE":
		return SearchSentSince, true
	case "SAVEDBEFORE":
		return SearchSavedBefore, true
	case "SAVEDON":
		return SearchSavedOn, true
	case "SAVEDSINCE":
		return SearchSavedSince, true
	}
	return SearchAll, false
}

// valueKey reads the keys with a date, a number or a string.
func (r *Reader) valueKey(word string) SearchKey {
	if op, ok := dateOp(word); ok {
		return SearchKey{Op: op, Date: r.date()}
	}
	switch word {
	case "LARGER":
		return SearchKey{Op: SearchLarger, N: r.number63()}
	case "SMALLER":
		return SearchKey{Op: SearchSmaller, N: r.number63()}
	case "OLDER":
		return SearchKey{Op: SearchOlder, N: uint64(r.nzNumber32())}
	case "YOUNGER":
		return SearchKey{Op: SearchYounger, N: uint64(r.nzNumber32())}
	case "UIDAFTER": // RFC 9738, section 3.2, as the next
		return uidsBetween(uint64(r.nzNumber32())+1, math.MaxUint32)
	case "UIDBEFORE":
		return uidsBetween(1, uint64(r.nzNumber32())-1)
	case "BCC", "CC", "FROM", "SUBJECT", "TO":
		return SearchKey{Op: SearchHeader, Field: strings.ToLower(word), Text: r.astring()}
	case "HEADER":
		key := SearchKey{Op: SearchHeader, Field: strings.ToLower(r.astring())}
		r.sp()
		key.Text = r.astring()
		return key
	case "EMAILID":
		return SearchKey{Op: SearchEmailID, Text: r.atom()}
	case "THREADID":
		r.atom()
		return SearchKey{Op: SearchNone}
	case "BODY":
		return SearchKey{Op: SearchBody, Text: r.astring()}
	case "TEXT":
		return SearchKey{Op: SearchText, Text: r.astring()}
	}
	r.fail("unknown search key %.30s", word)
	return SearchKey{}
}

// uidsBetween is the key of a range of UIDs, both ends included, that may be empty.
func uidsBetween(lo, hi uint64) SearchKey {
	if lo > hi {
		return SearchKey{Op: SearchNone}
	}
	return SearchKey{Op: SearchUID, Set: NumSet{Ranges: []NumRange{{Lo: uint32(lo), Hi: uint32(hi)}}}}
}

// modSeqKey reads MODSEQ ["/flags/name" all|priv|shared] n; flags have one modification sequence
// together, so that the entry says nothing more (RFC 7162, section 3.1.5).
func (r *Reader) modSeqKey() SearchKey {
	if r.peek() == '"' {
		r.quoted()
		r.sp()
		switch t := r.word(); t {
		case "ALL", "PRIV", "SHARED":
		default:
			r.fail("unknown entry type %.30s", t)
		}
		r.sp()
	}
	return SearchKey{Op: SearchModSeq, N: r.number63()}
}
