package filter

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

// MaxOctets is how much of a message Octets looks at, from its first octet on.
const MaxOctets = 1 << 20

// Content reports whether Octets is to be asked.
func (f *Filter) Content() bool { return f.field != nil || f.body != nil }

// Octets reports whether a message matches by what is in it. It reads the header, and the body only where a body is asked
// for; of long messages MaxOctets. m is a whole message with lines ending in CRLF.
func (f *Filter) Octets(m io.ReaderAt, size int64) (bool, error) {
	most := min(size, MaxOctets)
	if f.body == nil {
		most = min(most, maxHeader)
	}
	p := message.NewParser(message.Limits{})
	if _, err := io.Copy(p, io.NewSectionReader(m, 0, most)); err != nil {
		return false, fmt.Errorf("read a queued message: %w", err)
	}
	parsed := p.Finish()
	if f.field != nil {
		header := make([]byte, min(int64(parsed.HeaderSize), most))
		if _, err := m.ReadAt(header, 0); err != nil && err != io.EOF {
			return false, fmt.Errorf("read the header of a queued message: %w", err)
		}
		if found := f.header(header); !found || f.body == nil {
			return found, nil
		}
	}
	return f.texts(m, most, parsed.Structure)
}

// maxHeader is how much is read where only the header counts.
const maxHeader = 256 << 10

func (f *Filter) header(header []byte) bool {
	for name, field := range message.Fields(header) {
		if !strings.EqualFold(name, f.name) {
			continue
		}
		_, value, _ := bytes.Cut(field, []byte(":"))
		if f.field.MatchString(strings.TrimSpace(message.DecodeHeader(value))) {
			return true
		}
	}
	return false
}

// texts matches the text parts below p, without holding them.
func (f *Filter) texts(m io.ReaderAt, most int64, p *indexpb.Part) (bool, error) {
	for _, child := range p.Children {
		if ok, err := f.texts(m, most, child); ok || err != nil {
			return ok, err
		}
	}
	from := int64(p.BodyOffset)
	if len(p.Children) > 0 || string(p.Type) != "text" || from >= most {
		return false, nil
	}
	src := &sticky{r: io.NewSectionReader(m, from, min(int64(p.BodyLength), most-from))}
	found := f.body.MatchReader(bufio.NewReader(message.DecodeText(p, src)))
	return found, src.err
}

// sticky keeps the error that a regular expression would take for the end.
type sticky struct {
	r   io.Reader
	err error
}

func (s *sticky) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = fmt.Errorf("read a queued message: %w", err)
	}
	return n, err
}
