package packing_test

import (
	"cmp"
	"reflect"
	"slices"
	"testing"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/index/mailstore"
)

func TestEntriesAreAsTheyWerePacked(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.deliver(50, 2)
		w.deliver(300<<10, 4)
	}
	w.on()
	want := entries(must[*blobstore.Manifest](t)(w.part.Pick(t.Context(), 1<<40, 1<<20)))
	n := w.pack()
	w.deliver(70, 2) // staged
	byBody := func(a, b blobstore.Entry) int { return cmp.Compare(a.Body, b.Body) }
	slices.SortFunc(want, byBody)
	for name, ids := range map[string][]uint64{"all": nil, "asked for": {99, 7, 6, 5, 4, 3, 2, 1}} {
		got := must[[]blobstore.Entry](t)(w.part.Entries(t.Context(), n, ids))
		slices.SortFunc(got, byBody)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	if got := must[[]blobstore.Entry](t)(w.part.Entries(t.Context(), n, []uint64{2})); len(got) != 1 || got[0].Body != 2 {
		t.Errorf("one: %+v", got)
	}
	expunge(t, must[*mailstore.Mailbox](t)(w.store.Account(2).Open(t.Context(), "INBOX")), 1)
	if got := must[[]blobstore.Entry](t)(w.part.Entries(t.Context(), n, nil)); len(got) != len(want)-1 {
		t.Errorf("after one is expunged: %+v", got)
	}
}
