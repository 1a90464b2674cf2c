// Package attachment finds the file in a mail that a reader of reports is after, within bounds: mails that pretend to be reports
// come from anybody. It unpacks nothing and knows no kind of report.
package attachment

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
)

// What is wrong with a mail.
var (
	ErrAbsent = errors.New("no part of the mail is such a file")
	ErrBroken = errors.New("the file in the mail cannot be read")
)

// The bounds of what is looked at.
const (
	maxDepth = 4  // parts within parts
	maxParts = 50 // of a mail
)

// Find gives the octets of the first part that is wanted, by its media type in lower case and its file name as it stands. One of
// more than most octets is ErrBroken.
func Find(mail []byte, most int64, wanted func(kind, name string) bool) ([]byte, error) {
	r := bufio.NewReader(bytes.NewReader(mail))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: its header: %w", ErrBroken, err)
	}
	parts := maxParts
	return search{wanted, most, &parts}.part(header, r, maxDepth)
}

type search struct {
	wanted func(kind, name string) bool
	most   int64
	parts  *int // that are still looked at
}

// part looks at a part and those below it.
func (s search) part(header textproto.MIMEHeader, body io.Reader, depth int) ([]byte, error) {
	if *s.parts--; *s.parts < 0 || depth == 0 {
		return nil, ErrAbsent
	}
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return nil, ErrAbsent
	}
	if strings.HasPrefix(kind, "multipart/") {
		list := multipart.NewReader(body, params["boundary"])
		for {
			p, err := list.NextRawPart()
			if err != nil {
				return nil, ErrAbsent
			}
			octets, err := s.part(p.Header, p, depth-1)
			if err == nil || !errors.Is(err, ErrAbsent) {
				return octets, err
			}
		}
	}
	name := params["name"]
	if _, more, err := mime.ParseMediaType(header.Get("Content-Disposition")); err == nil && more["filename"] != "" {
		name = more["filename"]
	}
	if !s.wanted(kind, name) {
		return nil, ErrAbsent
	}
	octets, err := io.ReadAll(io.LimitReader(decoded(header, body), s.most+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if int64(len(octets)) > s.most {
		return nil, fmt.Errorf("%w: it has more than %d octets", ErrBroken, s.most)
	}
	return octets, nil
}

func decoded(header textproto.MIMEHeader, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(header.Get("Content-Transfer-Encoding"))) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}
