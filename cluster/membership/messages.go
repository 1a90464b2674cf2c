package membership

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/rookery-mail/rookery/cluster"
)

// MaxPayload is the largest message in bytes; with memberlist's own overhead it fits one packet.
const MaxPayload = 1024

// A message on the wire: kind (1), identity (8, random), payload. Each node passes on what it sees for
// the first time, so that a message reaches everybody though it is sent to few.
const messageHeader = 1 + 8

// goodbye is the kind of the message with which a node says that it leaves on purpose, its id as the
// payload: memberlist's own event does not tell that from a death.
const goodbye = 0

// remembered is how many identities are kept to tell a repeated message.
const remembered = 8192

// waiting is how many messages may wait for Config.Receive; more are lost, as they may be anyway.
const waiting = 256

type identity [8]byte

type message struct {
	kind    byte
	id      identity
	payload []byte
}

func (m message) encode() []byte {
	out := make([]byte, 0, messageHeader+len(m.payload))
	out = append(out, m.kind)
	out = append(out, m.id[:]...)
	return append(out, m.payload...)
}

// decodeMessage copies what it keeps of data.
func decodeMessage(data []byte) (m message, ok bool) {
	if len(data) < messageHeader || len(data) > messageHeader+MaxPayload {
		return message{}, false
	}
	m.kind = data[0]
	copy(m.id[:], data[1:])
	m.payload = append([]byte(nil), data[messageHeader:]...)
	return m, true
}

// Broadcast sends a message to all nodes that are up, this one not among them. It may get lost; a node
// that is down never sees it. What must arrive is a command of the directory. Kinds are from 1.
func (g *Gossip) Broadcast(kind byte, payload []byte) error {
	if kind == goodbye {
		return errors.New("broadcast a message of kind 0, which is reserved")
	}
	return g.broadcast(kind, payload)
}

func (g *Gossip) broadcast(kind byte, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("broadcast a message of %d bytes, %d are allowed", len(payload), MaxPayload)
	}
	m := message{kind: kind, payload: payload}
	if _, err := rand.Read(m.id[:]); err != nil {
		return fmt.Errorf("broadcast a message: %w", err)
	}
	g.inbox.seen(m.id) // it comes back from others
	g.queue.QueueBroadcast(broadcast(m.encode()))
	return nil
}

// broadcast is a message in memberlist's queue.
type broadcast []byte

var _ memberlist.UniqueBroadcast = broadcast(nil)

// Invalidates implements memberlist.Broadcast.
func (broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message implements memberlist.Broadcast.
func (b broadcast) Message() []byte { return b }

// Finished implements memberlist.Broadcast.
func (broadcast) Finished() {}

// UniqueBroadcast implements memberlist.UniqueBroadcast.
func (broadcast) UniqueBroadcast() {}

// inbox tells new messages from repeated ones and hands the new ones on.
type inbox struct {
	incoming chan message

	mu    sync.Mutex // guards what follows
	known map[identity]struct{}
	ring  [remembered]identity
	next  int
}

func (b *inbox) init() {
	b.incoming = make(chan message, waiting)
	b.known = make(map[identity]struct{}, remembered)
}

// seen remembers an identity and reports whether it was known.
func (b *inbox) seen(id identity) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.known[id]; known {
		return true
	}
	delete(b.known, b.ring[b.next])
	b.ring[b.next] = id
	b.known[id] = struct{}{}
	b.next = (b.next + 1) % remembered
	return false
}

// deliver hands messages on until ctx ends.
func (b *inbox) deliver(ctx context.Context, receive func(kind byte, payload []byte)) {
	for {
		select {
		case m := <-b.incoming:
			receive(m.kind, m.payload)
		case <-ctx.Done():
			return
		}
	}
}

// delegate is what memberlist asks of a node.
type delegate struct {
	gossip *Gossip
	meta   []byte
}

var _ memberlist.Delegate = (*delegate)(nil)

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte { return d.meta }

// NotifyMsg implements memberlist.Delegate. It must not block.
func (d *delegate) NotifyMsg(data []byte) {
	m, ok := decodeMessage(data)
	if !ok || d.gossip.inbox.seen(m.id) {
		return
	}
	d.gossip.queue.QueueBroadcast(broadcast(m.encode()))
	if m.kind == goodbye {
		d.gossip.table.leaves(cluster.NodeID(m.payload))
		return
	}
	select {
	case d.gossip.inbox.incoming <- m:
	default:
		d.gossip.cfg.Logger.Warn("too many gossip messages at once, one is lost", "kind", m.kind)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.gossip.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(bool) []byte {
	if d.gossip.cfg.Shared == nil {
		return nil
	}
	return d.gossip.cfg.Shared.State()
}

// MergeRemoteState implements memberlist.Delegate.
func (d *delegate) MergeRemoteState(state []byte, _ bool) {
	if d.gossip.cfg.Shared != nil && len(state) > 0 {
		d.gossip.cfg.Shared.Merge(state)
	}
}
