package raftlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "rewrite golden files")

// samples are entries of each shape.
func samples() []raft.Log {
	return []raft.Log{
		{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: []byte("configuration")},
		{Index: 2, Term: 300, Type: raft.LogNoop, AppendedAt: time.Unix(1750000000, 123).UTC()},
		{Index: 1 << 40, Term: 1 << 50, Type: raft.LogCommand, Data: []byte("command"), Extensions: []byte("ext"), AppendedAt: time.Unix(1750000000, 0).UTC()},
	}
}

func encodeEntry(l *raft.Log) []byte {
	return append(append(entryHead(nil, l), l.Extensions...), l.Data...)
}

func TestGolden(t *testing.T) {
	var got bytes.Buffer
	for _, l := range samples() {
		fmt.Fprintf(&got, "entry %x %s\n", entryKey(3, l.Index), hex.EncodeToString(encodeEntry(&l)))
	}
	s := Snapshot{Index: 300, Term: 2, ConfigurationIndex: 7, Pending: true, Reach: 301, Configuration: raft.Configuration{
		Servers: []raft.Server{{Suffrage: raft.Voter, ID: "n1", Address: "10.0.0.1:7000"}},
	}}
	fmt.Fprintf(&got, "stable %x\nsnapshot %x %x\n", key(3, stableKind, []byte("CurrentTerm")...), key(3, snapshotKind), s.encode())
	const path = "testdata/v1.txt"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("durable bytes changed:\n%s\nwant\n%s", got.Bytes(), want)
	}
	back, err := decodeSnapshot(s.encode())
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("snapshot record came back as %+v, %v", back, err)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	for _, want := range samples() {
		got := raft.Log{Index: want.Index, Data: []byte("old"), Extensions: []byte("old")}
		if err := decodeEntry(encodeEntry(&want), &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v came back as %+v", want, got)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	for _, l := range samples() {
		f.Add(encodeEntry(&l))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l, again raft.Log
		if err := decodeEntry(b, &l); err != nil {
			if !errors.Is(err, errEntry) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if err := decodeEntry(encodeEntry(&l), &again); err != nil || !reflect.DeepEqual(l, again) {
			t.Errorf("%+v came back as %+v, %v", l, again, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(Snapshot{Index: 300, Term: 2, ConfigurationIndex: 7}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeSnapshot(b)
		if err != nil {
			if !errors.Is(err, errSnapshot) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if again, err := decodeSnapshot(s.encode()); err != nil || again.Index != s.Index || again.Reach != s.Reach {
			t.Errorf("%+v came back as %+v, %v", s, again, err)
		}
	})
}
