package access

import (
	"crypto/sha256"

	"github.com/rookery-mail/rookery/index/keys"
)

// DedupKey is what makes two deliveries to an account the same: message, envelope recipient and the hash of the content. A
// recipient without address is never found to be delivered before: nil.
func DedupKey(messageID, address string, hash []byte) []byte {
	if address == "" {
		return nil
	}
	h := sha256.New()
	h.Write([]byte("rookery delivery 1\x00"))
	h.Write([]byte(messageID))
	h.Write([]byte{0})
	h.Write(foldASCII(address))
	h.Write([]byte{0})
	h.Write(hash)
	return h.Sum(nil)[:keys.DedupKeySize]
}

func foldASCII(s string) []byte {
	out := []byte(s)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}
