package zone

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Document is the text of an MTA-STS policy (RFC 8461, section 3.2), with lines ending in CRLF. maxAge is in seconds.
func Document(mode string, hosts []string, maxAge uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\r\nmode: %s\r\n", mode)
	for _, h := range hosts {
		fmt.Fprintf(&b, "mx: %s\r\n", h)
	}
	fmt.Fprintf(&b, "max_age: %d\r\n", maxAge)
	return b.String()
}

// DocumentID is the id of a policy's text: it changes with the text, and with nothing else (RFC 8461, section 3.1).
func DocumentID(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:10])
}
