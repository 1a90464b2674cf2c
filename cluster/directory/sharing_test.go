package directory_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// TestSharingOfManyAccounts: pairs of neighbouring ids, some of which end in ff, do not get into each
// other's way, and a deletion takes exactly its own.
func TestSharingOfManyAccounts(t *testing.T) {
	store, machine := &directorytest.Store{}, directory.New()
	execute := func(c command.Command, err error) error {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		c.Time = time.Unix(1e9, 0)
		data, err := machine.Execute(store, c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = directory.DecodeResult(data)
		return err
	}
	must := func(c command.Command, err error) {
		t.Helper()
		if err := execute(c, err); err != nil {
			t.Fatal(err)
		}
	}
	must(directory.InitialiseCluster(directory.ClusterSpec{ID: "rook", Partitions: 2}))
	must(directory.CreateDomain("example.com", ""))
	const accounts = 260
	for i := range accounts {
		must(directory.CreateAccount(directory.AccountSpec{Address: fmt.Sprintf("u%d@example.com", i)}))
	}
	for id := cluster.AccountID(2); id <= accounts; id++ {
		must(directory.NoteSharing(id, id-1))
		must(directory.NoteSharing(id, id-1)) // again is nothing new
	}
	if execute(directory.NoteSharing(1, accounts+1)) == nil || execute(directory.NoteSharing(accounts+1, 1)) == nil ||
		execute(directory.NoteSharing(0, 1)) == nil || execute(directory.NoteSharing(3, 3)) == nil {
		t.Error("shared with or by nobody, or with oneself")
	}
	must(directory.DeleteAccount(255))
	v := directory.View{R: store}
	for id := cluster.AccountID(1); id < accounts; id++ {
		want := fmt.Sprint([]cluster.AccountID{id + 1})
		if id == 254 || id == 255 {
			want = "[]"
		}
		owners, err := v.SharedBy(id)
		if fmt.Sprint(owners) != want || err != nil {
			t.Errorf("account %d: shared by %v, %v; want %s", id, owners, err, want)
		}
		if known, err := v.Shares(id+1, id); known != (want != "[]") || err != nil {
			t.Errorf("account %d shares with %d: %v, %v", id+1, id, known, err)
		}
	}
}
