package tlsrpt

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/mta/attachment"
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

func readMail(data []byte) (Report, error) {
	octets, err := attachment.Find(data, MaxPacked, isReport)
	if err != nil {
		return Report{}, fmt.Errorf("%w: neither %s nor %s: %w", ErrNoReport, MediaGzip, MediaJSON, err)
	}
	if len(octets) > 2 && octets[0] == 0x1f && octets[1] == 0x8b {
		return unpack(octets)
	}
	return readJSON(octets)
}

// isReport reports whether a part is a report by its type, or by its name where the type says nothing.
func isReport(kind, name string) bool {
	switch kind {
	case MediaGzip, MediaJSON:
		return true
	case "application/gzip", "application/x-gzip", "application/json", "application/octet-stream":
	default:
		return false
	}
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".json.gz")
}
