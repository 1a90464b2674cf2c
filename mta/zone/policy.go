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

// Fetched compares the policy that others get with the one that is to be served. failed is why none could be had; empty
// where one was.
func Fetched(f Facts, text, failed string) Finding {
	out := Finding{State: OK, Record: Record{Role: RoleFetched, Name: "mta-sts." + f.Domain, Type: "HTTPS", Data: f.Policy.Text, Essential: f.Policy.Mode == "enforce",
		About: "The policy, as others fetch it."}}
	switch {
	case failed != "":
		out.State = Missing
		out.Do = "Others cannot get it: " + failed + ". It has to be at https://mta-sts." + f.Domain + "/.well-known/mta-sts.txt, with a certificate of a public authority for that name."
	case strings.Join(strings.Fields(text), " ") != strings.Join(strings.Fields(f.Policy.Text), " "):
		out.State, out.Found = Differs, strings.Split(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), "\n")
		out.Do = "What is served there is another policy: serve the one of `rookery domain mta-sts " + f.Domain + "`, or set that right."
	}
	return out
}

// DocumentID is the id of a policy's text: it changes with the text, and with nothing else (RFC 8461, section 3.1).
func DocumentID(document string) string {
	sum := sha256.Sum256([]byte(document))
	return hex.EncodeToString(sum[:10])
}
