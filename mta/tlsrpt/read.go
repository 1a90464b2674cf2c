package tlsrpt

import (
	"bufio"
	"bytes"
	"compress/gzip"
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

// The types of media that reports have (RFC 8460, section 6.4 and 6.5).
const (
	MediaGzip = "application/tlsrpt+gzip"
	MediaJSON = "application/tlsrpt+json"
)

// MaxPacked is how many octets a report may have as it comes, MaxReport once it is unpacked.
const (
	MaxPacked = 2 << 20
	MaxReport = 10 << 20
)

// Read reads a report in any form in which one comes: JSON, gzip, or the mail with it as an attachment. Errors are
// ErrNoReport.
func Read(data []byte) (Report, error) {
	switch text := bytes.TrimLeft(data, " \t\r\n\ufeff"); {
	case len(data) >= 2 && data[0] == 0x1f && data[1] == 0x8b:
		return unpack(data)
	case len(text) > 0 && text[0] == '{':
		return readJSON(text)
	}
	return readMail(data)
}

func unpack(data []byte) (Report, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, MaxReport+1))
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	return readJSON(text)
}

func readJSON(text []byte) (Report, error) {
	if len(text) > MaxReport {
		return Report{}, fmt.Errorf("%w: it has more than %d octets", ErrNoReport, MaxReport)
	}
	return Decode(text)
}

// maxDepth is how deep a report may lie in a mail's parts, maxParts how many of them are looked at.
const (
	maxDepth = 4
	maxParts = 50
)

func readMail(data []byte) (Report, error) {
	r := bufio.NewReader(bytes.NewReader(data))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return Report{}, fmt.Errorf("%w: neither JSON nor gzip, and no mail: %w", ErrNoReport, err)
	}
	parts := maxParts
	return readPart(header, r, maxDepth, &parts)
}

// readPart reads the first report in a part and those below it.
func readPart(header textproto.MIMEHeader, body io.Reader, depth int, parts *int) (Report, error) {
	if *parts--; *parts < 0 || depth == 0 {
		return Report{}, errAbsent
	}
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		return Report{}, errAbsent
	}
	if strings.HasPrefix(kind, "multipart/") {
		list := multipart.NewReader(body, params["boundary"])
		for {
			p, err := list.NextRawPart()
			if err != nil {
				return Report{}, errAbsent
			}
			report, err := readPart(p.Header, p, depth-1, parts)
			if err == nil || !errors.Is(err, errAbsent) {
				return report, err
			}
		}
	}
	if !isReport(kind, params["name"], header.Get("Content-Disposition")) {
		return Report{}, errAbsent
	}
	octets, err := io.ReadAll(io.LimitReader(decoded(header, body), MaxPacked+1))
	if err != nil {
		return Report{}, fmt.Errorf("%w: its attachment: %w", ErrNoReport, err)
	}
	if len(octets) > MaxPacked {
		return Report{}, fmt.Errorf("%w: its attachment has more than %d octets", ErrNoReport, MaxPacked)
	}
	if len(octets) > 2 && octets[0] == 0x1f && octets[1] == 0x8b {
		return unpack(octets)
	}
	return readJSON(octets)
}

// errAbsent says that a part is something else.
var errAbsent = fmt.Errorf("%w: no part of the mail is %s or %s", ErrNoReport, MediaGzip, MediaJSON)

// isReport reports whether a part is a report by its type, or by its name where the type says nothing.
func isReport(kind, name, disposition string) bool {
	switch kind {
	case MediaGzip, MediaJSON:
		return true
	case "application/gzip", "application/x-gzip", "application/json", "application/octet-stream":
	default:
		return false
	}
	if _, params, err := mime.ParseMediaType(disposition); err == nil && params["filename"] != "" {
		name = params["filename"]
	}
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".json.gz")
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
