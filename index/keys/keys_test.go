package keys

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"sort"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// TestGolden pins the bytes of every key and fixed-layout value.
func TestGolden(t *testing.T) {
	hash := []byte("0123456789abcdef")
	when := time.UnixMilli(0x0102030405)
	var out bytes.Buffer
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"account", Account(nil, 0xa1)},
		{"mailbox", Mailbox(nil, 0xa1, 0xb2)},
		{"acl", ACL(nil, 0xa1, 0xb2)},
		{"name", Name(nil, 0xa1, "INBOX/x")},
		{"subscription", Subscription(nil, 0xa1, "x")},
		{"uids", Block(nil, TableUIDs, 0xa1, 0xb2, 0xc3)},
		{"unseen", Block(nil, TableUnseen, 0xa1, 0xb2, 0xc3)},
		{"deleted", Block(nil, TableDeleted, 0xa1, 0xb2, 0xc3)},
		{"flags", Message(nil, TableFlags, 0xa1, 0xb2, 0xd4)},
		{"summary", Message(nil, TableSummary, 0xa1, 0xb2, 0xd4)},
		{"change", Sequenced(nil, TableChange, 0xa1, 0xb2, 0xe5, 0xd4)},
		{"tombstone", Sequenced(nil, TableTombstone, 0xa1, 0xb2, 0xe5, 0xd4)},
		{"body", Body(nil, 0xf6)},
		{"chunk", Chunk(nil, 0xf6, 7)},
		{"upload", Upload(nil, hash)},
		{"dedup", Dedup(nil, 0xa1, hash)},
		{"dedup expiry", DedupExpiry(nil, when, 0xa1, hash)},
		{"counter", CounterKey(nil, NextBody)},
		{"graveyard", Graveyard(nil, 0xa1, 0xb2)},
		{"user", User(nil, 0xf6, 0xa1, 0xb2, 0xd4)},
		{"pack", Pack(nil, 0x17)},
		{"blobs", Blobs(nil)},
		{"value: delivered", Delivered{when, 0xb2, 0x11, 0xd4}.Append(nil)},
		{"value: counter", EncodeUint64(nil, 0xf6)},
		{"value: id", EncodeID(nil, 0xb2)},
	} {
		fmt.Fprintf(&out, "%-17s %x\n", k.name, k.key)
	}
	const path = "testdata/keys.golden"
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("durable bytes changed:\n%s\nwant:\n%s", out.Bytes(), want)
	}
}

func TestAfter(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"\x10", "\x11"}, {"a\xff", "b"}, {"\x10\x00\xff\xff", "\x10\x01"}, {"\xff\xff", ""},
	} {
		if got := string(After(nil, []byte(c.prefix))); got != c.want {
			t.Errorf("After(%x) = %x, want %x", c.prefix, got, c.want)
		}
	}
}

func TestOrder(t *testing.T) {
	ordered := [][]byte{
		Sequenced(nil, TableChange, 1, 2, 3, 0xffffffff),
		Sequenced(nil, TableChange, 1, 2, 4, 1),
		Sequenced(nil, TableChange, 1, 2, 256, 1),
		Sequenced(nil, TableChange, 1, 3, 1, 1),
		Sequenced(nil, TableChange, 256, 1, 1, 1),
	}
	if !sort.SliceIsSorted(ordered, func(i, j int) bool { return bytes.Compare(ordered[i], ordered[j]) < 0 }) {
		t.Fatal("keys do not order as their fields do")
	}
	s, u, err := ReadSequenced(ordered[1])
	if s != 4 || u != 1 || err != nil {
		t.Fatalf("read back %d %d %v", s, u, err)
	}
}

func FuzzDecodeDelivered(f *testing.F) {
	f.Add(Delivered{time.UnixMilli(5), 1, 2, 3}.Append(nil))
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := DecodeDelivered(value)
		if err == nil && !bytes.Equal(d.Append(nil), value) {
			t.Fatalf("%x does not come back", value)
		}
	})
}
