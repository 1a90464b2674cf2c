package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rookery-mail/rookery/index"
)

// tableScripts is the table of scripts in a partition's keys; index/keys leaves 0x40 to 0x4f to it. KEYS.md says what is kept there.
const tableScripts = 0x40

// What is under tableScripts.
const (
	keptSummary = 0
	keptScript  = 1
)

// maxName is how long a name may be, in octets: 128 characters of UTF-8 (RFC 5804, section 1.6).
const maxName = 512

// errKey says that a stored key is not what KEYS.md says.
var errKey = errors.New("not a key of scripts")

// CheckName says what is wrong with the name of a script (RFC 5804, section 1.6): ErrName.
func CheckName(name string) error {
	switch {
	case name == "" || len(name) > maxName || utf8.RuneCountInString(name) > 128:
		return fmt.Errorf("a name of %d octets: %w", len(name), ErrName)
	case !utf8.ValidString(name):
		return fmt.Errorf("a name that is not UTF-8: %w", ErrName)
	case strings.ContainsFunc(name, isControl):
		return fmt.Errorf("a name with control characters: %w", ErrName)
	}
	return nil
}

func isControl(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029
}

func summaryKey(dst []byte, a index.AccountID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tableScripts, keptSummary), uint64(a))
}

// scriptKey is that of a script; without a name what all of the account's begin with.
func scriptKey(dst []byte, a index.AccountID, name string) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, tableScripts, keptScript), uint64(a)), name...)
}

func readScriptKey(key []byte) (a index.AccountID, name string, err error) {
	if len(key) < 11 || key[0] != tableScripts || key[1] != keptScript {
		return 0, "", fmt.Errorf("key %x: %w", key, errKey)
	}
	return index.AccountID(binary.BigEndian.Uint64(key[2:])), string(key[10:]), nil
}

func readSummaryKey(key []byte) (index.AccountID, error) {
	if len(key) != 10 || key[0] != tableScripts || key[1] != keptSummary {
		return 0, fmt.Errorf("key %x: %w", key, errKey)
	}
	return index.AccountID(binary.BigEndian.Uint64(key[2:])), nil
}
