package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/rookery-mail/rookery/blobstore"
)

const keyWord = "rookery-blob-key-1"

// FormatKeys writes cluster keys as the text that is exported for safe keeping: a line of the word
// "rookery-blob-key-1", the key's id, the secret and four octets of a checksum, in hexadecimal digits.
func FormatKeys(keys []ClusterKey) []byte {
	var b bytes.Buffer
	b.WriteString("# Keys of a Rookery cluster. With the bucket, they are enough to read all mail in it.\n")
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %x %x %x\n", keyWord, k.ID, k.Secret, k.check())
	}
	return b.Bytes()
}

// ReadKeys reads what FormatKeys writes; empty lines and those that begin with "#" count for nothing. Its
// error is blobstore.ErrFormat and names the line.
func ReadKeys(text []byte) ([]ClusterKey, error) {
	var keys []ClusterKey
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		k, err := readKey(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d of the keys: %w", number, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func readKey(fields []string) (k ClusterKey, err error) {
	if len(fields) != 4 || fields[0] != keyWord {
		return k, fmt.Errorf("not %q, an id, a secret, a checksum: %w", keyWord, blobstore.ErrFormat)
	}
	var check [4]byte
	for i, to := range [][]byte{k.ID[:], k.Secret[:], check[:]} {
		octets, err := hex.DecodeString(fields[i+1])
		if err != nil || len(octets) != len(to) {
			return k, fmt.Errorf("field %d is not %d hexadecimal digits: %w", i+2, 2*len(to), blobstore.ErrFormat)
		}
		copy(to, octets)
	}
	if k.check() != check {
		return k, fmt.Errorf("the checksum does not fit, a digit is wrong: %w", blobstore.ErrFormat)
	}
	return k, nil
}

func (k ClusterKey) check() (c [4]byte) {
	h := sha256.Sum256(append(append([]byte(keyWord), k.ID[:]...), k.Secret[:]...))
	copy(c[:], h[:])
	return c
}
