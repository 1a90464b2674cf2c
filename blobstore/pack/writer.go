package pack

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/rookery-mail/rookery/blobstore"
)

// Writer writes a pack: bodies one after the other, each chunk by chunk, then the manifest. It holds one
// chunk and the places of the bodies. After an error of what it writes to it stays broken. It is for one
// goroutine.
type Writer struct {
	w     io.Writer
	pack  blobstore.Pack
	key   *Key
	sha   hash.Hash
	at    int64
	start int64 // where bodies begin
	room  []byte
	err   error

	open    bool // between Begin and End
	entry   blobstore.Entry
	entries []blobstore.Entry
	frames  uint64
}

// errMisused says that the calls of a Writer do not fit each other.
var errMisused = errors.New("calls of a pack writer out of order")

// NewWriter begins the pack p on w. key is what p.SealedKey seals, nil for a pack that is not encrypted.
// It must have been used for no other octets (see Key).
func NewWriter(w io.Writer, p blobstore.Pack, key *Key) (*Writer, error) {
	if err := check(p); err != nil {
		return nil, err
	}
	if (key != nil) != (len(p.SealedKey) > 0) {
		return nil, fmt.Errorf("pack %v: a key and a sealed key, or neither: %w", p.ID, errMisused)
	}
	pw := &Writer{w: w, pack: p, key: key, sha: sha256.New()}
	pw.write(appendHeader(nil, p))
	pw.start = pw.at
	return pw, pw.err
}

// Begin begins the next body. What was written of one that did not come to its End is a gap in the
// pack, of which the manifest says nothing.
func (w *Writer) Begin(body uint64) {
	w.entry = blobstore.Entry{Body: body, Offset: uint64(w.at)}
	w.open = true
}

// Chunk writes the next chunk of the body that was begun: a frame of at most MaxChunk octets, not empty.
func (w *Writer) Chunk(frame []byte) error {
	switch {
	case w.err != nil:
		return w.err
	case !w.open:
		return fmt.Errorf("chunk of no body: %w", errMisused)
	case len(frame) == 0 || len(frame) > MaxChunk:
		return fmt.Errorf("chunk of %d octets in body %d: %w", len(frame), w.entry.Body, blobstore.ErrFormat)
	case w.at+int64(len(frame)) > MaxSize-MaxManifest*2:
		return fmt.Errorf("pack %v of more than %d octets: %w", w.pack.ID, int64(MaxSize), blobstore.ErrFormat)
	}
	w.room = appendChunk(w.room[:0], w.pack.ID, w.at, frame, w.key)
	w.entry.Lengths = append(w.entry.Lengths, uint32(len(w.room)))
	w.frames += uint64(len(frame))
	w.write(w.room)
	return w.err
}

// End ends the body that was begun and says where it lies.
func (w *Writer) End() blobstore.Entry {
	if w.open {
		w.entries = append(w.entries, w.entry)
	}
	w.open = false
	return w.entry
}

// Size is how many octets were written so far.
func (w *Writer) Size() int64 { return w.at }

// Finish writes the manifest and the footer. m's bodies are matched by id with those that were written and
// come into the order of the pack; those that were not written are left out, and one that was written
// must be there. m then says what the pack's manifest says: pack, group and entries are set.
func (w *Writer) Finish(m *blobstore.Manifest) (Summary, error) {
	if w.err != nil {
		return Summary{}, w.err
	}
	if err := w.place(m); err != nil {
		return Summary{}, err
	}
	raw := encodeManifest(m, uint64(w.start))
	if len(raw) > MaxManifest {
		return Summary{}, fmt.Errorf("manifest of %d octets, %d can be: %w", len(raw), MaxManifest, blobstore.ErrFormat)
	}
	packed, err := compress(raw)
	if err != nil {
		return Summary{}, err
	}
	stored := appendManifest(w.pack.ID, w.at, packed, w.key)
	f := Footer{Manifest: w.at, Length: len(stored), Unpacked: len(raw), Bodies: uint64(len(m.Bodies)), Frames: w.frames}
	w.write(stored)
	w.sha.Sum(f.SHA256[:0])
	w.write(f.append(nil))
	s := Summary{Size: w.at}
	w.sha.Sum(s.SHA256[:0])
	if w.err == nil {
		w.err = fmt.Errorf("pack %v is finished: %w", w.pack.ID, errMisused)
		return s, nil
	}
	return Summary{}, w.err
}

// place gives m the entries of what was written.
func (w *Writer) place(m *blobstore.Manifest) error {
	byID := make(map[uint64]*blobstore.Body, len(m.Bodies))
	for i := range m.Bodies {
		byID[m.Bodies[i].Entry.Body] = &m.Bodies[i]
	}
	bodies := make([]blobstore.Body, 0, len(w.entries))
	users := 0
	for _, e := range w.entries {
		b := byID[e.Body]
		if b == nil {
			return fmt.Errorf("body %d of pack %v is not in the manifest, or there twice: %w", e.Body, w.pack.ID, errMisused)
		}
		delete(byID, e.Body)
		users += len(b.Users)
		placed := *b
		placed.Entry = e
		bodies = append(bodies, placed)
	}
	if len(bodies) > MaxBodies || users > MaxUsers || len(m.Accounts) > maxPlaces || len(m.Mailboxes) > maxPlaces {
		return fmt.Errorf("%d bodies with %d users in pack %v: %w", len(bodies), users, w.pack.ID, blobstore.ErrFormat)
	}
	m.Pack, m.Group, m.Bodies = w.pack.ID, w.pack.Group, bodies
	return nil
}

func (w *Writer) write(octets []byte) {
	if w.err != nil {
		return
	}
	n, err := w.w.Write(octets)
	_, _ = w.sha.Write(octets[:max(0, min(n, len(octets)))])
	w.at += int64(n)
	if err != nil {
		w.err = fmt.Errorf("write pack %v at %d: %w", w.pack.ID, w.at, err)
	}
}
