package mailstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// errFinished says that an Incoming was written to after it was delivered or discarded.
var errFinished = errors.New("the message is finished")

// Incoming takes one message in: it parses, hashes and compresses the octets as they come, and once
// they are more than the inline limit stages them in the partitions of its accounts. It holds a
// chunk and what is in flight, whatever the size. It is for one goroutine; Discard ends it.
type Incoming struct {
	store  *Store
	ctx    context.Context // of what is staged while octets come
	cancel context.CancelFunc

	groups map[index.AccountID]cluster.GroupID
	parser *message.Parser
	hash   hash.Hash
	chunk  *[]byte  // from the store's pool: the octets that are in no frame yet
	frames [][]byte // compressed chunks that are not staged
	frame  []byte   // memory for those that are, one after the other
	held   int      // octets in frames
	size   int64    // octets written
	trace  int64    // octets of our own in front of them

	upload    *upload                    // once the message is too large to travel inline, or to be in a pack of its own
	large     LargeBody                  // instead, where it is to be in one
	placed    map[cluster.GroupID]*aPack // where it is in one
	summary   *indexpb.Summary           // once the message is complete
	messageID string
	used      map[cluster.GroupID]bool // where it was delivered
	err       error                    // the first; it stays
}

// NewIncoming begins to take in a message for some of accounts: only to these can it be delivered.
// The trace fields (Return-Path, Received), whole lines with CRLF or nil, are stored in front of the
// message and are no part of what makes two messages the same. The caller defers Discard. ctx bounds
// what is staged on the way.
func (s *Store) NewIncoming(ctx context.Context, accounts []index.AccountID, trace []byte) *Incoming {
	ctx, cancel := context.WithCancel(ctx)
	in := &Incoming{
		store: s, ctx: ctx, cancel: cancel,
		groups: make(map[index.AccountID]cluster.GroupID, len(accounts)),
		parser: message.NewParser(message.Limits{}),
		hash:   sha256.New(),
		chunk:  s.chunks.Get().(*[]byte),
		trace:  int64(len(trace)),
	}
	for _, a := range accounts {
		if g, err := s.c.Locate(a); err == nil { // else told when it is a target
			in.groups[a] = g
		}
	}
	if _, err := in.parser.Write(trace); err != nil {
		in.err = err
	}
	in.keep(trace)
	return in
}

// Size returns the octets written so far, without the trace fields.
func (in *Incoming) Size() int64 { return in.size }

// Write takes octets of the message, lines ending in CRLF. Beyond Config.MaxMessage it returns
// index.ErrTooLarge. After an error the message cannot be delivered.
func (in *Incoming) Write(p []byte) (int, error) {
	if in.err == nil && in.summary != nil {
		in.err = errFinished
	}
	if in.err == nil && in.size+int64(len(p)) > in.store.c.MaxMessage {
		in.err = index.ErrTooLarge
	}
	if in.err != nil {
		return 0, in.err
	}
	in.size += int64(len(p))
	in.hash.Write(p)
	if _, err := in.parser.Write(p); err != nil {
		in.err = err
		return 0, err
	}
	in.keep(p)
	return len(p), in.err
}

// Discard ends the message, waits for what is in flight, and gives back what it holds. What was
// staged and not delivered is swept later. It is harmless after a delivery and when repeated.
func (in *Incoming) Discard() {
	in.cancel()
	if in.upload != nil {
		in.upload.wait()
	}
	if in.large != nil {
		in.large.Close()
	}
	if in.chunk != nil {
		*in.chunk = (*in.chunk)[:0]
		in.store.chunks.Put(in.chunk)
		in.chunk = nil
	}
	in.frames, in.frame = nil, nil
	if in.err == nil {
		in.err = errFinished
	}
}

// keep moves octets into chunks.
func (in *Incoming) keep(p []byte) {
	for len(p) > 0 {
		room := in.store.c.ChunkSize - len(*in.chunk)
		n := min(room, len(p))
		*in.chunk = append(*in.chunk, p[:n]...)
		p = p[n:]
		if n == room {
			in.seal()
		}
	}
}

// seal compresses the chunk, and stages it where the message does not fit a command any more.
func (in *Incoming) seal() {
	if len(*in.chunk) == 0 {
		return
	}
	if in.away() {
		in.frame = in.store.codec.CompressInto(in.frame, *in.chunk)
		*in.chunk = (*in.chunk)[:0]
		in.send(in.frame)
		return
	}
	compressed := in.store.compress(*in.chunk)
	*in.chunk = (*in.chunk)[:0]
	in.frames = append(in.frames, compressed)
	in.held += len(compressed)
	if in.held > in.store.c.InlineLimit {
		in.goLarge()
	}
}

// away reports whether the message does not travel inline.
func (in *Incoming) away() bool { return in.upload != nil || in.large != nil }

// compress makes a frame of a chunk. The short form is never written before every node reads it.
func (s *Store) compress(chunk []byte) []byte {
	if len(chunk) <= shortChunk && s.c.Level() >= command.LevelSecond {
		return s.codec.CompressShort(chunk)
	}
	return s.codec.Compress(chunk)
}

// stage sends the frames that are held to the partitions.
func (in *Incoming) stage() {
	if in.upload == nil {
		in.upload = newUpload(in.ctx, in.store, in.partitions())
	}
	for i, f := range in.frames {
		in.frames[i] = nil // only what is on its way is held
		in.upload.send(f)
	}
	in.frames, in.held = nil, 0
}

// finish completes the message and its summary, once.
func (in *Incoming) finish() error {
	if in.err != nil {
		return in.err
	}
	if in.summary != nil {
		return nil
	}
	in.seal()
	parsed := in.parser.Finish()
	in.summary, in.messageID = summarise(parsed, in.hash.Sum(nil)), parsed.MessageID
	return nil
}

// body is how the message's octets travel in a command for a partition.
func (in *Incoming) body(g cluster.GroupID) *indexpb.BodyInput {
	b := &indexpb.BodyInput{Size: uint64(in.size + in.trace), ChunkSize: uint32(in.store.c.ChunkSize)}
	switch p := in.placed[g]; {
	case p != nil:
		b.Pack, b.Entry, b.PackSize = p.number, p.entry, p.size
	case in.upload != nil:
		b.UploadId = in.upload.id[:]
	default:
		b.Chunks = in.frames
	}
	return b
}

// ready says why the octets cannot be referred to by a command for a partition, after settle.
func (in *Incoming) ready(g cluster.GroupID) error {
	switch {
	case in.placed[g] != nil:
		return nil
	case in.upload != nil:
		return in.upload.err(g)
	}
	return in.store.room(g)
}
