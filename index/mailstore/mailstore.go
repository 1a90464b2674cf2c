// Package mailstore is the only door to mail for servers: it delivers and appends messages, opens
// mailboxes, reads from this node's replica of the account's partition, and changes by proposing
// commands. It decides nothing about mailboxes (index/mailbox does) and knows no protocol.
//
// A write returns once the local replica has applied it, where there is one, so that whoever wrote
// reads it back. Reads are answered from one snapshot each; without a local replica they are
// cluster.ErrNoReplica.
package mailstore

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/kv"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/frame"
	"github.com/rookery-mail/rookery/index/mailbox"
	"github.com/rookery-mail/rookery/index/search/trigram"
	"github.com/rookery-mail/rookery/index/uidset"
)

// Proposer commits a command in a group, wherever its leader is, and returns the result and its
// position in the group's log. It retries with the same command id. Errors that come through to
// callers of a Store: cluster.ErrUnavailable, cluster.ErrStorageFull, and the context's.
type Proposer interface {
	Propose(ctx context.Context, g cluster.GroupID, c command.Command) (result []byte, at cluster.LogIndex, err error)
}

// Replica is this node's copy of a partition.
type Replica interface {
	Snapshot() kv.Snapshot
	WaitApplied(ctx context.Context, at cluster.LogIndex) error
}

// Feed tells of changes that a local replica has applied; index/partition is one.
type Feed interface {
	// Watch returns a channel of capacity one that gets a token when something of the account
	// changed, and the function that ends it.
	Watch(a index.AccountID) (changed <-chan struct{}, stop func())
}

// Texts says which messages of a mailbox may hold texts; index/concordance is one. It gives a part of uids, all
// that match q among it, or uids itself where it does not know.
type Texts interface {
	Narrow(a index.AccountID, box index.Mailbox, uids *uidset.Set, q *trigram.Query) *uidset.Set
}

// Config is what a Store is made of. Fields without a default are required.
type Config struct {
	Proposer Proposer
	// Replica returns the local replica of a partition, or cluster.ErrNoReplica.
	Replica func(g cluster.GroupID) (Replica, error)
	// Feed returns the change feed of a local replica, or cluster.ErrNoReplica.
	Feed func(g cluster.GroupID) (Feed, error)
	// Locate says which partition holds an account, or index.ErrNoAccount.
	Locate func(a index.AccountID) (cluster.GroupID, error)
	// Limits returns the quota of an account; 0 is none. Nil: no account has limits.
	Limits func(a index.AccountID) (bytes, messages uint64)
	// Keep is how long expunged mail is kept to be undeleted; 0 is not at all. Nil: never.
	Keep func() time.Duration
	// RemoteUsage asks a node that holds the account's partition for Store.LocalUsage. Nil: usage
	// is known where there is a replica only.
	RemoteUsage func(ctx context.Context, g cluster.GroupID, a index.AccountID) (index.Usage, error)
	// Clock gives the time that commands carry. Nil: time.Now.
	Clock func() time.Time
	// NewID gives random identities of commands and uploads. Nil: crypto/rand.
	NewID func() cluster.CommandID
	// NewURLKey gives random keys that URLs are signed with. Nil: crypto/rand.
	NewURLKey func() [mailbox.URLKeySize]byte
	Logger    *slog.Logger // nil: none
	// Level is what every member of the cluster reads and executes; below the second no chunk is
	// written in package frame's short form. Nil: everything that this build knows.
	Level func() command.Level
	// StagingBound is how many compressed octets may wait in a partition to go to object storage; above it
	// no message is taken in (index.ErrStagingFull). Nil, or math.MaxInt64: any number.
	StagingBound func() int64
	// Large begins a body that is above the inline limit and is to be in object storage before its message
	// is committed. Where that is not in use, or known to fail, the error is
	// blobstore.ErrUnavailable and the body goes through the log. Nil: all do.
	Large func() (LargeBody, error)
	// Address is the name of an account in manifests of packs, or empty. Nil: they have none.
	Address func(a index.AccountID) string
	// Texts is the search index of this node. Nil: there is none.
	Texts Texts
	// Blobs reads bodies that are in object storage. Nil: those cannot be read.
	Blobs Blobs

	InlineLimit int   // compressed octets that travel inside a Deliver or Append; default 256 KiB
	ChunkSize   int   // octets of a body's chunk before compression; default 128 KiB
	MaxMessage  int64 // octets of the largest message; default 50 MiB
	// TombstoneAge is how long expunged UIDs are kept for QRESYNC; default 30 days.
	TombstoneAge time.Duration
}

// Store gives access to the mail of all accounts. It is safe for concurrent use and holds nothing
// to be closed.
type Store struct {
	c      Config
	codec  *frame.Codec
	chunks sync.Pool // of *[]byte, each with room for a chunk
	gates  gates
	views  viewCache
	swept  swept
}

// New returns a Store over c. Sizes above what a log entry can take are lowered to that.
func New(c Config) *Store {
	c.defaults()
	s := &Store{c: c, codec: frame.New()}
	s.gates.slots = make(map[cluster.GroupID]chan struct{})
	s.swept.at = make(map[cluster.GroupID]time.Time)
	s.views.entries = make(map[viewKey]viewEntry)
	s.chunks.New = func() any {
		chunk := make([]byte, 0, c.ChunkSize)
		return &chunk
	}
	return s
}

// Account returns the door to one account. It does no I/O; that there is no such account shows when
// it is first used.
func (s *Store) Account(id index.AccountID) *Account { return &Account{store: s, id: id} }

// shortChunk is up to how many octets a chunk is written in package frame's short form: what it takes more in
// room is little then, and what zstd takes more in time is most of its time.
const shortChunk = 8 << 10

// Sizes in bytes that keep every command below cluster.MaxEntrySize.
const (
	maxInline    = 256 << 10
	maxChunk     = frame.MaxOctets // the default of 0.1: it is stored, and has to be read
	defaultChunk = 128 << 10       // a few of them are on their way at a time, of each message
	maxEnvelope  = 128 << 10
	maxStructure = 128 << 10
	maxCommand   = cluster.MaxEntrySize - 4<<10 // above it, the octets are staged
)
