package keys

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/index"
)

// DedupKeySize is the length of a delivery's key in bytes.
const DedupKeySize = 16

// UploadIDSize is the length of an upload's identity in bytes.
const UploadIDSize = 16

// Counter names one of the partition's counters. Numbers are for ever.
type Counter byte

// The counters.
const (
	NextBody Counter = 1 // the BodyID to be given out next, less one
)

// CounterKey is the key of a counter, see EncodeUint64.
func CounterKey(dst []byte, c Counter) []byte { return append(dst, byte(TableCounter), byte(c)) }

// Body is the key of a BodyRecord.
func Body(dst []byte, b index.BodyID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(TableBody)), uint64(b))
}

// Chunk is the key of one compressed chunk of a body.
func Chunk(dst []byte, b index.BodyID, number uint32) []byte {
	return binary.BigEndian.AppendUint32(Chunks(dst, b), number)
}

// Chunks is the prefix of all chunks of a body.
func Chunks(dst []byte, b index.BodyID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(TableChunk)), uint64(b))
}

// ReadBody reads the body of a key that Body or Chunk made.
func ReadBody(key []byte) (index.BodyID, error) {
	if len(key) != 9 && len(key) != 13 {
		return 0, fmt.Errorf("body key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.BodyID(binary.BigEndian.Uint64(key[1:])), nil
}

// User is the key that says that a message has a body. It has no value.
func User(dst []byte, b index.BodyID, a index.AccountID, m index.MailboxID, u index.UID) []byte {
	dst = binary.BigEndian.AppendUint64(UsersOf(dst, b), uint64(a))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m))
	return binary.BigEndian.AppendUint32(dst, uint32(u))
}

// UsersOf is the prefix of the keys of all users of a body.
func UsersOf(dst []byte, b index.BodyID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(TableUser)), uint64(b))
}

// ReadUser reads a key that User made.
func ReadUser(key []byte) (b index.BodyID, a index.AccountID, m index.MailboxID, u index.UID, err error) {
	if len(key) != 25 {
		return 0, 0, 0, 0, fmt.Errorf("user key of %d bytes: %w", len(key), ErrFormat)
	}
	return index.BodyID(binary.BigEndian.Uint64(key[1:])), index.AccountID(binary.BigEndian.Uint64(key[9:])),
		index.MailboxID(binary.BigEndian.Uint32(key[17:])), index.UID(binary.BigEndian.Uint32(key[21:])), nil
}

// Pack is the key of a PackRecord.
func Pack(dst []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(TablePack)), number)
}

// ReadPack reads the number of a key that Pack made.
func ReadPack(key []byte) (uint64, error) {
	if len(key) != 9 {
		return 0, fmt.Errorf("pack key of %d bytes: %w", len(key), ErrFormat)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

// Blobs is the key of the BlobRecord.
func Blobs(dst []byte) []byte { return append(dst, byte(TableBlobs)) }

// Upload is the key of an UploadRecord; id has UploadIDSize bytes.
func Upload(dst, id []byte) []byte { return append(append(dst, byte(TableUpload)), id...) }

// Dedup is the key of a recent delivery, see Delivered; key has DedupKeySize bytes.
func Dedup(dst []byte, a index.AccountID, key []byte) []byte {
	return append(account(dst, TableDedup, a), key...)
}

// DedupExpiry is the key that orders recent deliveries by when they are forgotten. It has no value.
func DedupExpiry(dst []byte, expiry time.Time, a index.AccountID, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, byte(TableDedupExpiry)), uint64(expiry.UnixMilli()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a))
	return append(dst, key...)
}

// ReadDedupExpiry reads a key that DedupExpiry made. The returned key aliases it.
func ReadDedupExpiry(key []byte) (expiry time.Time, a index.AccountID, dedup []byte, err error) {
	if len(key) != 17+DedupKeySize {
		return time.Time{}, 0, nil, fmt.Errorf("expiry key of %d bytes: %w", len(key), ErrFormat)
	}
	expiry = time.UnixMilli(int64(binary.BigEndian.Uint64(key[1:]))).UTC()
	return expiry, index.AccountID(binary.BigEndian.Uint64(key[9:])), key[17:], nil
}

// Delivered is the value under Dedup: where the message went, and until when that is remembered.
//
// Layout, big endian: expiry in Unix milliseconds (8 bytes), mailbox (4), UIDVALIDITY (4), UID (4).
type Delivered struct {
	Expiry      time.Time
	Mailbox     index.MailboxID
	UIDValidity uint32
	UID         index.UID
}

// Append appends the encoded value to dst.
func (d Delivered) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.Expiry.UnixMilli()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(d.Mailbox))
	dst = binary.BigEndian.AppendUint32(dst, d.UIDValidity)
	return binary.BigEndian.AppendUint32(dst, uint32(d.UID))
}

// DecodeDelivered reads the value under Dedup.
func DecodeDelivered(value []byte) (Delivered, error) {
	if len(value) != 20 {
		return Delivered{}, fmt.Errorf("delivery record of %d bytes: %w", len(value), ErrFormat)
	}
	return Delivered{
		Expiry:      time.UnixMilli(int64(binary.BigEndian.Uint64(value))).UTC(),
		Mailbox:     index.MailboxID(binary.BigEndian.Uint32(value[8:])),
		UIDValidity: binary.BigEndian.Uint32(value[12:]),
		UID:         index.UID(binary.BigEndian.Uint32(value[16:])),
	}, nil
}

// EncodeUint64 appends the value of a counter.
func EncodeUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

// DecodeUint64 reads the value of a counter.
func DecodeUint64(value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("counter of %d bytes: %w", len(value), ErrFormat)
	}
	return binary.BigEndian.Uint64(value), nil
}

// EncodeID appends the value under Name.
func EncodeID(dst []byte, m index.MailboxID) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(m))
}

// DecodeID reads the value under Name.
func DecodeID(value []byte) (index.MailboxID, error) {
	if len(value) != 4 {
		return 0, fmt.Errorf("mailbox id of %d bytes: %w", len(value), ErrFormat)
	}
	return index.MailboxID(binary.BigEndian.Uint32(value)), nil
}
