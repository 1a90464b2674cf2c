package heartbeat

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/raft"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func frames() map[string]Frame {
	return map[string]Frame{
		"beats": {Type: TypeBeats,
			Header: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("10.0.0.1:7700")}, Leader: []byte("n1@10.0.0.1:7700"),
			Beats: []Beat{{Seq: 1, Group: 0, Term: 7}, {Seq: 2, Group: 300, Term: 1 << 40}}},
		"answers": {Type: TypeAnswers,
			Header: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("n2"), Addr: []byte("10.0.0.2:7700")},
			Answers: []Answer{
				{Seq: 1, Status: StatusAnswered, Term: 7, LastLog: 1000, Success: true},
				{Seq: 2, Status: StatusAnswered, Term: 8, NoRetryBackoff: true},
				{Seq: 3, Status: StatusNotHere},
				{Seq: 300, Status: StatusFailed, Text: "disk full"}}},
	}
}

// TestGolden holds the bytes of version 1: nodes of other builds read them.
func TestGolden(t *testing.T) {
	for name, f := range frames() {
		path := filepath.Join("testdata", name+"-v1.golden")
		got := f.Append(nil)
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
		back, err := ReadFrame(bytes.NewReader(want))
		if err != nil || !reflect.DeepEqual(back, f) {
			t.Errorf("%s: read %+v, %v; want %+v", name, back, err, f)
		}
	}
}

func TestFramesThatAreRefused(t *testing.T) {
	whole := frames()["beats"].Append(nil)
	with := func(at int, b byte) []byte {
		c := bytes.Clone(whole)
		c[at] = b
		return c
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"oversize", []byte{0, 1, 0, 1}, ErrFrame},
		{"version 2", with(4, 2), ErrFrame},
		{"type 3", with(5, 3), ErrFrame},
		{"empty", []byte{0, 0, 0, 0}, ErrFrame},
		{"cut in the length", whole[:3], io.ErrUnexpectedEOF},
		{"cut in a record", whole[:len(whole)-1], io.ErrUnexpectedEOF},
		{"record without its end", append([]byte{0, 0, 0, byte(len(whole) - 5)}, whole[4:len(whole)-1]...), ErrFrame},
		{"term 0", Frame{Type: TypeBeats, Leader: []byte("n1"), Beats: []Beat{{Seq: 1}}}.Append(nil), ErrFrame},
		{"no leader", Frame{Type: TypeBeats, Beats: []Beat{{Seq: 1, Term: 1}}}.Append(nil), ErrFrame},
		{"too many", Frame{Type: TypeAnswers, Answers: make([]Answer, maxRecords+1)}.Append(nil), ErrFrame},
	} {
		if f, err := ReadFrame(bytes.NewReader(c.in)); !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v; want %v", c.name, f, err, c.want)
		}
	}
}

// FuzzReadFrame reads any bytes; what it takes for a frame, it reads again as the same after encoding it.
func FuzzReadFrame(f *testing.F) {
	for _, frame := range frames() {
		f.Add(frame.Append(nil))
	}
	f.Add([]byte{0, 0, 0, 4, 1, 2, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := ReadFrame(bytes.NewReader(in))
		if err != nil {
			return
		}
		again, err := ReadFrame(bytes.NewReader(frame.Append(nil)))
		if err != nil || !reflect.DeepEqual(frame, again) {
			t.Errorf("%+v became %+v, %v", frame, again, err)
		}
	})
}
