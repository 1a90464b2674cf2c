package clamd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// daemon is a clamd that finds what it is told to, and takes no more than limit octets.
func daemon(find string, limit int) func(net.Conn) {
	return func(c net.Conn) {
		head := make([]byte, len("zINSTREAM\x00"))
		if _, err := io.ReadFull(c, head); err != nil || string(head) != "zINSTREAM\x00" {
			return
		}
		var all []byte
		for {
			var n uint32
			if binary.Read(c, binary.BigEndian, &n) != nil {
				return
			}
			if n == 0 {
				break
			}
			if len(all)+int(n) > limit {
				_, _ = io.WriteString(c, "INSTREAM size limit exceeded. ERROR\x00")
				_, _ = io.Copy(io.Discard, c)
				return
			}
			piece := make([]byte, n)
			if _, err := io.ReadFull(c, piece); err != nil {
				return
			}
			all = append(all, piece...)
		}
		if bytes.Contains(all, []byte(find)) {
			_, _ = io.WriteString(c, "stream: Test.Signature FOUND\x00")
		} else {
			_, _ = io.WriteString(c, "stream: OK\x00")
		}
	}
}

func TestCheck(t *testing.T) {
	s := filtertest.Setting(t, filter.Clamd, filtertest.Serve(t, daemon("harm", 1<<20)))
	for text, want := range map[string]string{
		filtertest.Letter:            "",
		filtertest.Letter + "harm\n": "Test.Signature",
		filtertest.Letter + strings.Repeat("more and more\n", 20_000) + "harm": "Test.Signature",
	} {
		r, err := New(s).Check(t.Context(), filtertest.Message(text))
		if err != nil || r.Virus != want || (want == "") != (r.Word == filter.Pass) {
			t.Errorf("%d octets: %+v, %v", len(text), r, err)
		}
	}
	if _, err := New(s).Check(t.Context(), filtertest.Message(strings.Repeat("x", 2<<20))); !errors.Is(err, ErrSize) {
		t.Errorf("a message beyond the daemon's bound: %v", err)
	}
	s.Most = 1 << 10
	s.Over = filter.OverHead
	if r, err := New(s).Check(t.Context(), filtertest.Message(strings.Repeat("x", 2<<20)+"harm")); err != nil || r.Word != filter.Pass {
		t.Errorf("the head of a message: %+v, %v", r, err)
	}
}

func TestTrouble(t *testing.T) {
	filtertest.Trouble(t, filter.Clamd, func(s filter.Setting) filtertest.Checker { return New(s) }, []byte("stream: Test"))
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"stream: OK", "stream: A.B FOUND", "stream:  FOUND", "x ERROR", "INSTREAM size limit exceeded. ERROR", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := parse(p)
		if err == nil && (r.Word == filter.Virus) == (r.Virus == "") {
			t.Errorf("%q is %+v", p, r)
		}
	})
}
