package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrNotMail is what is said of a file that holds something else.
var ErrNotMail = errors.New("not mail: its first line is not a header field")

// Own sends a user's own messages in turn. Each gets a header field that makes it different from its
// earlier sendings.
type Own struct {
	run      string
	messages [][]byte
}

// NewOwn makes a source of messages as Canonical and SplitMbox give them; there must be one at least.
func NewOwn(run string, messages [][]byte) (*Own, error) {
	if len(messages) == 0 {
		return nil, errors.New("the corpus holds no message")
	}
	return &Own{run: run, messages: messages}, nil
}

// Len is how many different messages there are.
func (o *Own) Len() int { return len(o.messages) }

// Append appends message n, counted round and round.
func (o *Own) Append(dst []byte, n int) []byte {
	dst = append(dst, "X-Bench: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(append(append(dst, '.'), o.run...), '\r', '\n')
	return append(dst, o.messages[n%len(o.messages)]...)
}

// Canonical checks that the octets are a message (RFC 5322) and ends all lines with CRLF. ErrNotMail
// where they are not.
func Canonical(raw []byte) ([]byte, error) {
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	name, _, ok := bytes.Cut(first, []byte(":"))
	if !ok || len(name) == 0 || bytes.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return nil, ErrNotMail
	}
	out := make([]byte, 0, len(raw)+len(raw)/32)
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		for _, c := range line {
			if c != '\r' && c != 0 { // servers refuse both, rightly
				out = append(out, c)
			}
		}
		out, raw = append(out, '\r', '\n'), rest
	}
	return out, nil
}

// SplitMbox reads an mbox file of any of its dialects: messages begin with "From " after an empty line or
// at the start, and ">From " is unquoted. It stops at limit octets in all, keeping what it has.
func SplitMbox(r io.Reader, limit int) ([][]byte, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var (
		out     [][]byte
		current []byte
		begun   bool
		blank   = true
		total   int
	)
	finish := func() error {
		if !begun {
			return nil
		}
		m, err := Canonical(bytes.TrimSuffix(current, []byte("\n\n")))
		if err != nil {
			return fmt.Errorf("message %d of the mbox: %w", len(out)+1, err)
		}
		out, current = append(out, m), nil
		return nil
	}
	for total < limit {
		line, err := in.ReadBytes('\n')
		total += len(line)
		switch {
		case blank && bytes.HasPrefix(line, []byte("From ")):
			if err := finish(); err != nil {
				return nil, err
			}
			begun = true
		case !begun && len(bytes.TrimSpace(line)) > 0:
			return nil, errors.New("not an mbox: it does not begin with a line \"From \"")
		case begun:
			current = append(current, unquoteFrom(line)...)
		}
		blank = len(bytes.TrimRight(line, "\r\n")) == 0
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the mbox: %w", err)
		}
	}
	return out, finish()
}

// unquoteFrom undoes the quoting of lines that begin with "From ".
func unquoteFrom(line []byte) []byte {
	if bytes.HasPrefix(line, []byte(">")) && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		return line[1:]
	}
	return line
}
