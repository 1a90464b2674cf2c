package engine

import (
	"context"

	"github.com/rookery-mail/rookery/imapd/wire"
)

// compress is COMPRESS (RFC 4978, section 3). The tagged response goes out as it is, all after it is compressed.
// Octets that came with the command cannot be told to be one or the other: the connection ends.
func (s *Session) compress(_ context.Context, cmd *wire.Command) (reply, error) {
	switch {
	case cmd.Args.(*wire.Compress).Mechanism != "DEFLATE":
		return bad("DEFLATE is the mechanism that there is"), nil
	case s.peer.Conn.Compressed():
		return reply{kind: wire.NO, code: "COMPRESSIONACTIVE", text: "COMPRESS is active already"}, nil
	case s.r.Buffered() > 0:
		return reply{}, errUncompressed
	}
	s.answer(cmd, reply{text: "compression begins now"})
	if err := s.w.Flush(); err != nil {
		return reply{}, broken(err)
	}
	s.peer.Conn.Compress()
	return reply{}, errAnswered
}
