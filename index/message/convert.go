package message

import "io"

// converter turns octets into others as they stream by. It holds only a few of them back.
type converter interface {
	convert(dst, src []byte) []byte // appends to dst; keeps no reference to src
	flush(dst []byte) []byte        // appends what was held back at the end
}

// convertingReader reads from src through a converter.
type convertingReader struct {
	src  io.Reader
	conv converter
	in   [4096]byte
	out  []byte // converted; from next on not yet read
	next int
	err  error
}

func newConvertingReader(src io.Reader, conv converter) io.Reader {
	return &convertingReader{src: src, conv: conv}
}

// Read fills b. What was converted before an error is given out before the error.
func (r *convertingReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for r.next == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.src.Read(r.in[:])
		r.out, r.next = r.conv.convert(r.out[:0], r.in[:n]), 0
		if r.err == io.EOF {
			r.out = r.conv.flush(r.out)
		}
	}
	n := copy(b, r.out[r.next:])
	r.next += n
	return n, nil
}

// convertAll is a converter's work on one piece.
func convertAll(conv converter, src []byte) []byte {
	return conv.flush(conv.convert(nil, src))
}
