// Package corpus makes the messages that a load is made of: the same ones in every run, so that two
// servers and two builds get the same octets, and different in their ids, so that no server takes one for
// another. A user's own mail can take their place (Own). It does no I/O: files are read by the caller.
package corpus

import (
	"math"
	"strconv"
)

// Source makes messages by number. Implementations may be used by several goroutines at once.
type Source interface {
	// Append appends message n to dst: CRLF line ends, the last line ended, dots not yet stuffed.
	Append(dst []byte, n int) []byte
}

var (
	_ Source = (*Generator)(nil)
	_ Source = (*Own)(nil)
)

// Sizes says how large message n is, in octets.
type Sizes func(n int) int

// Fixed makes all messages of one size.
func Fixed(octets int) Sizes { return func(int) int { return octets } }

// The mix is log-normal, as mail is: half of the messages are below 20 KiB, one in a hundred above half a
// MiB, and none above 10 MiB.
const (
	mixMedian = 20 << 10
	mixSigma  = 1.45
	mixLeast  = 1200
	mixMost   = 10 << 20
)

// Mix is the realistic mix of sizes; message n has the same size in every run.
func Mix(n int) int {
	u1 := float64(scramble(uint64(n)*2+1)>>11)/(1<<53) + 1e-17
	u2 := float64(scramble(uint64(n)*2+2)>>11) / (1 << 53)
	normal := math.Sqrt(-2*math.Log(u1)) * math.Cos(2*math.Pi*u2)
	return int(min(mixMost, max(mixLeast, mixMedian*math.Exp(mixSigma*normal))))
}

// attachmentFrom is the size from which a message carries most of its octets as base64.
const attachmentFrom = 48 << 10

// Generator makes messages of text that compresses about as well as mail does; large ones have an
// attachment that does not compress.
type Generator struct {
	run    string
	sizes  Sizes
	text   []byte // whole lines
	base64 []byte // whole lines
}

// NewGenerator makes a generator. The run's name becomes part of every Message-ID, so that a second run
// against the same server is new mail to it.
func NewGenerator(run string, sizes Sizes) *Generator {
	return &Generator{run: run, sizes: sizes, text: textPool(1 << 20), base64: base64Pool(2 << 20)}
}

// MessageID is the Message-ID of message n, with its angle brackets.
func (g *Generator) MessageID(n int) string {
	return "<" + strconv.Itoa(n) + "." + g.run + "@bench.example>"
}

// Append appends message n.
func (g *Generator) Append(dst []byte, n int) []byte {
	size := g.sizes(n)
	end := len(dst) + size
	dst = append(dst, "From: Load Generator <load@bench.example>\r\nTo: Someone <someone@example.org>\r\nSubject: message "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, ' ')
	dst = append(dst, subjects[n%len(subjects)]...)
	dst = append(dst, "\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: "...)
	dst = append(dst, g.MessageID(n)...)
	dst = append(dst, "\r\nMIME-Version: 1.0\r\n"...)
	if size < attachmentFrom {
		dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n\r\n"...)
		return appendLines(dst, g.text, scramble(uint64(n)), end-len(dst))
	}
	const tail = "\r\n--bench-boundary--\r\n"
	dst = append(dst, "Content-Type: multipart/mixed; boundary=\"bench-boundary\"\r\n\r\n--bench-boundary\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"...)
	dst = appendLines(dst, g.text, scramble(uint64(n)), 6<<10)
	dst = append(dst, "\r\n--bench-boundary\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"paper.pdf\"\r\n\r\n"...)
	dst = appendLines(dst, g.base64, scramble(uint64(n)+7), end-len(dst)-len(tail))
	return append(dst, tail...)
}

// appendLines appends about octets of the pool, beginning at a line, going round at its end. The last
// line is ended.
func appendLines(dst, pool []byte, at uint64, octets int) []byte {
	if octets < 2 {
		return append(dst, '\r', '\n')
	}
	start := int(at % uint64(len(pool)))
	for pool[start] != '\n' {
		start = (start + 1) % len(pool)
	}
	start++
	for left := octets - 2; left > 0; {
		if start >= len(pool) {
			start = 0
		}
		n := min(left, len(pool)-start)
		dst = append(dst, pool[start:start+n]...)
		start, left = start+n, left-n
	}
	// Cutting between CR and LF must not leave a bare CR.
	if dst[len(dst)-1] == '\r' {
		dst[len(dst)-1] = ' '
	}
	return append(dst, '\r', '\n')
}

// scramble is the finalizer of splitmix64: neighbouring numbers give unrelated ones.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
