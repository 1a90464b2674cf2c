package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Answer is what a command got.
type Answer struct {
	Lines    int    // untagged responses
	Octets   int64  // of everything
	Text     string // of the tagged response
	untagged func(line string, literals [][]byte)
}

// maxLiteral bounds what one literal may hold, so that a broken server cannot exhaust memory.
const maxLiteral = 64 << 20

// read consumes responses up to the one with the tag.
func (a *Answer) read(r *bufio.Reader, tag string) error {
	for {
		line, literals, err := a.response(r)
		if err != nil {
			return fmt.Errorf("wait for the answer: %w", err)
		}
		if text, ok := bytes.CutPrefix(line, []byte(tag+" ")); ok {
			a.Text = string(text)
			if !bytes.HasPrefix(text, []byte("OK")) {
				return errors.New("the server said: " + a.Text)
			}
			return nil
		}
		a.Lines++
		if a.untagged != nil {
			a.untagged(string(line), literals)
		}
	}
}

// response reads one response with its literals, which are kept only where somebody wants them.
func (a *Answer) response(r *bufio.Reader) (text []byte, literals [][]byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		a.Octets += int64(len(part))
		for errors.Is(err, bufio.ErrBufferFull) {
			text = append(text, part...)
			part, err = r.ReadSlice('\n')
			a.Octets += int64(len(part))
		}
		if err != nil {
			return nil, nil, err
		}
		part = bytes.TrimRight(part, "\r\n")
		text = append(text, part...)
		size, ok := literal(text)
		if !ok {
			return text, literals, nil
		}
		if size > maxLiteral {
			return nil, nil, fmt.Errorf("a literal of %d octets", size)
		}
		a.Octets += int64(size)
		if a.untagged == nil {
			if _, err := r.Discard(size); err != nil {
				return nil, nil, err
			}
			continue
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, nil, err
		}
		literals = append(literals, data)
	}
}

// literal tells whether a line announces a literal, and its octets (RFC 9051 section 4.3).
func literal(line []byte) (int, bool) {
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false
	}
	i := bytes.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(line[i+1:len(line)-1]), 10, 31)
	return int(n), err == nil
}
