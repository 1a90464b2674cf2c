// Package wire is the grammar of SMTP and LMTP as a server reads it (RFC 5321, RFC 2033): command
// lines, paths and their parameters, and the message itself behind DATA or BDAT. Everything in it
// reads from a bufio.Reader or from memory, with limits, and opens nothing; the state of a session
// is the business of mta/smtpd.
//
// Invariant: a message ends where RFC 5321, section 4.1.1.4, says and nowhere else, at the five
// octets CR LF "." CR LF. No other line end is one, so that no text inside of a message is ever read
// as commands ("SMTP smuggling").
package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// MaxCommandLine is the longest command line in octets, with its CRLF. RFC 5321, section 4.5.3.1.4,
// asks for 512 and extensions add to it; AUTH asks for 12,288 (RFC 4954, section 4).
const MaxCommandLine = 12288

// maxSkip is how much of an over-long line is read away before the line is given up.
const maxSkip = 1 << 20

// Errors of reading a line.
var (
	// ErrLineTooLong says that a line was longer than allowed; it was read away up to its end.
	ErrLineTooLong = errors.New("line too long")
	// ErrNoLineEnd says that no end of a line came within any reason. Nothing more can be read.
	ErrNoLineEnd = errors.New("no end of the line in sight")
)

// ReadLine reads one command line and gives it without its line end. A single LF ends a command line
// too: people type into netcat, and no smuggling hangs on commands. io.EOF comes only between lines.
func ReadLine(r *bufio.Reader, max int) (string, error) {
	var line []byte
	for skipped := 0; ; {
		part, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF && len(line)+len(part)+skipped > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if skipped > 0 || len(line)+len(part) > max {
			skipped += len(line) + len(part)
			line = nil
			if err == nil {
				return "", ErrLineTooLong
			}
			if skipped > maxSkip {
				return "", ErrNoLineEnd
			}
			continue
		}
		if err == nil && line == nil {
			return trimEnd(string(part)), nil
		}
		line = append(line, part...)
		if err == nil {
			return trimEnd(string(line)), nil
		}
	}
}

func trimEnd(line string) string {
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
}

// Command splits a line into its verb in capitals and the rest without blanks around it.
func Command(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.Trim(arg, " \t")
}
