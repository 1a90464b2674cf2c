// Package wire is the grammar of ManageSieve (RFC 5804, section 4): commands read from a client, with limits, and strings and responses
// written. It knows no command.
package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The limits of a command.
const (
	MaxLine   = 8 << 10 // octets of a line, without literals
	maxArgs   = 8
	maxQuoted = 1024 // octets of a quoted string (RFC 5804, section 4)
)

// ErrSyntax says that a command is none. It was read to its end: the next one can be.
var ErrSyntax = errors.New("not a command of ManageSieve")

// ErrTooLarge says that a literal is larger than is taken. It was read away, with the rest of its command.
var ErrTooLarge = errors.New("the string is too large")

// ErrBroken says that where the next command begins is not known.
var ErrBroken = errors.New("a line or a string that is too long to be read away")

// Command is what a client sent: a word in capitals, and strings and numbers.
type Command struct {
	Name string
	Args []Arg
}

// Arg is an argument.
type Arg struct {
	Text   string
	Number bool
}

// Reader reads commands.
type Reader struct {
	r       *bufio.Reader
	literal int64 // octets that are taken of one
	waste   int64 // octets that are read away
}

// NewReader reads from r literals of at most so many octets.
func NewReader(r io.Reader, literal int64) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, MaxLine), literal: literal, waste: max(16*literal, 1<<20)}
}

// Buffered reports how much of what the client sent was not read.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// Command reads the next command. Errors beside ErrSyntax and ErrTooLarge end the connection.
func (r *Reader) Command() (Command, error) {
	c, err := r.Strings()
	if err != nil {
		return Command{}, err
	}
	if len(c) == 0 || !c[0].word {
		return Command{}, fmt.Errorf("%w: no word begins it", ErrSyntax)
	}
	cmd := Command{Name: strings.ToUpper(c[0].Text)}
	for _, a := range c[1:] {
		if a.word {
			return Command{}, fmt.Errorf("%w: %.32q is neither a string nor a number", ErrSyntax, a.Text)
		}
		cmd.Args = append(cmd.Args, a.Arg)
	}
	return cmd, nil
}

// Token is a word, a string or a number.
type Token struct {
	Arg
	word bool
}

// Strings reads a line with its literals.
func (r *Reader) Strings() (list []Token, err error) {
	var bad error
	fail := func(err error) {
		if bad == nil {
			bad = err
		}
	}
	left := r.waste
	for {
		line, err := r.r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil, ErrBroken
		}
		if err != nil {
			return nil, err
		}
		if len(line) < 2 || line[len(line)-2] != '\r' {
			fail(fmt.Errorf("%w: a line that does not end in CR LF", ErrSyntax))
		}
		size, more, err := tokens(bytes.TrimRight(line, "\r\n"), &list)
		if err != nil {
			fail(err)
		}
		if len(list) > maxArgs {
			fail(fmt.Errorf("%w: too many arguments", ErrSyntax))
		}
		if !more {
			break
		}
		if left -= size; left < 0 {
			return nil, ErrBroken
		}
		if size > r.literal || bad != nil {
			if size > r.literal {
				fail(ErrTooLarge)
			}
			if _, err := r.r.Discard(int(size)); err != nil {
				return nil, err
			}
			continue
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r.r, text); err != nil {
			return nil, err
		}
		list = append(list, Token{Arg: Arg{Text: string(text)}})
	}
	return list, bad
}

// tokens reads a line. more says that a literal of size octets follows it.
func tokens(line []byte, list *[]Token) (size int64, more bool, err error) {
	for len(line) > 0 {
		switch c := line[0]; {
		case c == ' ':
			line = line[1:]
		case c == '"':
			text, rest, ok := quoted(line[1:])
			if !ok {
				return 0, false, fmt.Errorf("%w: a quoted string that does not end, or is too long", ErrSyntax)
			}
			*list = append(*list, Token{Arg: Arg{Text: text}})
			line = rest
		case c == '{':
			size, ok := literal(line)
			if !ok {
				return 0, false, fmt.Errorf("%w: a literal that is none", ErrSyntax)
			}
			return size, true, nil
		default:
			end := bytes.IndexAny(line, " \"{")
			if end < 0 {
				end = len(line)
			}
			if end == 0 {
				return 0, false, ErrSyntax
			}
			t := Token{Arg: Arg{Text: string(line[:end])}, word: true}
			if n, err := strconv.ParseUint(t.Text, 10, 32); err == nil && strconv.FormatUint(n, 10) == t.Text {
				t.word, t.Number = false, true
			}
			*list = append(*list, t)
			line = line[end:]
		}
	}
	return 0, false, nil
}

// quoted reads a quoted string behind its first mark.
func quoted(b []byte) (text string, rest []byte, ok bool) {
	var out []byte
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return string(out), b[i+1:], len(out) <= maxQuoted
		case c == '\\' && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\\'):
			i++
			out = append(out, b[i])
		case c == '\\' || c == 0 || c == '\r':
			return "", nil, false
		default:
			out = append(out, c)
		}
	}
	return "", nil, false
}

// literal reads {n+} at the end of a line; {n} too, which some clients send.
func literal(b []byte) (int64, bool) {
	text, ok := strings.CutSuffix(string(b[1:]), "}")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(text, "+"), 10, 31)
	return int64(n), err == nil
}

// AppendString writes a string: quoted where that can be, else as a literal.
func AppendString(dst []byte, s string) []byte {
	if len(s) > maxQuoted || strings.ContainsAny(s, "\r\n\x00") {
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(s)), 10)
		return append(append(dst, "}\r\n"...), s...)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// AppendResponse writes a response: a word (OK, NO, BYE), a code in parentheses where it is not empty, and a text for people where that is not.
func AppendResponse(dst []byte, word, code, text string) []byte {
	dst = append(dst, word...)
	if code != "" {
		dst = append(append(append(dst, " ("...), code...), ')')
	}
	if text != "" {
		dst = AppendString(append(dst, ' '), text)
	}
	return append(dst, "\r\n"...)
}
