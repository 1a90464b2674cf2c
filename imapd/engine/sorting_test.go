package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/uidset"
)

// TestSorting: pieces are as long as they can be, and at the positions that they have when their turn comes.
func TestSorting(t *testing.T) {
	rowsOf := func(names string) (rows []row) {
		for _, n := range names {
			rows = append(rows, row{index.UID(n), string(n)})
		}
		return rows
	}
	show := func(pieces []piece) string {
		var b strings.Builder
		for _, p := range pieces {
			fmt.Fprintf(&b, "%d:", p.at)
			for _, r := range p.rows {
				b.WriteString(r.key)
			}
			b.WriteByte(' ')
		}
		return b.String()
	}
	o := &sorting{}
	if got := show(o.add(rowsOf("bcfg"))); got != "1:bcfg " {
		t.Error("the first:", got)
	}
	if got := show(o.add(rowsOf("adehi"))); got != "1:a 4:de 8:hi " {
		t.Error("some more:", got)
	}
	if got := show(o.remove(membersOf(rowsOf("abehiz")))); got != "8:hi 5:e 1:ab " {
		t.Error("some leave:", got)
	}
	if got := show([]piece{{1, o.rows}}); got != "1:cdfg " {
		t.Error("left are", got)
	}
	if got := o.add(nil); got != nil {
		t.Error("nothing makes", got)
	}
	if got := o.remove(uidset.New()); got != nil {
		t.Error("nothing leaves", got)
	}
}

// TestKeepable: an order that is too large, or that may change by itself, is not kept.
func TestKeepable(t *testing.T) {
	o := &sorting{criteria: []wire.SortCriterion{{By: wire.SortSubject}}, rows: make([]row, maxSorting/rowSize)}
	if !o.keepable() {
		t.Error("not as many as fit")
	}
	o.rows[7].key = strings.Repeat("x", rowSize)
	if o.keepable() {
		t.Error("more than fit")
	}
	o = &sorting{criteria: []wire.SortCriterion{{By: wire.SortDate}, {By: wire.SortRelevancy, Reverse: true}}}
	if o.keepable() {
		t.Error("how relevant messages are")
	}
}
