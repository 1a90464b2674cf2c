package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrFrame says that bytes from a peer are no frame this version understands.
var ErrFrame = errors.New("not a frame this version understands")

// Frames, big endian. Numbers are for ever.
//
//	length (4), of what follows, then one of
//	request:  type 1 (1), milliseconds the caller still waits (4), length of method (1), method, body
//	response: type 2 (1), code (1), body: the result, or the text of the error where code is not 0
//	open:     type 3 (1), length of service (1), service; answered by a response, then raw bytes
//
// The time left travels instead of a deadline because clocks of nodes disagree.
const (
	typeRequest  = 1
	typeResponse = 2
	typeOpen     = 3
)

const (
	maxName     = 255
	frameHeader = 4
	// firstRead is how much of a frame is allocated on the word of its length alone.
	firstRead = 64 << 10
)

// readFrame reads a frame of at most limit bytes. Memory grows with what arrives, not with what the
// length claims.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err // io.EOF before a frame is an orderly end
	}
	size := int(binary.BigEndian.Uint32(head[:]))
	if size > limit {
		return nil, fmt.Errorf("frame of %d bytes, %d are allowed: %w", size, limit, ErrFrame)
	}
	frame := make([]byte, min(size, firstRead))
	for have := 0; ; {
		n, err := io.ReadFull(r, frame[have:])
		if err != nil {
			return nil, fmt.Errorf("read frame, %d of %d bytes: %w", have+n, size, noEOF(err))
		}
		if have += n; have == size {
			return frame, nil
		}
		grown := make([]byte, min(size, 4*len(frame)))
		copy(grown, frame)
		frame = grown
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// seal writes the length into a frame that was built behind frameHeader free bytes.
func seal(frame []byte) []byte {
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-frameHeader))
	return frame
}

// request is a call as it travels.
type request struct {
	wait   time.Duration // rounded to milliseconds; 0 means the caller set no end
	method string
	body   []byte
}

func (q request) append(dst []byte) []byte {
	dst = append(dst, 0, 0, 0, 0, typeRequest)
	dst = binary.BigEndian.AppendUint32(dst, waitMillis(q.wait))
	dst = append(dst, byte(len(q.method)))
	dst = append(dst, q.method...)
	return seal(append(dst, q.body...))
}

// waitMillis rounds up: a wait that is nearly over must not turn into none at all.
func waitMillis(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return uint32(min(ms, 1<<31))
}

// parseRequest reads a request frame; body aliases frame.
func parseRequest(frame []byte) (request, error) {
	if len(frame) < 6 || frame[0] != typeRequest {
		return request{}, fmt.Errorf("request of %d bytes: %w", len(frame), ErrFrame)
	}
	name := int(frame[5])
	if len(frame) < 6+name || name == 0 {
		return request{}, fmt.Errorf("request of %d bytes with a method of %d: %w", len(frame), name, ErrFrame)
	}
	return request{
		wait:   time.Duration(binary.BigEndian.Uint32(frame[1:5])) * time.Millisecond,
		method: string(frame[6 : 6+name]),
		body:   frame[6+name:],
	}, nil
}

func appendResponse(dst []byte, code Code, body []byte) []byte {
	dst = append(dst, 0, 0, 0, 0, typeResponse, byte(code))
	return seal(append(dst, body...))
}

// parseResponse reads a response frame; body aliases frame.
func parseResponse(frame []byte) (code Code, body []byte, err error) {
	if len(frame) < 2 || frame[0] != typeResponse {
		return 0, nil, fmt.Errorf("response of %d bytes: %w", len(frame), ErrFrame)
	}
	return Code(frame[1]), frame[2:], nil
}

func appendOpen(dst []byte, service string) []byte {
	dst = append(dst, 0, 0, 0, 0, typeOpen, byte(len(service)))
	return seal(append(dst, service...))
}

func parseOpen(frame []byte) (service string, err error) {
	if len(frame) < 2 || frame[0] != typeOpen || len(frame) != 2+int(frame[1]) {
		return "", fmt.Errorf("opening of %d bytes: %w", len(frame), ErrFrame)
	}
	return string(frame[2:]), nil
}
