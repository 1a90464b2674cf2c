package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/emersion/go-milter"
)

// The bounds of what a filter may say about one message: octets beside twice the message, packets, and octets of one packet.
const (
	slack      = 4 << 20
	maxPackets = 20_000
	maxPacket  = 1 << 20
)

// Codes of the protocol that go-milter does not know (mfdef.h of libmilter).
const (
	codeProgress     = 'p' // SMFIR_PROGRESS: it works on it
	codeAddRcptParam = '2' // SMFIR_ADDRCPT_PAR
)

// ErrBounds says that a filter says more than it may.
var ErrBounds = errors.New("the milter says more than it may")

// wire is a connection to a filter that go-milter's client reads from. It passes packet by packet, within bounds, and makes of those that
// the client takes for errors what it takes:
//   - progress is left out: it would give the filter its time again, over and over;
//   - SKIP becomes CONTINUE, and is remembered;
//   - a recipient that is added with parameters becomes one without: of parameters nothing would come;
//   - an answer of an older version in the negotiation becomes one of version 6, which the client would else refuse after it has
//     offered what the older does not know, though the filter has left that out.
type wire struct {
	net.Conn
	taken   bool
	in      bytes.Buffer // a packet that the client has not read to its end
	budget  int64        // octets that the filter may still say
	packets int
	version uint32 // as the filter said
	skip    bool   // it wants no more of the body
}

// Read implements io.Reader for the client.
func (w *wire) Read(p []byte) (int, error) {
	if w.in.Len() == 0 {
		code, data, err := w.next()
		if err != nil {
			return 0, err
		}
		w.in.Write(binary.BigEndian.AppendUint32(nil, uint32(1+len(data))))
		w.in.WriteByte(code)
		w.in.Write(data)
	}
	return w.in.Read(p)
}

// Close leaves the connection open: who has dialled closes it.
func (w *wire) Close() error { return nil }

// next reads a packet, as the client takes it.
func (w *wire) next() (code byte, data []byte, err error) {
	for {
		code, data, err = w.packet()
		switch {
		case err != nil:
			return 0, nil, err
		case code == codeProgress:
			continue
		case code == byte(milter.ActSkip):
			w.skip, code = true, byte(milter.ActContinue)
		case code == codeAddRcptParam:
			code = byte(milter.ActAddRcpt)
		case code == byte(milter.CodeOptNeg) && len(data) >= 12:
			w.version = binary.BigEndian.Uint32(data)
			binary.BigEndian.PutUint32(data, max(w.version, 6))
		}
		return code, data, nil
	}
}

func (w *wire) packet() (code byte, data []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(w.Conn, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	w.packets++
	w.budget -= int64(size)
	switch {
	case size == 0:
		return 0, nil, errors.New("it sent an empty packet")
	case size > maxPacket:
		return 0, nil, fmt.Errorf("%w: a packet of %d octets; %d are allowed", ErrBounds, size, maxPacket)
	case w.budget < 0 || w.packets > maxPackets:
		return 0, nil, ErrBounds
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(w.Conn, body); err != nil {
		return 0, nil, err
	}
	return body[0], body[1:], nil
}

// send writes a packet that the client has no method for.
func (w *wire) send(code byte, data []byte) error {
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))
	_, err := w.Write(append(append(p, code), data...))
	return err
}

// agreed looks at what the filter wants after the negotiation: only what it was offered.
func (w *wire) agreed(s *milter.ClientSession) error {
	switch {
	case w.version < 2 || w.version > 1<<16:
		return fmt.Errorf("it speaks version %d of the protocol", w.version)
	case s.ActionOpts&^actions != 0:
		return fmt.Errorf("it wants to change what it was not offered (%#x)", uint32(s.ActionOpts&^actions))
	case s.ProtocolOpts&^protocol != 0:
		return fmt.Errorf("it wants of the protocol what it was not offered (%#x)", uint32(s.ProtocolOpts&^protocol))
	}
	return nil
}
