package attachment_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/mta/attachment"
)

func TestFind(t *testing.T) {
	wanted := func(kind, name string) bool { return kind == "application/gzip" || strings.HasSuffix(name, ".x") }
	part := "Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
	wrap := func(depth int, inner string) string {
		for i := range depth {
			b := fmt.Sprint("b", i)
			inner = "Content-Type: multipart/mixed; boundary=" + b + "\r\n\r\n--" + b + "\r\nContent-Type: text/plain\r\n\r\nhi\r\n--" + b + "\r\n" + inner + "\r\n--" + b + "--\r\n"
		}
		return inner
	}
	for name, c := range map[string]struct {
		mail, want string
		err        error
	}{
		"the mail itself":   {part, "hello", nil},
		"a part":            {wrap(1, part), "hello", nil},
		"three deep":        {wrap(3, part), "hello", nil},
		"by its name":       {wrap(1, "Content-Type: application/octet-stream; name=a.x\r\n\r\nhello"), "hello", nil},
		"by its file name":  {wrap(1, "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=\"a.x\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=65llo"), "hello", nil},
		"none":              {wrap(1, "Content-Type: text/plain\r\n\r\nhello"), "", attachment.ErrAbsent},
		"too large":         {"Content-Type: application/gzip\r\n\r\nhello, world", "", attachment.ErrBroken},
		"no Base64":         {"Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!", "", attachment.ErrBroken},
		"no type":           {"Subject: x\r\n\r\nhello", "", attachment.ErrAbsent},
		"too deep":          {wrap(4, part), "", attachment.ErrAbsent},
		"behind many parts": {"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n", 60) + "--b\r\n" + part + "\r\n--b--\r\n", "", attachment.ErrAbsent},
	} {
		got, err := attachment.Find([]byte(c.mail), 10, wanted)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, mail []byte) {
		got, err := attachment.Find(mail, 100, func(string, string) bool { return true })
		if err == nil && len(got) > 100 {
			t.Errorf("%d octets", len(got))
		}
	})
}
