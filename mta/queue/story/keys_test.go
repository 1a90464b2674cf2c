package story

import (
	"encoding/hex"
	"testing"

	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

var letter = &queuepb.StoryRecord{Id: "7KQ2", MessageId: "<A.1@example.org>", Sender: "Ada@example.org", Recipients: []string{"bob@example.com", "ada@example.org"}, At: 0x1112,
	Events: []*queuepb.StoryEvent{{Kind: queuepb.StoryKind_STORY_KIND_RECEIVED, Node: "n1", Client: "mx"}}}

// TestGolden holds keys, blocks and records to their bytes for ever, and reads them back.
func TestGolden(t *testing.T) {
	r := NewRef(0x01020304, 0x050607, 0x0809)
	value, err := letter.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"first":         {firstKey(), "3b"},
		"piece":         {pieceKey(r, 0x0a0b), "3a01020304" + "0000000506070809" + "0000000000000a0b"},
		"block":         {blockKey(r), "3b01020304" + "0000000506070809"},
		"row":           {appendRow(nil, r.Number, letter), "01" + "0000000506070809" + "0004" + "6d9d12f0" + "21c86017" + "de05bdfd" + "b61facb9"},
		"piece's value": {value, "0a04374b513212113c412e31406578616d706c652e6f72673e1a0f416461406578616d706c652e6f7267220a08011a026e3122026d782a0f626f62406578616d706c652e636f6d2a0f616461406578616d706c652e6f7267309222"},
	} {
		if got := hex.EncodeToString(c.bytes); got != c.want {
			t.Errorf("%s is %s, want %s", name, got, c.want)
		}
	}
	if got, index, err := readPiece(pieceKey(r, 7)); got != r || index != 7 || err != nil {
		t.Error(got, index, err)
	}
	if got, err := readBlock(blockKey(r)); got != r || err != nil {
		t.Error(got, err)
	}
}

// FuzzRead: what reads keys and blocks takes any octets.
func FuzzRead(f *testing.F) {
	f.Add(pieceKey(Ref{1, 2}, 3))
	f.Add(blockKey(Ref{1, 2}))
	f.Add(appendRow(appendRow(nil, 1, letter), 2, &queuepb.StoryRecord{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = readPiece(data)
		_, _ = readBlock(data)
		rows := 0
		if eachRow(data, func(uint64, []byte) { rows++ }) == nil && rows > len(data)/10 {
			t.Errorf("%d rows in %d octets", rows, len(data))
		}
		_ = new(queuepb.StoryRecord).UnmarshalVT(data)
	})
}
