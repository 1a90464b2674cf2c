package queue

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/mta"
)

// EntryID names a message of a partition's queue, ascending, never 0.
type EntryID uint64

// Place names one recipient of an entry: the number it had in the submission, from 0.
type Place struct {
	Entry     EntryID
	Recipient uint32
}

// Compare orders places by entry and recipient.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Entry, q.Entry), cmp.Compare(p.Recipient, q.Recipient))
}

// The tables of the queue in a partition's keys; index/keys leaves 0x30 to 0x3f to it. KEYS.md says what is
// kept under each.
const (
	tableEntry       = 0x30
	tableRecipient   = 0x31
	tableAgenda      = 0x32
	tableDestination = 0x33
	tableWaiting     = 0x34
	tableClaimed     = 0x35
	tableAlarm       = 0x36
	tableControl     = 0x37
	tableConduct     = 0x38
	tableAcquainted  = 0x39
	tableRemembered  = 0x3c
	tableForget      = 0x3d
)

// The keys under tableConduct.
const (
	conductRecord    = 0
	conductUnnoticed = 1
)

// The keys under tableControl.
const (
	controlLastEntry = 1
	controlTerm      = 2
	controlFloor     = 3 // no destination is tried before that time
	controlStale     = 4 // keys of the agenda that were deleted since the floor was found
)

// errKey says that a stored key or value is not what KEYS.md says.
var errKey = errors.New("not a key of the queue")

// maxDestination bounds a destination in octets: a domain, or an address literal.
const maxDestination = 255

// checkDestination reports whether a text may be the destination of a recipient: it ends with a zero octet in keys.
func checkDestination(s string) error {
	if s == "" || len(s) > maxDestination || strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("destination of %d octets", len(s))
	}
	return nil
}

func entryKey(dst []byte, e EntryID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tableEntry), uint64(e))
}

func placed(dst []byte, table byte, p Place) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(append(dst, table), uint64(p.Entry)), p.Recipient)
}

func recipientKey(dst []byte, p Place) []byte { return placed(dst, tableRecipient, p) }
func claimedKey(dst []byte, p Place) []byte   { return placed(dst, tableClaimed, p) }

// readPlace reads the place at the end of a key.
func readPlace(key []byte) (p Place, err error) {
	if len(key) < 13 {
		return p, fmt.Errorf("key %x: %w", key, errKey)
	}
	tail := key[len(key)-12:]
	return Place{EntryID(binary.BigEndian.Uint64(tail)), binary.BigEndian.Uint32(tail[8:])}, nil
}

// agendaKey orders destinations by when they are tried next.
func agendaKey(dst []byte, at int64, destination string) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, tableAgenda), uint64(at)), destination...)
}

func readAgenda(key []byte) (at int64, destination string, err error) {
	if len(key) < 10 {
		return 0, "", fmt.Errorf("key %x: %w", key, errKey)
	}
	return int64(binary.BigEndian.Uint64(key[1:])), string(key[9:]), nil
}

func destinationKey(dst []byte, destination string) []byte {
	return append(append(dst, tableDestination), destination...)
}

// ranks is how many ranks of recipients there are: one for each priority, the highest first.
const ranks = mta.HighestPriority - mta.LowestPriority + 1

// rankOf is where a priority stands. check holds priorities to their bounds.
func rankOf(priority int32) byte { return byte(mta.HighestPriority - priority) }

// waitingAt is the prefix of what waits for a destination in a rank.
func waitingAt(dst []byte, destination string, rank byte) []byte {
	return append(append(append(dst, tableWaiting), destination...), 0, rank)
}

// waitingFrom is the lowest key of those who are due at a time or after it.
func waitingFrom(dst []byte, destination string, rank byte, due int64) []byte {
	return binary.BigEndian.AppendUint64(waitingAt(dst, destination, rank), uint64(due))
}

// waitingKey orders what waits for a destination by rank, and by when it is due.
func waitingKey(dst []byte, destination string, rank byte, due int64, p Place) []byte {
	dst = waitingFrom(dst, destination, rank, due)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, uint64(p.Entry)), p.Recipient)
}

func readWaiting(key []byte) (due int64, p Place, err error) {
	if len(key) < 24 {
		return 0, p, fmt.Errorf("key %x: %w", key, errKey)
	}
	p, err = readPlace(key)
	return int64(binary.BigEndian.Uint64(key[len(key)-20:])), p, err
}

// alarmKey orders entries by when their delay is to be told, or they are to be given up.
func alarmKey(dst []byte, at int64, e EntryID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(dst, tableAlarm), uint64(at)), uint64(e))
}

func readAlarm(key []byte) (at int64, e EntryID, err error) {
	if len(key) != 17 {
		return 0, 0, fmt.Errorf("key %x: %w", key, errKey)
	}
	return int64(binary.BigEndian.Uint64(key[1:])), EntryID(binary.BigEndian.Uint64(key[9:])), nil
}

func controlKey(dst []byte, what byte) []byte { return append(dst, tableControl, what) }

func conductKey(dst []byte, account uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tableConduct, conductRecord), account)
}

// unnoticedKey is there while no administrator was told that an account is held.
func unnoticedKey(dst []byte, account uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tableConduct, conductUnnoticed), account)
}

// readConductKey reads the account of either.
func readConductKey(key []byte) (account uint64, err error) {
	if len(key) != 10 {
		return 0, fmt.Errorf("key %x: %w", key, errKey)
	}
	return binary.BigEndian.Uint64(key[2:]), nil
}

func acquaintanceKey(dst []byte, account uint64, hash []byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, tableAcquainted), account), hash...)
}
