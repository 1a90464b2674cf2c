package pack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore"
)

var newGolden = flag.Bool("new-golden", false, "write golden files that are not there yet")

// golden gives the octets of a file of testdata, which holds them in hexadecimal digits.
func golden(t testing.TB, name string, octets []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && *newGolden {
		digits := []byte(hex.EncodeToString(octets))
		text = append(bytes.Join(slices.Collect(slices.Chunk(digits, 120)), []byte("\n")), '\n')
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestGolden reads packs that were written once, and holds what is not compressed to the same octets.
func TestGolden(t *testing.T) {
	bothWays(t, func(t *testing.T, s sample) {
		written, _ := s.write(t)
		octets := golden(t, fmt.Sprintf("v1-sealed-%v.hex", s.key != nil), written)
		c, err := Read(bytes.NewReader(octets), int64(len(octets)), s.keys)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.Manifest, s.manifest) || !reflect.DeepEqual(c.Pack, s.pack) {
			t.Errorf("%+v\n%+v", c.Pack, c.Manifest)
		}
		if _, err := c.Verify(bytes.NewReader(octets), nil); err != nil {
			t.Error(err)
		}
		s.open(t, c, octets)
		if before := int(c.Footer.Manifest); !bytes.Equal(octets[:before], written[:before]) {
			t.Error("header and chunks are written as others")
		}
		if raw := encodeManifest(s.manifest, uint64(c.start)); !bytes.Equal(raw, golden(t, fmt.Sprintf("v1-manifest-%v.hex", s.key != nil), raw)) {
			t.Errorf("the manifest is written as others: %x", raw)
		}
		footer := c.Footer.append(nil)
		if !bytes.Equal(octets[len(octets)-FooterSize:], footer) {
			t.Errorf("the footer is written as others: %x", footer)
		}
	})
}

// TestUnknownColumn reads the manifest of a later build, with a column more.
func TestUnknownColumn(t *testing.T) {
	s := newSample(false)
	s.write(t)
	raw := append(encodeManifest(s.manifest, 44), 200, 1, 3, 'n', 'e', 'w')
	m, err := decodeManifest(raw, 44)
	if err != nil || !reflect.DeepEqual(m, s.manifest) {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestManifestLies holds that counts which are not true do not allocate what they say.
func TestManifestLies(t *testing.T) {
	id := bytes.Repeat([]byte{1}, 16)
	base := append([]byte{columnPack, 16}, id...)
	base = append(base, columnGroup, 1, 1, columnCreated, 1, 0)
	many := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	column := func(tag byte, octets ...byte) []byte {
		return append(append(bytes.Clone(base), tag, byte(len(octets))), octets...)
	}
	lies := map[string][]byte{
		"accounts":   column(columnAccounts, many...),
		"mailboxes":  column(columnMailboxes, many...),
		"bodies":     column(columnIDs, many...),
		"a text":     column(columnAccounts, append([]byte{1, 1}, many...)...),
		"no account": column(columnMailboxes, 1, 0, 1, 0, 0, 0, 0, 0),
		"cut short":  append(bytes.Clone(base), columnIDs, 100, 1),
		"no columns": {},
		"chunks":     append(column(columnIDs, 1, 2), append([]byte{columnGaps, 1, 0, columnSizes, 1, 0, columnChunkSizes, 1, 0, columnUsers, 1, 0, columnChunks, 5}, many...)...),
		"users":      append(column(columnIDs, 1, 2), append([]byte{columnGaps, 1, 0, columnSizes, 1, 0, columnChunkSizes, 1, 0, columnChunks, 1, 0, columnUsers, 5}, many...)...),
	}
	for name, raw := range lies {
		var err error
		octets := testing.AllocsPerRun(1, func() { _, err = decodeManifest(raw, 44) })
		if !errors.Is(err, blobstore.ErrDamaged) || octets > 100 {
			t.Errorf("%s: %v, %v allocations", name, err, octets)
		}
	}
}

func TestFooterLies(t *testing.T) {
	good := Footer{Manifest: 100, Length: 50, Unpacked: 60}
	size := int64(150 + FooterSize)
	if _, err := ReadFooter(good.append(make([]byte, 10)), size); err != nil {
		t.Fatal(err)
	}
	for _, f := range []Footer{
		{Manifest: -1, Length: 50}, {Manifest: 1 << 62, Length: 50}, {Manifest: 100, Length: 51}, {Manifest: 99, Length: 50},
		{Manifest: 100, Length: 50, Unpacked: MaxManifest + 1}, {Manifest: 0, Length: 1 << 31},
	} {
		if _, err := ReadFooter(f.append(nil), size); !errors.Is(err, blobstore.ErrDamaged) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	bomb, err := compress(make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decompress(bomb, 1000); !errors.Is(err, blobstore.ErrDamaged) {
		t.Errorf("a MiB where 1000 octets were said: %v", err)
	}
}

func TestKeyFile(t *testing.T) {
	keys := []ClusterKey{{ID: blobstore.KeyID{1, 7: 0xfe}, Secret: [32]byte{3, 31: 4}}, {ID: blobstore.KeyID{2}, Secret: [32]byte{5}}}
	text := FormatKeys(keys)
	if got, err := ReadKeys(text); err != nil || !reflect.DeepEqual(got, keys) {
		t.Errorf("%v, %v of %s", got, err, text)
	}
	want := "rookery-blob-key-1 01000000000000fe 0300000000000000000000000000000000000000000000000000000000000004 "
	if !strings.Contains(string(text), want) {
		t.Errorf("%s has no %q", text, want)
	}
	for i, old := range text {
		if !strings.ContainsRune("0123456789abcdef", rune(old)) || i < bytes.IndexByte(text, '\n') {
			continue
		}
		wrong := bytes.Clone(text)
		wrong[i] = "0123456789abcdef0"[strings.IndexByte("0123456789abcdef", old)+1]
		if got, err := ReadKeys(wrong); !errors.Is(err, blobstore.ErrFormat) {
			t.Fatalf("octet %d wrong: %v, %v", i, got, err)
		}
	}
}
