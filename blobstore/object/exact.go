package object

import (
	"fmt"
	"io"
)

// exact gives the octets of a range and io.ErrUnexpectedEOF where they end too soon.
type exact struct {
	io.ReadCloser
	left int64 // octets still to come
}

// Exact makes r a reader of length octets: io.EOF comes behind the last one, and io.ErrUnexpectedEOF
// where r ends before. Stores make what Get returns with it.
func Exact(r io.ReadCloser, length int64) io.ReadCloser { return &exact{r, length} }

// Read implements io.Reader.
func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.ReadCloser.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = fmt.Errorf("%d octets are missing: %w", e.left, io.ErrUnexpectedEOF)
	}
	return n, err
}
