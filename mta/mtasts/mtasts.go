// Package mtasts is MTA-STS (RFC 8461): the record by which a domain says that it has a policy, the policy, and when one
// that is kept still counts. It asks no DNS and fetches nothing; mta/mtasts/fetch and mta/mtasts/cache do.
package mtasts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is what a policy asks for (RFC 8461, section 5).
type Mode string

// The modes.
const (
	None    Mode = "none"    // nothing any more
	Testing Mode = "testing" // failures are reported, and stop nothing
	Enforce Mode = "enforce"
)

// Bounds of policies.
const (
	MaxPolicy = 64 << 10               // octets (RFC 8461, section 3.3)
	MaxAge    = 31557600 * time.Second // RFC 8461, section 3.2
	maxHosts  = 1000                   // patterns; what has more is no policy to us
)

// Policy is a policy (RFC 8461, section 3.2).
type Policy struct {
	Mode   Mode
	Hosts  []string // patterns of mx, in lower case: a host, or *.domain for all hosts right below it
	MaxAge time.Duration
}

// What is wrong with texts.
var (
	// ErrNoRecord says that a domain has no record, or none that counts: it has no policy.
	ErrNoRecord = errors.New("the domain has no MTA-STS record")
	// ErrPolicy says that a text is no policy.
	ErrPolicy = errors.New("not an MTA-STS policy")
)

// ParseRecord finds the id of a domain's policy in the texts of _mta-sts.DOMAIN (RFC 8461, section 3.1). Where there is not exactly
// one record that is right, it is ErrNoRecord.
func ParseRecord(texts []string) (id string, err error) {
	for _, text := range texts {
		rest, ok := strings.CutPrefix(text, "v=STSv1")
		if !ok || rest != "" && !strings.HasPrefix(strings.TrimLeft(rest, " \t"), ";") {
			continue
		}
		if id != "" {
			return "", fmt.Errorf("%w: it has several", ErrNoRecord)
		}
		if id = idOf(rest); id == "" {
			return "", fmt.Errorf("%w: %.100q has no good id", ErrNoRecord, text)
		}
	}
	if id == "" {
		return "", ErrNoRecord
	}
	return id, nil
}

// idOf is the id among the fields of a record; empty where it is missing or malformed.
func idOf(fields string) string {
	for field := range strings.SplitSeq(fields, ";") {
		value, ok := strings.CutPrefix(strings.Trim(field, " \t"), "id=")
		if !ok {
			continue
		}
		if value == "" || len(value) > 32 || strings.Trim(value, alphanumeric) != "" {
			return ""
		}
		return value
	}
	return ""
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// ParsePolicy reads a policy file. What is wrong with it is ErrPolicy.
func ParsePolicy(text []byte) (Policy, error) {
	if len(text) > MaxPolicy {
		return Policy{}, fmt.Errorf("%w: more than %d octets", ErrPolicy, MaxPolicy)
	}
	var p Policy
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n"), "\n") {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || key == "" {
			return Policy{}, fmt.Errorf("%w: the line %.100q", ErrPolicy, line)
		}
		key, value = strings.TrimRight(key, " \t"), strings.Trim(value, " \t")
		if seen[key] && key != "mx" {
			continue // the first counts (RFC 8461, section 3.2)
		}
		seen[key] = true
		if err := p.field(key, value); err != nil {
			return Policy{}, err
		}
	}
	switch {
	case !seen["version"], !seen["mode"], !seen["max_age"]:
		return Policy{}, fmt.Errorf("%w: version, mode or max_age is missing", ErrPolicy)
	case len(p.Hosts) == 0 && p.Mode != None:
		return Policy{}, fmt.Errorf("%w: no mx", ErrPolicy)
	}
	return p, nil
}

func (p *Policy) field(key, value string) error {
	switch key {
	case "version":
		if value != "STSv1" {
			return fmt.Errorf("%w: version %.40q", ErrPolicy, value)
		}
	case "mode":
		p.Mode = Mode(value)
		if p.Mode != None && p.Mode != Testing && p.Mode != Enforce {
			return fmt.Errorf("%w: mode %.40q", ErrPolicy, value)
		}
	case "max_age":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || len(value) > 10 || strings.Trim(value, "0123456789") != "" {
			return fmt.Errorf("%w: max_age %.40q", ErrPolicy, value)
		}
		p.MaxAge = time.Duration(min(n, uint64(MaxAge/time.Second))) * time.Second
	case "mx":
		host := strings.ToLower(value)
		if !isHost(strings.TrimPrefix(host, "*.")) {
			return fmt.Errorf("%w: mx %.100q", ErrPolicy, value)
		}
		if len(p.Hosts) == maxHosts {
			return fmt.Errorf("%w: more than %d mx", ErrPolicy, maxHosts)
		}
		p.Hosts = append(p.Hosts, host)
	}
	return nil // what is not known is for others
}

// isHost reports whether a name is one of a host, in lower case A-labels.
func isHost(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// Allows reports whether a host, in lower case without the last dot, is one of the policy's (RFC 8461, section 4.1).
func (p Policy) Allows(host string) bool {
	for _, pattern := range p.Hosts {
		if pattern == host {
			return true
		}
		if parent, ok := strings.CutPrefix(pattern, "*"); ok {
			if label, rest, ok := strings.Cut(host, "."); ok && label != "" && "."+rest == parent {
				return true
			}
		}
	}
	return false
}

// Lines are the lines of a policy's text, as reports quote them (RFC 8460, section 4.4).
func Lines(text []byte) []string {
	var out []string
	for line := range strings.SplitSeq(strings.TrimRight(string(text), "\r\n"), "\n") {
		out = append(out, strings.TrimSuffix(line, "\r"))
	}
	return out
}
