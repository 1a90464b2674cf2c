package message

import (
	"bufio"
	"errors"
	"io"
)

// NewLines is memory for EachLine: 4 KiB.
func NewLines() *bufio.Reader { return bufio.NewReaderSize(nil, 4<<10) }

// EachLine calls fn for the lines of src with their ends, until fn returns false. A line above 4 KiB
// comes in pieces, of which only the first begins one. r is memory to read with. Errors are those of src and fn.
func EachLine(src io.Reader, r *bufio.Reader, fn func(line []byte, begins bool) (bool, error)) error {
	r.Reset(src)
	begins := true
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			more, failed := fn(line, begins)
			if failed != nil || !more {
				return failed
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			begins = false
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		default:
			begins = true
		}
	}
}
