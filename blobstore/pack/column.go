package pack

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/blobstore"
)

// column reads what a column of a manifest holds. After an error it gives zeros; Invariant: what it
// gives of texts and counts is bounded by the octets that it has.
type column struct {
	octets []byte
	err    error
}

func (c *column) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("manifest: %s: %w", what, blobstore.ErrDamaged)
	}
	c.octets = nil
}

func (c *column) number() uint64 {
	v, n := binary.Uvarint(c.octets)
	if n <= 0 {
		c.fail("a number is cut short")
		return 0
	}
	c.octets = c.octets[n:]
	return v
}

// below is a number that is smaller than limit.
func (c *column) below(limit uint64) uint64 {
	v := c.number()
	if v >= limit {
		c.fail(fmt.Sprintf("%d, where less than %d can be", v, limit))
		return 0
	}
	return v
}

// signed is a number in zigzag (binary.Varint).
func (c *column) signed() int64 {
	v := c.number()
	return int64(v>>1) ^ -int64(v&1)
}

// count is a number of things that take an octet each at least, and are at most limit.
func (c *column) count(limit int) int {
	return int(c.below(uint64(min(limit, len(c.octets))) + 1))
}

func (c *column) text() string {
	n := c.number()
	if n > uint64(len(c.octets)) {
		c.fail(fmt.Sprintf("a text of %d octets", n))
		return ""
	}
	s := string(c.octets[:n])
	c.octets = c.octets[n:]
	return s
}

// texts are at most *left texts, which it takes from left.
func (c *column) texts(left *int) []string {
	n := c.count(*left)
	if n == 0 {
		return nil
	}
	*left -= n
	texts := make([]string, 0, n)
	for range n {
		texts = append(texts, c.text())
	}
	return texts
}

// end says what went wrong, or that there is more than there should be.
func (c *column) end() error {
	if c.err == nil && len(c.octets) > 0 {
		c.fail(fmt.Sprintf("%d octets too many in a column", len(c.octets)))
	}
	return c.err
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}
