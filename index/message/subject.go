package message

import (
	"bytes"
	"strings"
)

// BaseSubject gives the base subject of RFC 5256, section 2.1, from the raw value of a Subject field:
// decoded, with white space collapsed and without "Re:", "Fwd:", "[list]" and "(fwd)" around it. reply
// tells whether any of those but a list's name was there, as THREAD=REFERENCES wants to know. Case is
// kept; SORT and THREAD compare by their own collation.
func BaseSubject(raw []byte) (base string, reply bool) {
	s := strings.Join(strings.Fields(DecodeHeader(raw)), " ")
	for {
		var trailed bool
		s, trailed = trimTrailers(s)
		reply = reply || trailed
		for {
			before := s
			var led bool
			s, led = trimLeader(s)
			reply = reply || led
			if _, rest, ok := cutBlob(s); ok && rest != "" {
				s = rest
			}
			if s == before {
				break
			}
		}
		inner, ok := cutForward(s)
		if !ok {
			return s, reply
		}
		s, reply = inner, true
	}
}

// trimTrailers removes every "(fwd)" and space at the end (subj-trailer).
func trimTrailers(s string) (rest string, found bool) {
	for {
		s = strings.TrimRight(s, " ")
		if len(s) < 5 || !strings.EqualFold(s[len(s)-5:], "(fwd)") {
			return s, found
		}
		s, found = s[:len(s)-5], true
	}
}

// trimLeader removes one subj-leader: white space, or blobs and a refwd.
func trimLeader(s string) (rest string, reply bool) {
	s = strings.TrimLeft(s, " ")
	rest = s
	for {
		_, after, ok := cutBlob(rest)
		if !ok {
			break
		}
		rest = after
	}
	for _, word := range []string{"re", "fwd", "fw"} {
		if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
			continue
		}
		after := strings.TrimLeft(rest[len(word):], " ")
		if _, blobbed, ok := cutBlob(after); ok {
			after = blobbed
		}
		if after, ok := strings.CutPrefix(after, ":"); ok {
			return strings.TrimLeft(after, " "), true
		}
	}
	return s, false
}

// cutBlob cuts "[list] " off the start (subj-blob).
func cutBlob(s string) (blob, rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return "", s, false
	}
	end := strings.IndexAny(s[1:], "[]")
	if end < 0 || s[1+end] == '[' {
		return "", s, false
	}
	return s[:end+2], strings.TrimLeft(s[end+2:], " "), true
}

// cutForward takes what is in "[fwd: …]".
func cutForward(s string) (inner string, ok bool) {
	const start = "[fwd:"
	if len(s) <= len(start) || !strings.EqualFold(s[:len(start)], start) || !strings.HasSuffix(s, "]") {
		return s, false
	}
	return strings.TrimLeft(s[len(start):len(s)-1], " "), true
}

// MessageIDs gives the "<…>" of a raw References, In-Reply-To or Message-ID field in their order, without
// white space and with their brackets.
func MessageIDs(raw []byte) []string {
	var ids []string
	for {
		start := bytes.IndexByte(raw, '<')
		if start < 0 {
			return ids
		}
		raw = raw[start:]
		end := bytes.IndexByte(raw, '>')
		if end < 0 {
			return ids
		}
		if again := bytes.LastIndexByte(raw[:end], '<'); again > 0 {
			raw, end = raw[again:], end-again // the first one was never closed
		}
		if end <= maxMessageID {
			ids = append(ids, string(bytes.Join(bytes.Fields(raw[:end+1]), nil)))
		}
		raw = raw[end+1:]
	}
}
