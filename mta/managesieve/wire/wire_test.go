package wire_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/managesieve/wire"
)

func TestCommand(t *testing.T) {
	for in, want := range map[string]string{
		"logout\r\n":                             "LOGOUT",
		"PUTSCRIPT \"a b\" {5+}\r\nstop;\r\n":    "PUTSCRIPT|a b|stop;",
		"PUTSCRIPT {1}\r\na {5+}\r\nst\r\np\r\n": "PUTSCRIPT|a|st\r\np",
		"HAVESPACE \"x\\\"\\\\y\" 007\r\n":       "error",
		"HAVESPACE \"x\\\"\\\\y\" 7\r\n":         "HAVESPACE|x\"\\y|#7",
		"\"x\"\r\n":                              "error",
		"\r\n":                                   "error",
		"NOOP word\r\n":                          "error",
		"NOOP \"open\r\n":                        "error",
		"NOOP \"a\\b\"\r\n":                      "error",
		"NOOP\n":                                 "error",
		"PUTSCRIPT {20+}\r\n01234567890123456789 \"x\"\r\n": "large",
		"PUTSCRIPT {x}\r\n":                         "error",
		"A " + strings.Repeat("\"x\" ", 9) + "\r\n": "error",
		"A " + strings.Repeat("x", 9000) + "\r\n":   "broken",
		"PUTSCRIPT {2000000000+}\r\n":               "broken",
	} {
		r := wire.NewReader(strings.NewReader(in+"NEXT\r\n"), 10)
		c, err := r.Command()
		got := c.Name
		for _, a := range c.Args {
			got += "|"
			if a.Number {
				got += "#"
			}
			got += a.Text
		}
		switch {
		case errors.Is(err, wire.ErrTooLarge):
			got = "large"
		case errors.Is(err, wire.ErrSyntax):
			got = "error"
		case errors.Is(err, wire.ErrBroken):
			got = "broken"
		case err != nil:
			t.Error(err)
		}
		if got != want {
			t.Errorf("%.40q is %q, not %q", in, got, want)
		}
		if next, err := r.Command(); got != "broken" && (next.Name != "NEXT" || err != nil) {
			t.Errorf("behind %.40q is %v, %v", in, next, err)
		}
	}
}

// FuzzCommand: any octets are read to their end in bounded memory, and what is written is read back.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"PUTSCRIPT \"a\" {5+}\r\nstop;\r\n", "A {3}\r\n\x00\r\n 5\r\n", "{", "\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := wire.NewReader(strings.NewReader(s), 100)
		for {
			_, err := r.Command()
			if errors.Is(err, wire.ErrSyntax) || errors.Is(err, wire.ErrTooLarge) {
				continue
			}
			if err != nil {
				break
			}
		}
		text := string(wire.AppendString([]byte("A "), s)) + "\r\n"
		c, err := wire.NewReader(strings.NewReader(text), int64(len(s))).Command()
		if err != nil && !errors.Is(err, io.EOF) || len(c.Args) != 1 || c.Args[0].Text != s {
			t.Errorf("%q came back as %v, %v", s, c, err)
		}
	})
}
