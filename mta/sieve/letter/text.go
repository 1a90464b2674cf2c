package letter

import "io"

// Text is a message made of pieces: of the message as it came, and of what a script wrote. It is read with the message's own ReaderAt.
type Text struct {
	pieces []piece
	size   int64
}

// piece is size octets of a source from an offset on.
type piece struct {
	src   io.ReaderAt
	off   int64
	size  int64
	start int64 // in the Text
}

var _ io.ReaderAt = (*Text)(nil)

// Size gives the octets of the text.
func (t *Text) Size() int64 { return t.size }

// Reader reads the text from its beginning.
func (t *Text) Reader() io.Reader { return io.NewSectionReader(t, 0, t.size) }

func (t *Text) add(src io.ReaderAt, off, size int64) {
	if size > 0 {
		t.pieces = append(t.pieces, piece{src, off, size, t.size})
		t.size += size
	}
}

// ReadAt reads as io.ReaderAt says; errors are those of the message.
func (t *Text) ReadAt(b []byte, off int64) (n int, err error) {
	for _, p := range t.pieces {
		at := off + int64(n) - p.start
		if at < 0 || at >= p.size {
			continue
		}
		want := b[n:]
		if rest := p.size - at; int64(len(want)) > rest {
			want = want[:rest]
		}
		got, err := p.src.ReadAt(want, p.off+at)
		n += got
		if got < len(want) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if n == len(b) {
			return n, nil
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
