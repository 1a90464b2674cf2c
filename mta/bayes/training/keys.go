package training

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/mta/bayes"
)

// The tables in a partition's keys; index/keys leaves 0x50 to 0x53 to them. KEYS.md says what is kept under each.
const (
	tableModel    = 0x50
	tableToken    = 0x51
	tableTraining = 0x52
	tableOrder    = 0x53
)

// errKey says that a stored key or value is not what KEYS.md says.
var errKey = errors.New("not a key of what is learnt")

func inAccount(dst []byte, table byte, account uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, table), account)
}

func modelKey(dst []byte, account uint64) []byte { return inAccount(dst, tableModel, account) }

func tokenKey(dst []byte, account, id uint64) []byte {
	return binary.BigEndian.AppendUint64(inAccount(dst, tableToken, account), id)
}

// readToken reads the number of a key that tokenKey made.
func readToken(key []byte) (uint64, error) {
	if len(key) != 17 {
		return 0, fmt.Errorf("key %x: %w", key, errKey)
	}
	return binary.BigEndian.Uint64(key[9:]), nil
}

func trainingKey(dst []byte, account uint64, message []byte) []byte {
	return append(inAccount(dst, tableTraining, account), message...)
}

// orderKey orders trainings by when they were made. Its value is the message's key.
func orderKey(dst []byte, account, number uint64) []byte {
	return binary.BigEndian.AppendUint64(inAccount(dst, tableOrder, account), number)
}

// observed is the value under tokenKey: how many messages of each kind had the token, and when one was learnt last.
type observed struct {
	bayes.Count
	day uint32 // since 1970
}

func (o observed) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(o.Spam))
	dst = binary.AppendUvarint(dst, uint64(o.Ham))
	return binary.AppendUvarint(dst, uint64(o.day))
}

func readObserved(value []byte) (o observed, err error) {
	for _, field := range []*uint32{&o.Spam, &o.Ham, &o.day} {
		v, n := binary.Uvarint(value)
		if n <= 0 || v > 1<<32-1 {
			return o, fmt.Errorf("token of %x: %w", value, errKey)
		}
		*field, value = uint32(v), value[n:]
	}
	if len(value) > 0 {
		return o, fmt.Errorf("token with %x behind it: %w", value, errKey)
	}
	return o, nil
}
