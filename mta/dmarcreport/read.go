package dmarcreport

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/rookery-mail/rookery/mta/attachment"
)

// MaxPacked is how many octets a report may have as it comes, MaxReport once it is unpacked, and MaxRatio how many times as large
// it may become, beyond the first MiB.
const (
	MaxPacked = 2 << 20
	MaxReport = 20 << 20
	MaxRatio  = 200
)

// maxEntries is how many files of an archive are looked at.
const maxEntries = 10

// Read reads a report in any form in which one comes: XML, gzip, zip, or the mail with it as an attachment. An archive within
// one is not opened. Errors are ErrNoReport.
func Read(data []byte) (Report, error) {
	if r, err, ok := readFile(data); ok {
		return r, err
	}
	octets, err := attachment.Find(data, MaxPacked, isReport)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	r, err, ok := readFile(octets)
	if !ok {
		return Report{}, fmt.Errorf("%w: its attachment is neither XML nor gzip nor zip", ErrNoReport)
	}
	return r, err
}

// readFile reads a report that is a file; ok says that it looks like one.
func readFile(data []byte) (r Report, err error, ok bool) {
	switch text := bytes.TrimLeft(data, " \t\r\n\ufeff"); {
	case len(data) > MaxPacked:
		return Report{}, fmt.Errorf("%w: it has more than %d octets", ErrNoReport, MaxPacked), true
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		r, err = gunzip(data)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		r, err = unzip(data)
	case bytes.HasPrefix(text, []byte("<")):
		r, err = Decode(text)
	default:
		return Report{}, nil, false
	}
	return r, err, true
}

func gunzip(data []byte) (Report, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	return inflate(z, len(data))
}

func unzip(data []byte) (Report, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	for _, f := range z.File[:min(len(z.File), maxEntries)] {
		if !strings.HasSuffix(strings.ToLower(f.Name), ".xml") {
			continue
		}
		in, err := f.Open()
		if err != nil {
			return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
		}
		defer in.Close()
		return inflate(in, len(data))
	}
	return Report{}, fmt.Errorf("%w: no file in it is XML", ErrNoReport)
}

// inflate reads what unpacks from a number of octets.
func inflate(r io.Reader, packed int) (Report, error) {
	most := min(MaxReport, max(1<<20, packed*MaxRatio))
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	if len(text) > most {
		return Report{}, fmt.Errorf("%w: %d octets become more than %d", ErrNoReport, packed, most)
	}
	return Decode(text)
}

// isReport reports whether a part of a mail may be a report, by its type, or by its name where the type says little.
func isReport(kind, name string) bool {
	switch kind {
	case "application/gzip", "application/x-gzip", "application/zip", "application/x-zip", "application/x-zip-compressed", "application/xml", "text/xml":
		return true
	case "application/octet-stream", "application/x-compressed", "application/x-gunzip":
	default:
		return false
	}
	name = strings.ToLower(name)
	for _, end := range []string{".xml", ".xml.gz", ".gz", ".zip"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
