package order

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rookery-mail/rookery/imapd/wire"
	"github.com/rookery-mail/rookery/index/access"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// TestKey: comparing keys is comparing the criteria one after the other.
func TestKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (access.Message, string, int64, uint64, int) {
			from := rapid.StringMatching("[AB]{0,3}").Draw(t, name)
			arrived := rapid.Int64Range(-3, 3).Draw(t, name)
			size := rapid.Uint64Range(0, 1000).Draw(t, name)
			e := &indexpb.Envelope{From: []*indexpb.Address{{Mailbox: []byte(from), Host: []byte("x")}}}
			encoded, err := e.MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			return access.Message{InternalDate: time.UnixMilli(arrived), Size: size, EncodedEnvelope: encoded}, from, arrived, size,
				rapid.IntRange(1, 100).Draw(t, name)
		}
		a, fromA, arrivedA, sizeA, relevancyA := draw("a")
		b, fromB, arrivedB, sizeB, relevancyB := draw("b")
		var criteria []wire.SortCriterion
		want := 0
		for range rapid.IntRange(1, 3).Draw(t, "criteria") {
			c := wire.SortCriterion{
				By:      rapid.SampledFrom([]wire.SortBy{wire.SortFrom, wire.SortArrival, wire.SortSize, wire.SortRelevancy}).Draw(t, "by"),
				Reverse: rapid.Bool().Draw(t, "reverse"),
			}
			criteria = append(criteria, c)
			var less, more bool
			switch c.By {
			case wire.SortFrom:
				less, more = fromA < fromB, fromA > fromB
			case wire.SortArrival:
				less, more = arrivedA < arrivedB, arrivedA > arrivedB
			case wire.SortRelevancy:
				less, more = relevancyA > relevancyB, relevancyA < relevancyB
			default:
				less, more = sizeA < sizeB, sizeA > sizeB
			}
			if c.Reverse {
				less, more = more, less
			}
			switch {
			case want != 0:
			case less:
				want = -1
			case more:
				want = 1
			}
		}
		if got := slices.Compare([]byte(Key(&a, relevancyA, criteria)), []byte(Key(&b, relevancyB, criteria))); got != want {
			t.Fatalf("%v: compared %d, want %d", criteria, got, want)
		}
	})
}
