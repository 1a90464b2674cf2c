package entries

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func appends() map[string]Append {
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("10.0.0.1:7700")}
	return map[string]Append{
		"commit": {Seq: 1, Group: 0, Args: &raft.AppendEntriesRequest{RPCHeader: header, Leader: []byte("n1@10.0.0.1:7700"),
			Term: 7, PrevLogEntry: 1000, PrevLogTerm: 6, LeaderCommitIndex: 999}},
		"entries": {Seq: 300, Group: 300, Args: &raft.AppendEntriesRequest{RPCHeader: header,
			Term: 1 << 40, PrevLogEntry: 1000, PrevLogTerm: 6, LeaderCommitIndex: 999, Entries: []*raft.Log{
				{Index: 1001, Term: 7, Type: raft.LogCommand, Data: []byte("a command"), AppendedAt: time.Unix(1800000000, 7).UTC()},
				{Index: 1002, Term: 7, Type: raft.LogNoop},
				{Index: 1003, Term: 7, Type: raft.LogConfiguration, Data: bytes.Repeat([]byte("x"), 200), Extensions: []byte("more")}}}},
	}
}

func answers() map[string]Answer {
	return map[string]Answer{
		"answered": {Seq: 1, Term: 7, LastLog: 1000, Success: true},
		"refused":  {Seq: 2, Term: 8, NoRetryBackoff: true},
		"not-here": {Seq: 3, Status: StatusNotHere},
		"failed":   {Seq: 300, Status: StatusFailed, Text: "disk full"},
	}
}

// golden holds the bytes of a frame against those of its file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+"-v1.golden")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: % x, want % x", name, got, want)
	}
}

// TestGolden holds the bytes of version 1: nodes of other builds read them.
func TestGolden(t *testing.T) {
	for name, a := range appends() {
		raw := a.append(nil)
		golden(t, name, raw)
		if back, err := readAppend(bytes.NewReader(raw)); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%s: read %+v, %v; want %+v", name, back.Args, err, a.Args)
		}
	}
	for name, a := range answers() {
		raw := a.append(nil)
		golden(t, name, raw)
		if back, err := readAnswer(bytes.NewReader(raw)); err != nil || back != a {
			t.Errorf("%s: read %+v, %v; want %+v", name, back, err, a)
		}
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	whole := appends()["entries"].append(nil)
	with := func(at int, b byte) []byte {
		c := bytes.Clone(whole)
		c[at] = b
		return c
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"too long":         {with(1, 0xff), ErrFrame},
		"too short":        {[]byte{0, 0, 0, 1, Version, typeAppend}, ErrFrame},
		"another version":  {with(4, Version+1), ErrFrame},
		"another type":     {with(5, typeAnswer), ErrFrame},
		"bytes left over":  {append(with(3, whole[3]+1), 0), ErrFrame},
		"cut short":        {whole[:len(whole)-1], io.ErrUnexpectedEOF},
		"nothing":          {nil, io.EOF},
		"a length beyond":  {[]byte{0, 0, 0, 6, Version, typeAppend, 1, 1, 3, 100}, ErrFrame},
		"too many entries": {[]byte{0, 0, 0, 13, Version, typeAppend, 1, 1, 3, 0, 0, 0, 1, 1, 1, 1, 99}, ErrFrame},
	} {
		if _, err := readAppend(bytes.NewReader(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for name, raw := range map[string][]byte{
		"status":  {0, 0, 0, 4, Version, typeAnswer, 1, 3},
		"flags":   {0, 0, 0, 7, Version, typeAnswer, 1, 0, 1, 1, 4},
		"text":    {0, 0, 0, 5, Version, typeAnswer, 1, 2, 9},
		"missing": {0, 0, 0, 2, Version, typeAnswer},
	} {
		if _, err := readAnswer(bytes.NewReader(raw)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v, want %v", name, err, ErrFrame)
		}
	}
}

// TestBulkFits: what Size lets pass fits into a frame, whatever the headers.
func TestBulkFits(t *testing.T) {
	q := &raft.AppendEntriesRequest{Term: 1}
	for Size(q) < Bulk {
		q.Entries = append(q.Entries, &raft.Log{Index: 1 << 60, Term: 1 << 60, Data: make([]byte, 60)})
	}
	if raw := (Append{Seq: 1, Args: q}).append(nil); len(raw) > MaxFrame/2 {
		t.Errorf("%d bytes", len(raw))
	}
}

// FuzzFrames reads frames and writes what it has read: that must read as the same again.
func FuzzFrames(f *testing.F) {
	for _, a := range appends() {
		f.Add(a.append(nil))
	}
	for _, a := range answers() {
		f.Add(a.append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if a, err := readAppend(bytes.NewReader(raw)); err == nil {
			again := a.append(nil)
			if b, err := readAppend(bytes.NewReader(again)); err != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("%+v became %+v, %v", a, b, err)
			}
		} else if !errors.Is(err, ErrFrame) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("append: %v", err)
		}
		if a, err := readAnswer(bytes.NewReader(raw)); err == nil {
			if b, err := readAnswer(bytes.NewReader(a.append(nil))); err != nil || a != b {
				t.Errorf("%+v became %+v, %v", a, b, err)
			}
		}
	})
}
