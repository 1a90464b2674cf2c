package passage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// errFrame says that what came is of another version, or of nobody that speaks this.
var errFrame = errors.New("not a frame of a passage")

// Frames, big endian. Numbers are for ever.
//
//	request: version 1 (1), milliseconds that the other waits, 0 for no end (4), length of from (1), from, length of to (1), to
//	answer:  code (1), length of text (2), text
//
// from is an address and to is address:port, as text. Raw octets follow an answer of code 0.
const version = 1

// The codes of answers.
const (
	connected = 0
	noSource  = 1 // the address is not there
	noHost    = 2 // the host does not take the connection
)

type request struct {
	wait time.Duration
	from netip.Addr
	to   netip.AddrPort
}

func (q request) append(b []byte) []byte {
	b = append(b, version)
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(q.wait.Milliseconds(), 0), 1<<31)))
	for _, text := range []string{q.from.String(), q.to.String()} {
		b = append(b, byte(len(text))) // zones are not in addresses of DNS: below 64
		b = append(b, text...)
	}
	return b
}

func readRequest(r io.Reader) (q request, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return q, err
	}
	if head[0] != version {
		return q, fmt.Errorf("%w: version %d", errFrame, head[0])
	}
	q.wait = time.Duration(binary.BigEndian.Uint32(head[1:])) * time.Millisecond
	from, err := readText(r, 1)
	if err != nil {
		return q, err
	}
	to, err := readText(r, 1)
	if err != nil {
		return q, err
	}
	q.from, err = netip.ParseAddr(from)
	if err == nil {
		q.to, err = netip.ParseAddrPort(to)
	}
	if err != nil {
		return q, fmt.Errorf("%w: %w", errFrame, err)
	}
	return q, nil
}

// readText reads a text with its length in so many octets before it.
func readText(r io.Reader, octets int) (string, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[4-octets:]); err != nil {
		return "", err
	}
	text := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, text)
	return string(text), err
}

type answer struct {
	code byte
	text string
}

func (a answer) append(b []byte) []byte {
	text := a.text[:min(len(a.text), 1000)]
	b = append(b, a.code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

func readAnswer(r io.Reader) (a answer, err error) {
	var code [1]byte
	if _, err := io.ReadFull(r, code[:]); err != nil {
		return a, err
	}
	a.code = code[0]
	a.text, err = readText(r, 2)
	return a, err
}
