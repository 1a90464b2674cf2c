package bearer

import (
	"encoding/json"
	"fmt"
)

// maxName bounds what a claim may hold, in octets: more than the longest address.
const maxName = 320

// claims is the payload of a token whose signature was good.
type claims map[string]json.RawMessage

// name is what a claim says.
func (c claims) name(claim string) (string, error) {
	var name string
	if err := json.Unmarshal(c[claim], &name); err != nil || name == "" || len(name) > maxName {
		return "", fmt.Errorf("%w: its claim %s holds no name", ErrToken, claim)
	}
	if claim == "email" && !c.verified() {
		return "", fmt.Errorf("%w: its issuer did not verify the address %s", ErrToken, name)
	}
	return name, nil
}

// verified reports whether email_verified is true. Some issuers write it as a string.
func (c claims) verified() bool {
	switch string(c["email_verified"]) {
	case `true`, `"true"`:
		return true
	}
	return false
}
