package directory_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// readAll makes every read there is, and returns the first error that is none of the expected.
func readAll(v directory.View) error {
	var errs []error
	note := func(err error) {
		for _, expected := range []error{directory.ErrNotFound, directory.ErrNoDomain, directory.ErrNoUser, directory.ErrNotInitialised} {
			if errors.Is(err, expected) {
				return
			}
		}
		errs = append(errs, err)
	}
	_, err := v.Cluster()
	note(err)
	_, err = v.Settings()
	note(err)
	_, err = v.Domains()
	note(err)
	_, err = v.Accounts("", "", 0)
	note(err)
	_, err = v.Aliases("", "", 0)
	note(err)
	_, err = v.Nodes()
	note(err)
	_, err = v.JoinTokens()
	note(err)
	_, err = v.APITokens()
	note(err)
	_, err = v.PartitionMap()
	note(err)
	_, err = v.Annotations()
	note(err)
	_, err = v.Resolve("all@xn--bcher-kva.example")
	note(err)
	_, err = v.Resolve("postmaster@xn--bcher-kva.example")
	note(err)
	return errors.Join(errs...)
}

// full is a store with a record of every kind.
func full(f *testing.F) *directorytest.Store {
	store, machine := &directorytest.Store{}, directory.New()
	for _, c := range every(&testing.T{}) {
		c.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		if _, err := machine.Execute(store, c); err != nil {
			f.Fatal(err)
		}
	}
	return store
}

// FuzzExecute holds that no payload breaks the machine: it is executed or refused, a refusal writes
// nothing, and all can be read afterwards.
func FuzzExecute(f *testing.F) {
	base := full(f)
	for _, c := range every(&testing.T{}) {
		f.Add(uint16(c.Kind), c.Payload)
	}
	f.Fuzz(func(t *testing.T, kind uint16, payload []byte) {
		if _, known := command.Kind(kind).Since(); !known || kind>>8 != 1 {
			kind = uint16(command.PutDomain) + kind%uint16(command.InitialiseCluster-command.PutDomain+1)
		}
		for _, start := range []*directorytest.Store{{}, base} {
			store := start.Snapshot()
			before := dump(store)
			result, err := directory.New().Execute(store, command.Command{Kind: command.Kind(kind), Payload: payload, Time: time.Unix(1e9, 0)})
			if err != nil {
				t.Fatalf("the group would stop: %v", err)
			}
			if _, err := directory.DecodeResult(result); err != nil && !bytes.Equal(before, dump(store)) {
				t.Fatalf("refused, but wrote: %v", err)
			}
			if err := readAll(directory.View{R: store}); err != nil {
				t.Fatalf("after it: %v", err)
			}
		}
	})
}

// FuzzRecords holds that a broken value under any key gives ErrCorrupt, not a panic.
func FuzzRecords(f *testing.F) {
	base := full(f)
	f.Add(uint(0), []byte{})
	f.Add(uint(7), []byte{0x0a, 0xff})
	it, err := base.Scan(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	var keys [][]byte
	for valid := it.First(); valid; valid = it.Next() {
		value, _ := it.Value()
		f.Add(uint(len(keys)), value)
		keys = append(keys, it.Key())
	}
	f.Fuzz(func(t *testing.T, which uint, value []byte) {
		store := base.Snapshot()
		if err := store.Set(keys[which%uint(len(keys))], value); err != nil {
			t.Fatal(err)
		}
		if err := readAll(directory.View{R: store}); err != nil && !errors.Is(err, directory.ErrCorrupt) {
			t.Fatalf("key %x: %v", keys[which%uint(len(keys))], err)
		}
		if _, err := directory.DecodeResult(value); err != nil && !errors.Is(err, directory.ErrCorrupt) {
			var refusal *directory.Refusal
			if !errors.As(err, &refusal) {
				t.Fatal(err)
			}
		}
	})
}
