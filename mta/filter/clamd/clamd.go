// Package clamd has ClamAV's daemon look for viruses in a message, by its command INSTREAM (clamd(8)). The message goes over as it
// is, and nothing is unpacked here: archives are clamd's to open, within bounds of its own.
package clamd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/line"
)

// Clamd asks one daemon.
type Clamd struct{ setting filter.Setting }

// New makes a Clamd by a setting that has passed Check.
func New(s filter.Setting) *Clamd { return &Clamd{s} }

// chunk is how much of a message goes into one piece; maxReply is how long a reply may be.
const (
	chunk    = 64 << 10
	maxReply = 4 << 10
)

// ErrSize says that the daemon takes no message that long (its StreamMaxLength).
var ErrSize = errors.New("clamd takes no message that long")

// Check has a message looked at. It is over when ctx is.
func (c *Clamd) Check(ctx context.Context, m *filter.Message) (filter.Report, error) {
	conn, err := line.Dial(ctx, &c.setting)
	if err != nil {
		return filter.Report{}, err
	}
	defer conn.Close()
	octets, _ := c.setting.Portion(m.Size)
	sent := send(conn, io.NewSectionReader(m.Text, 0, octets))
	if errors.Is(sent, errText) {
		return filter.Report{}, sent
	}
	// A daemon that has heard enough says why and hangs up: its reply tells more than the broken pipe.
	reply, err := bufio.NewReaderSize(io.LimitReader(conn, maxReply), maxReply).ReadSlice(0)
	if err != nil {
		if sent != nil {
			err = sent
		}
		return filter.Report{}, fmt.Errorf("ask clamd: %w", line.Reason(ctx, err))
	}
	return parse(bytes.TrimRight(reply, "\x00"))
}

// errText says that it is the message that could not be read.
var errText = errors.New("the message cannot be read")

func send(w io.Writer, text io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+chunk)
	for {
		n, err := io.ReadFull(text, buf[4:])
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := w.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			_, err := w.Write(make([]byte, 4))
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errText, err)
		}
	}
}

// parse reads a reply: "stream: OK", "stream: NAME FOUND", or something that ends in ERROR.
func parse(reply []byte) (filter.Report, error) {
	reply = bytes.TrimSpace(reply)
	text, ok := bytes.CutPrefix(reply, []byte("stream:"))
	text = bytes.TrimSpace(text)
	switch name, found := bytes.CutSuffix(text, []byte(" FOUND")); {
	case bytes.HasSuffix(reply, []byte("size limit exceeded. ERROR")):
		return filter.Report{}, ErrSize
	case ok && string(text) == "OK":
		return filter.Report{Word: filter.Pass}, nil
	case ok && found && len(bytes.TrimSpace(name)) > 0:
		return filter.Report{Word: filter.Virus, Virus: string(bytes.TrimSpace(name))}, nil
	}
	return filter.Report{}, fmt.Errorf("clamd says %.200q", reply)
}
