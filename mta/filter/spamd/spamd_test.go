package spamd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// report is of the form of SpamAssassin 4's own, with rules that it does not have.
const report = `Spam detection software, running on the system "host",
has identified this incoming email as possible spam.

Content preview:  1.5 ONE_LIKE_A_RULE of the text

Content analysis details:   (6.2 points, 5.0 required)

 pts rule name              description
---- ---------------------- --------------------------------------------------
 7.5 TEST_SHOUTS            BODY: It shouts
                            and goes on about it
-1.3 TEST_POLITE            Somebody is polite
* 0.0 TEST_NOTHING
`

// daemon is a spamd that finds all to be spam in which there is "buy".
func daemon(t *testing.T) func(net.Conn) {
	return func(c net.Conn) {
		r := textproto.NewReader(bufio.NewReader(c))
		if hello, err := r.ReadLine(); err != nil || hello != "REPORT SPAMC/1.5" {
			fmt.Fprintf(c, "SPAMD/1.0 76 Bad header line: (%s)\r\n", hello)
			return
		}
		h, err := r.ReadMIMEHeader()
		text, _ := io.ReadAll(r.R)
		if err != nil || h.Get("Content-Length") != fmt.Sprint(len(text)) || h.Get("User") != "ada" {
			t.Errorf("asked with %v and %d octets: %v", h, len(text), err)
		}
		if strings.Contains(string(text), "buy") {
			fmt.Fprintf(c, "SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: True ; 6.2 / 5.0\r\n\r\n%s", len(report), report)
		} else {
			fmt.Fprintf(c, "SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; -0.1 / 5.0\r\n\r\n")
		}
	}
}

func TestCheck(t *testing.T) {
	s := filtertest.Setting(t, filter.Spamd, filtertest.Serve(t, daemon(t)))
	s.User = "ada"
	r, err := New(s).Check(t.Context(), filtertest.Message(filtertest.Letter+"buy\n"))
	if err != nil || r.Word != filter.Spam || r.Score != 6.2 || r.Required != 5 {
		t.Errorf("got %+v, %v", r, err)
	}
	want := []filter.Symbol{{Name: "TEST_SHOUTS", Score: 7.5, Detail: "BODY: It shouts"}, {Name: "TEST_POLITE", Score: -1.3, Detail: "Somebody is polite"}, {Name: "TEST_NOTHING"}}
	if fmt.Sprint(r.Symbols) != fmt.Sprint(want) {
		t.Errorf("rules are %+v", r.Symbols)
	}
	r, err = New(s).Check(t.Context(), filtertest.Message(filtertest.Letter))
	if err != nil || r.Word != filter.Pass || r.Score != -0.1 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestVerdictsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"SPAMD/1.1 76 EX_PROTOCOL\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5.0\r\n\r\n",
		"SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 1.0 / 5.0\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\nSpam: True ; 9.0 / 5.0\r\n\r\nshort",
		"SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9.0 / 5.0\r\n\r\n" + strings.Repeat("x", maxReply),
	} {
		if r, err := parse(strings.NewReader(text)); err == nil {
			t.Errorf("%.80q is %+v", text, r)
		}
	}
}

func TestTrouble(t *testing.T) {
	filtertest.Trouble(t, filter.Spamd, func(s filter.Setting) filtertest.Checker { return New(s) },
		[]byte("SPAMD/1.1 0 EX_OK\r\nContent-length: 100\r\nSpam: True ; 6.2 / 5.0\r\n\r\n"))
}

func FuzzReply(f *testing.F) {
	f.Add("SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: False ; -0.1 / 5.0\r\n\r\n")
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 6.2 / 5.0\r\n\r\n" + report)
	f.Add("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1e999 / 5.0\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(strings.NewReader(text))
		if err == nil && (r.Word != filter.Spam && r.Word != filter.Pass || len(r.Symbols) > maxRules || r.Score != r.Score) {
			t.Errorf("%q is %+v", text, r)
		}
	})
}
