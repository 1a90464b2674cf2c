package mailstore

import (
	"crypto/rand"
	"log/slog"
	"math"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailbox"
)

// The defaults of Config.
const (
	DefaultMaxMessage   = 50 << 20
	DefaultTombstoneAge = 30 * 24 * time.Hour
)

func (c *Config) defaults() {
	if c.Limits == nil {
		c.Limits = func(index.AccountID) (bytes, messages uint64) { return 0, 0 }
	}
	if c.Keep == nil {
		c.Keep = func() time.Duration { return 0 }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.NewID == nil {
		c.NewID = RandomID
	}
	if c.NewURLKey == nil {
		c.NewURLKey = randomURLKey
	}
	if c.Level == nil {
		c.Level = func() command.Level { return command.Latest }
	}
	if c.StagingBound == nil {
		c.StagingBound = func() int64 { return math.MaxInt64 }
	}
	if c.Address == nil {
		c.Address = func(index.AccountID) string { return "" }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.InlineLimit <= 0 || c.InlineLimit > maxInline {
		c.InlineLimit = maxInline
	}
	if c.ChunkSize <= 0 {
		c.ChunkSize = defaultChunk
	}
	c.ChunkSize = min(c.ChunkSize, maxChunk)
	if c.MaxMessage == 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	if c.TombstoneAge == 0 {
		c.TombstoneAge = DefaultTombstoneAge
	}
}

// RandomID makes the id of a command: 128 random bits.
func RandomID() (id cluster.CommandID) {
	rand.Read(id[:]) // never fails, see crypto/rand
	return id
}

func randomURLKey() (key [mailbox.URLKeySize]byte) {
	rand.Read(key[:]) // as above
	return key
}
