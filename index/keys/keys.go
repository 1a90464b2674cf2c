// Package keys is the one table of the keys of a partition. KEYS.md says what is kept under each.
// It knows the bytes of keys only; the records are in index/indexpb, the blocks in index/uidset.
//
// A key is a table's byte and fixed-width big-endian fields, so that keys order as their fields do;
// a name or hash ends a key. The functions append to dst, which may be nil or a buffer used again.
package keys

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/index"
)

// Version is the version of the key schema that KEYS.md describes.
const Version = 1

// Table is the first byte of a key. Numbers are for ever: append, never reuse. Bytes up to
// cluster.Reserved belong to the group.
type Table byte

// The tables.
const (
	TableAccount      Table = 0x10
	TableMailbox      Table = 0x11
	TableName         Table = 0x12
	TableSubscription Table = 0x13
	TableUIDs         Table = 0x14
	TableUnseen       Table = 0x15
	TableFlags        Table = 0x16
	TableSummary      Table = 0x17
	TableChange       Table = 0x18
	TableTombstone    Table = 0x19
	TableBody         Table = 0x1a
	TableChunk        Table = 0x1b
	TableUpload       Table = 0x1c
	TableDedup        Table = 0x1d
	TableDedupExpiry  Table = 0x1e
	TableCounter      Table = 0x1f
	TableGraveyard    Table = 0x20
	TableDeleted      Table = 0x21
	TableKept         Table = 0x22
	TableACL          Table = 0x24
	TableAnnotation   Table = 0x28
	TableUser         Table = 0x29
	TablePack         Table = 0x2a
	TableBlobs        Table = 0x2b
)

// ErrFormat says that bytes are no key of the table they were read as.
var ErrFormat = errors.New("not a key of this table")

// Account is the key of an AccountRecord.
func Account(dst []byte, a index.AccountID) []byte { return account(dst, TableAccount, a) }

// Mailbox is the key of a MailboxRecord.
func Mailbox(dst []byte, a index.AccountID, m index.MailboxID) []byte {
	return InMailbox(dst, TableMailbox, a, m)
}

// ACL is the key of a mailbox's ACLRecord.
func ACL(dst []byte, a index.AccountID, m index.MailboxID) []byte {
	return InMailbox(dst, TableACL, a, m)
}

// Name is the key under which a mailbox name's id is kept, see EncodeID.
func Name(dst []byte, a index.AccountID, name string) []byte {
	return append(account(dst, TableName, a), name...)
}

// Subscription is the key of a subscription to a name that is no mailbox. It has no value.
func Subscription(dst []byte, a index.AccountID, name string) []byte {
	return append(account(dst, TableSubscription, a), name...)
}

// Block is the key of a UID block of TableUIDs, TableUnseen or TableDeleted.
func Block(dst []byte, t Table, a index.AccountID, m index.MailboxID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(InMailbox(dst, t, a, m), number)
}

// Message is the key of a message's record in TableFlags or TableSummary.
func Message(dst []byte, t Table, a index.AccountID, m index.MailboxID, u index.UID) []byte {
	return binary.BigEndian.AppendUint32(InMailbox(dst, t, a, m), uint32(u))
}

// Sequenced is the key of a message's entry in TableChange or TableTombstone.
func Sequenced(dst []byte, t Table, a index.AccountID, m index.MailboxID, s index.ModSeq, u index.UID) []byte {
	dst = binary.BigEndian.AppendUint64(InMailbox(dst, t, a, m), uint64(s))
	return binary.BigEndian.AppendUint32(dst, uint32(u))
}

// Annotation is the key of an AnnotationRecord. Mailbox 0 is the account itself; user is whose private
// entry it is, 0 for one that is shared.
func Annotation(dst []byte, a index.AccountID, m index.MailboxID, user index.AccountID, entry string) []byte {
	return append(AnnotationsOf(dst, a, m, user), entry...)
}

// AnnotationsOf is the prefix of the keys of all annotations of a mailbox that are a user's, or shared.
func AnnotationsOf(dst []byte, a index.AccountID, m index.MailboxID, user index.AccountID) []byte {
	return binary.BigEndian.AppendUint64(InMailbox(dst, TableAnnotation, a, m), uint64(user))
}

