package story

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rookery-mail/rookery/mta/queue/queuepb"
)

// blockFormat is the first octet of a block.
const blockFormat byte = 1

// A block ends with the story that fills one of these.
const (
	blockStories = 256
	blockOctets  = 32 << 10
)

// fold is what stories are found by: ASCII letters in lower case, other octets as they are, without the brackets of a
// Message-ID. It is for ever, as hashes of it are stored.
func fold(s string) string {
	folded := []byte(unbracketed(s))
	for i, c := range folded {
		folded[i] = lower(c)
	}
	return string(folded)
}

func unbracketed(s string) string {
	if n := len(s); n >= 2 && s[0] == '<' && s[n-1] == '>' {
		return s[1 : n-1]
	}
	return s
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// hash is FNV-1a, 32 bits, of what is folded.
func hash(s string) uint32 {
	s = unbracketed(s)
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(lower(s[i]))) * 16777619
	}
	return h
}

// names calls fn with each text that a story is found by.
func names(head *queuepb.StoryRecord, fn func(string)) {
	for _, s := range []string{head.Id, head.MessageId, head.Sender} {
		if s != "" {
			fn(s)
		}
	}
	for _, s := range head.Recipients {
		if s != "" {
			fn(s)
		}
	}
}

// matches reports whether a story has a name, which is folded.
func matches(head *queuepb.StoryRecord, folded string) (found bool) {
	names(head, func(s string) { found = found || fold(s) == folded })
	return found
}

// appendRow appends a story to a block: its number u64, how many names u16, and a hash u32 of each; names with the
// same hash count once.
func appendRow(dst []byte, number uint64, head *queuepb.StoryRecord) []byte {
	if len(dst) == 0 {
		dst = append(dst, blockFormat)
	}
	dst = binary.BigEndian.AppendUint64(dst, number)
	at := len(dst)
	dst = append(dst, 0, 0)
	var few [16]uint32
	seen := few[:0]
	names(head, func(s string) {
		h := hash(s)
		if len(seen) < 1<<16-1 && !(len(seen) <= 16 && slices.Contains(seen, h)) {
			seen = append(seen, h)
			dst = binary.BigEndian.AppendUint32(dst, h)
		}
	})
	binary.BigEndian.PutUint16(dst[at:], uint16(len(seen)))
	return dst
}

// eachRow calls fn with each story of a block, and the hashes of its names, 4 octets each.
func eachRow(block []byte, fn func(number uint64, hashes []byte)) error {
	if len(block) == 0 || block[0] != blockFormat {
		return fmt.Errorf("a block of %d octets: %w", len(block), errKey)
	}
	for rest := block[1:]; len(rest) > 0; {
		if len(rest) < 10 {
			return fmt.Errorf("%d octets are left of a block: %w", len(rest), errKey)
		}
		n := 4 * int(binary.BigEndian.Uint16(rest[8:]))
		if len(rest) < 10+n {
			return fmt.Errorf("%d octets are left of a block for a row of %d: %w", len(rest), n, errKey)
		}
		fn(binary.BigEndian.Uint64(rest), rest[10:10+n])
		rest = rest[10+n:]
	}
	return nil
}

// has reports whether a hash is among hashes.
func has(hashes []byte, h uint32) bool {
	for ; len(hashes) >= 4; hashes = hashes[4:] {
		if binary.BigEndian.Uint32(hashes) == h {
			return true
		}
	}
	return false
}
