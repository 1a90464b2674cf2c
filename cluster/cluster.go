// Package cluster holds the words that every part of Rookery uses to speak of replication: groups,
// nodes, log positions, command ids, the state machine that a group replicates, and the errors a
// caller acts on. It knows no mail, does no I/O, and imports nothing of ours but cluster/kv.
//
// The vocabulary is that of the Raft paper (Ongaro and Ousterhout, "In Search of an Understandable
// Consensus Algorithm").
package cluster

import (
	"encoding/hex"
	"errors"
	"fmt"
)

// GroupID names one Raft group. Group 0 is the directory; 1 to 256 are partitions. It is part of
// every durable key and of every stream header, so a number is never given a new meaning.
type GroupID uint16

// DirectoryGroup is the group that replicates domains, accounts, nodes, the partition map and
// settings to every node.
const DirectoryGroup GroupID = 0

// MaxPartitions is the highest number of partitions a cluster may be initialised with.
const MaxPartitions = 256

// String gives "directory" or "p7".
func (g GroupID) String() string {
	if g == DirectoryGroup {
		return "directory"
	}
	return fmt.Sprintf("p%d", uint16(g))
}

// NodeID names one node for as long as the cluster lives. It is the Raft ServerID of the node in
// every group it takes part in, and is never reused after a node was removed.
type NodeID string

// LogIndex is a position in the Raft log of one group. Indexes of different groups do not compare.
type LogIndex uint64

// CommandID is the 128-bit identity of a command. A proposer keeps it over all retries of one
// command, and the group executes each identity once (see cluster/exactlyonce).
type CommandID [16]byte

// IsZero reports whether no identity was given yet.
func (id CommandID) IsZero() bool { return id == CommandID{} }

// String gives 32 hexadecimal digits.
func (id CommandID) String() string { return hex.EncodeToString(id[:]) }

// Errors that callers act on. They are wrapped with what was being done; test with errors.Is.
var (
	// ErrNotLeader says that this replica cannot propose because another one leads, or none does.
	// A router retries elsewhere; doors never see it.
	ErrNotLeader = errors.New("not the leader of the group")
	// ErrUnavailable says that no majority answered in time. It is temporary: SMTP answers
	// 451 4.3.2 and IMAP NO [UNAVAILABLE]. Whether the command was executed is not known.
	ErrUnavailable = errors.New("no majority of the group answers")
	// ErrNoReplica says that this node holds no replica of the group, so that there is nothing
	// to read locally.
	ErrNoReplica = errors.New("this node holds no replica of the group")
	// ErrStorageFull says that the disk below the log has no room. It is temporary: SMTP answers
	// 452 4.3.1 and IMAP NO [UNAVAILABLE].
	ErrStorageFull = errors.New("no room on the disk")
	// ErrTooLarge says that a command is above the size a log entry may have (MaxEntrySize).
	ErrTooLarge = errors.New("command is larger than a log entry may be")
	// ErrStopped says that the replica or the node is shutting down.
	ErrStopped = errors.New("shutting down")
)

// MaxEntrySize is the largest encoded command in bytes. Above it, replication of one entry starts
// to endanger heartbeats.
const MaxEntrySize = 512 << 10

// AccountID names one account for as long as the cluster lives; the directory gives it out and
// records which partition holds the account. 0 is no account.
type AccountID uint64
