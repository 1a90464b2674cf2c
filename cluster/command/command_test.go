package command

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster"
)

// TestGolden holds the envelope to its bytes for ever.
func TestGolden(t *testing.T) {
	c := Command{ID: cluster.CommandID{1, 2, 3, 15: 16}, Kind: Deliver, Time: time.UnixMilli(1_763_719_200_123), Payload: []byte("payload")}
	const want = "01" + "0201" + "01020300000000000000000000000010" + "0000019aa5db3d7b" + "7061796c6f6164"
	if got := hex.EncodeToString(c.Append(nil)); got != want {
		t.Errorf("encoded %s, want %s", got, want)
	}
}

// TestTable: numbers are unique by the compiler; no name stands twice, and each has its version.
func TestTable(t *testing.T) {
	names := map[string]Kind{}
	for k := Kind(0); k < 0x1000; k++ {
		since, ok := k.Since()
		if !ok {
			continue
		}
		if other, taken := names[k.String()]; taken || since == "" {
			t.Errorf("kind %#x: %v since %q, name also of %#x", uint16(k), k, since, uint16(other))
		}
		names[k.String()] = k
	}
	if len(names) < 28 {
		t.Errorf("%d kinds in the table", len(names))
	}
	if got := Kind(0xffff).String(); got != "Kind(0xffff)" {
		t.Errorf("an unknown kind is %s", got)
	}
}

// TestLevels: the kinds of 0.1 are those that it had, for ever, and no kind is above this build's level.
func TestLevels(t *testing.T) {
	var first int
	for k := Kind(0); k < 0x1000; k++ {
		if _, ok := k.Since(); !ok {
			continue
		}
		if k.Level() > Latest {
			t.Errorf("%v is of level %d, this build of %d", k, k.Level(), Latest)
		}
		if k.Level() == LevelFirst {
			first++
		}
	}
	if first != 29 {
		t.Errorf("%d kinds are of the first level, 0.1 had 29", first)
	}
	if l := Kind(0x02ff).Level(); l == LevelFirst {
		t.Errorf("a kind to come is of level %d", l)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Command{Kind: StageChunk, Payload: []byte{0}}.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("error %v", err)
			}
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, data) {
			t.Errorf("%x came back as %x", data, again)
		}
	})
}
