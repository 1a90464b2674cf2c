package inflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// drain reads what a decoder gives until it wants more.
func drain(d *Decoder, size int) ([]byte, error) {
	var out []byte
	buf := make([]byte, size)
	for {
		n, err := d.Read(buf)
		out = append(out, buf[:n]...)
		if err != nil {
			return out, err
		}
	}
}

// TestFlushes: each command that zlib compressed and flushed is given as soon as it was fed, before anything that
// comes after it. The files are of Python's zlib; a line is what was sent in hexadecimal and the command.
func TestFlushes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, size := range []int{1, 7, 4096} {
			t.Run(fmt.Sprint(filepath.Base(file), size), func(t *testing.T) { playFlushes(t, file, size) })
		}
	}
}

func playFlushes(t *testing.T, file string, size int) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var d Decoder
	for lines := bufio.NewScanner(f); lines.Scan(); {
		sent, want, _ := strings.Cut(lines.Text(), " ")
		octets, err := hex.DecodeString(sent)
		if err != nil {
			t.Fatal(err)
		}
		if d.Ready() {
			t.Fatalf("ready before %q was fed", want)
		}
		d.Feed(octets)
		if !d.Ready() {
			t.Fatalf("not ready though %q was fed", want)
		}
		got, err := drain(&d, size)
		if string(got) != want+"\r\n" || !errors.Is(err, ErrMore) {
			t.Fatalf("got %q and %v, want %q", got, err, want)
		}
	}
}

// sample is text that has blocks of each kind, of matches near and far and of noise.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var out []byte
	for len(out) < n {
		switch k := r.IntN(4); {
		case k == 0 || len(out) < 100:
			for range r.IntN(3000) {
				out = append(out, byte(r.Uint32()))
			}
		case k == 1:
			out = append(out, strings.Repeat("Received: from example.org\r\n", r.IntN(100))...)
		default:
			from := r.IntN(len(out))
			out = append(out, out[from:min(len(out), from+r.IntN(5000))]...)
		}
	}
	return out
}

// TestLevels reads what compress/flate writes, an octet at a time and in large pieces.
func TestLevels(t *testing.T) {
	want := sample(150 << 10)
	for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
		var z bytes.Buffer
		w, err := flate.NewWriter(&z, level)
		if err != nil {
			t.Fatal(err)
		}
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 70000)
			w.Write(rest[:n])
			w.Flush()
			rest = rest[n:]
		}
		w.Close()
		for _, piece := range []int{1, 1000, z.Len()} {
			var d Decoder
			var got []byte
			err := error(ErrMore)
			for in := z.Bytes(); len(in) > 0 && errors.Is(err, ErrMore); {
				n := min(len(in), piece)
				d.Feed(in[:n])
				in = in[n:]
				var some []byte
				some, err = drain(&d, min(10*piece, 10000))
				got = append(got, some...)
			}
			if err != io.EOF || !bytes.Equal(got, want) {
				t.Errorf("level %d in pieces of %d: %d octets and %v", level, piece, len(got), err)
			}
			if len(d.window) > maxWindow {
				t.Errorf("the window has %d octets", len(d.window))
			}
		}
	}
}

// TestMemory: one who sent little costs little.
func TestMemory(t *testing.T) {
	var d Decoder
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.BestSpeed)
	w.Write(bytes.Repeat([]byte("NOOP\r\n"), 150))
	w.Flush()
	d.Feed(z.Bytes())
	if got, _ := drain(&d, 10); len(got) != 900 || cap(d.window) > minWindow {
		t.Errorf("%d octets in a window of %d", len(got), cap(d.window))
	}
}

// TestBomb: what is not asked for is not inflated.
func TestBomb(t *testing.T) {
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, flate.BestCompression)
	w.Write(make([]byte, 10<<20))
	w.Flush()
	var d Decoder
	d.Feed(z.Bytes())
	buf := make([]byte, 1000)
	if n, err := d.Read(buf); n != 1000 || err != nil || d.wr > 1000+maxMatch || len(d.window) > 4096 {
		t.Errorf("%d octets and %v, inflated %d into %d", n, err, d.wr, len(d.window))
	}
}

// TestCorrupt: what is no DEFLATE is an error, and stays one.
func TestCorrupt(t *testing.T) {
	for name, in := range map[string]string{
		"block type":     "07",
		"stored lengths": "0101000000",
		"far match":      "0302",
		"many codes":     "fdffff",
		"no codes":       "0500000000000000",
	} {
		octets, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		var d Decoder
		d.Feed(octets)
		for range 2 {
			if got, err := drain(&d, 10); !errors.Is(err, ErrCorrupt) || len(got) > 0 {
				t.Errorf("%s: got %q and %v", name, got, err)
			}
			d.Feed([]byte("more"))
		}
	}
}

// FuzzDecoder: whatever comes, in whatever pieces, is what compress/flate makes of it.
func FuzzDecoder(f *testing.F) {
	for _, n := range []int{0, 10, 3000} {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level += 4 {
			var z bytes.Buffer
			w, _ := flate.NewWriter(&z, level)
			w.Write(sample(3000)[:n])
			w.Close()
			f.Add(z.Bytes(), uint8(3))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		const most = 64 << 10
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), most))
		var d Decoder
		var got []byte
		err := error(ErrMore)
		for rest := in; len(rest) > 0 && errors.Is(err, ErrMore) && len(got) < most; {
			n := min(len(rest), int(piece)+1)
			d.Feed(rest[:n])
			rest = rest[n:]
			var some []byte
			for err = nil; err == nil && len(got) < most; got = append(got, some...) {
				some = make([]byte, 997)
				n, err = d.Read(some)
				some = some[:n]
			}
		}
		got = got[:min(len(got), most)]
		if !bytes.HasPrefix(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		corrupt := errors.As(wantErr, new(flate.CorruptInputError))
		switch {
		case len(got) >= most:
		case wantErr == nil && (err != io.EOF || len(got) != len(want)):
			t.Errorf("ends with %v", err)
		case err == io.EOF && wantErr != nil:
			t.Errorf("ends, where compress/flate says %v", wantErr)
		case errors.Is(err, ErrCorrupt) && !corrupt && wantErr != io.ErrUnexpectedEOF:
			t.Errorf("got %v, where compress/flate says %v", err, wantErr)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	text := bytes.Repeat([]byte("a0001 UID FETCH 1:* (FLAGS ENVELOPE) and what else a client says, now and then\r\n"), 2000)
	var z bytes.Buffer
	w, _ := flate.NewWriter(&z, 6)
	w.Write(text)
	w.Flush()
	b.SetBytes(int64(len(text)))
	buf := make([]byte, 4096)
	for b.Loop() {
		var d Decoder
		d.Feed(z.Bytes())
		for {
			if _, err := d.Read(buf); err != nil {
				break
			}
		}
	}
}