// Graveyard is the key of a deleted mailbox whose summaries, and references to bodies, are still
// there. It has no value.
func Graveyard(dst []byte, a index.AccountID, m index.MailboxID) []byte {
	return InMailbox(dst, TableGraveyard, a, m)
}

// Kept is the key of the KeptRecord of a deleted mailbox whose flags and summaries are still there, to be
// filed where expunged mail is kept.
func Kept(dst []byte, a index.AccountID, m index.MailboxID) []byte {
	return InMailbox(dst, TableKept, a, m)
}

// InAccount is the prefix of all keys of t that belong to an account.
func InAccount(dst []byte, t Table, a index.AccountID) []byte { return account(dst, t, a) }

// InMailbox is the prefix of all keys of t that belong to a mailbox.
func InMailbox(dst []byte, t Table, a index.AccountID, m index.MailboxID) []byte {
	return binary.BigEndian.AppendUint32(account(dst, t, a), uint32(m))
}

// Whole is the prefix of all keys of t.
func Whole(dst []byte, t Table) []byte { return append(dst, byte(t)) }

// After appends to dst the lowest key above all keys that start with prefix.
func After(dst, prefix []byte) []byte {
	end := len(prefix)
	for end > 0 && prefix[end-1] == 0xff {
		end--
	}
	if end == 0 {
		return dst // the end of all keys
	}
	dst = append(dst, prefix[:end]...)
	dst[len(dst)-1]++
	return dst
}

// LastField reads the four bytes at the end of a key: a block's number, a message's UID, the id of
// a mailbox or the number of a chunk.
func LastField(key []byte) (uint32, error) {
	if len(key) < 5 {
		return 0, fmt.Errorf("key of %d bytes: %w", len(key), ErrFormat)
	}
	return binary.BigEndian.Uint32(key[len(key)-4:]), nil
}

// ReadSequenced reads the modification sequence and UID of a key that Sequenced made.
func ReadSequenced(key []byte) (index.ModSeq, index.UID, error) {
	if len(key) != 25 {
		return 0, 0, fmt.Errorf("sequenced key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.ModSeq(binary.BigEndian.Uint64(key[13:])), index.UID(binary.BigEndian.Uint32(key[21:])), nil
}

// ReadName reads the name of a key that Name or Subscription made.
func ReadName(key []byte) (string, error) {
	if len(key) < 9 {
		return "", fmt.Errorf("name key of %d bytes: %w", len(key), ErrFormat)
	}
	return string(key[9:]), nil
}

// ReadAnnotation reads what a key that Annotation made is of.
func ReadAnnotation(key []byte) (m index.MailboxID, user index.AccountID, entry string, err error) {
	if len(key) <= MailboxPrefix+8 || Table(key[0]) != TableAnnotation {
		return 0, 0, "", fmt.Errorf("annotation key of %d bytes: %w", len(key), ErrFormat)
	}
	m = index.MailboxID(binary.BigEndian.Uint32(key[9:]))
	return m, index.AccountID(binary.BigEndian.Uint64(key[MailboxPrefix:])), string(key[MailboxPrefix+8:]), nil
}

// ReadMessage reads what a key that Message made is of.
func ReadMessage(key []byte) (a index.AccountID, m index.MailboxID, u index.UID, err error) {
	if len(key) != MailboxPrefix+4 {
		return 0, 0, 0, fmt.Errorf("message key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.AccountID(binary.BigEndian.Uint64(key[1:])), index.MailboxID(binary.BigEndian.Uint32(key[9:])),
		index.UID(binary.BigEndian.Uint32(key[MailboxPrefix:])), nil
}

// MailboxPrefix is the length of what InMailbox appends, in bytes.
const MailboxPrefix = 13

// ReadAccount reads the account of a key that Account made.
func ReadAccount(key []byte) (index.AccountID, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("account key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.AccountID(binary.BigEndian.Uint64(key[1:])), nil
}

// ReadMailbox reads the account and mailbox of what Mailbox, Graveyard or InMailbox made.
func ReadMailbox(key []byte) (index.AccountID, index.MailboxID, error) {
	if len(key) != MailboxPrefix {
		return 0, 0, fmt.Errorf("mailbox key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.AccountID(binary.BigEndian.Uint64(key[1:])), index.MailboxID(binary.BigEndian.Uint32(key[9:])), nil
}

func account(dst []byte, t Table, a index.AccountID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(t)), uint64(a))
}
