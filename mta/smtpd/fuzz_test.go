package smtpd

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

// fuzzServer is a server whose connections all end within memory.
func fuzzServer(store *fakeStore) *Server {
	return newServer(store, func(c *Config) { c.Directory = fakeDirectory{Bounds{MaxMessage: 10_000, MaxRecipients: 1000}} })
}

// FuzzConnection holds that no octets of a client break a session, that every reply is one, and that
// all messages are given back to the store.
func FuzzConnection(f *testing.F) {
	hello := "EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.org>\r\n"
	for _, seed := range []string{
		hello + "DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
		hello + "BDAT 3\r\na\r\nBDAT 2 LAST\r\n\r\nQUIT\r\n",
		hello + "BDAT 3 LAST\r\na",
		"LHLO x\r\nMAIL FROM:<> SMTPUTF8 SIZE=5 BODY=8BITMIME\r\nRCPT TO:<\"a b\"@example.org>\r\nDATA\r\na\nb\r.\r\n.\r\n",
		"EHLO x\r\nAUTH PLAIN\r\nAGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\nMAIL FROM:<alice@example.org>\r\nAUTH LOGIN =\r\n*\r\n",
		"STARTTLS\r\nVRFY\nHELP\r\nNOOP\r\n\x00\r\n", "BDAT 4294967296\r\n", "MAIL FROM:<@a,@b:c@d>\r\n",
	} {
		f.Add(byte(0), []byte(seed))
		f.Add(byte(1), []byte(seed))
		f.Add(byte(3), []byte(seed))
	}
	f.Add(byte(4), []byte("EHLO p\r\nXCLIENT ADDR=198.51.100.9 HELO=x PROTO=ESMTP\r\nMAIL FROM:<a@example.com>\r\nXCLIENT ADDR=[UNAVAILABLE]\r\nRSET\r\nXCLIENT X=y\r\n"))
	f.Add(byte(8), []byte("PROXY TCP4 198.51.100.9 192.0.2.1 4000 25\r\n"+hello))
	f.Add(byte(8), []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00EHLO x\r\n"))
	kinds := []Kind{MX, Submission, Submission, LMTP}
	f.Fuzz(func(t *testing.T, kind byte, octets []byte) {
		store := &fakeStore{}
		s := fuzzServer(store)
		if all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}; kind&4 != 0 {
			s.c.XCLIENT = all
		} else if kind&8 != 0 {
			s.c.Proxies = all
		}
		converse(s, kinds[int(kind)%len(kinds)], [][]byte{octets}, func(_ int, answer string) {
			for line := range strings.SplitSeq(strings.TrimSuffix(answer, "\r\n"), "\r\n") {
				if len(line) < 4 || strings.Trim(line[:3], "0123456789") != "" || strings.ContainsAny(line, "\r\n\x00") {
					if answer != "" {
						t.Fatalf("reply line %q", line)
					}
				}
			}
		})
		if store.open != 0 {
			t.Fatalf("%d messages were not given back", store.open)
		}
		for _, m := range store.take() {
			if strings.Contains(m.octets, "\x00") || strings.Count(m.octets, "\r") != strings.Count(m.octets, "\r\n") ||
				strings.Count(m.octets, "\n") != strings.Count(m.octets, "\r\n") {
				t.Fatalf("stored %q", m.octets)
			}
		}
	})
}

// FuzzSmuggling holds that a body, whatever is in it, is one message and gets one reply, as long as
// it does not have the five octets that end one.
func FuzzSmuggling(f *testing.F) {
	for _, seed := range []string{
		"a\n.\nMAIL FROM:<evil@example.com>\n", "a\r.\r", "\n.\r\nDATA\r\n", "a\r\n.\nb", "a\r\n.\rb", "\r\n.\r\r\n", "x\r", "x\r\r", "..", ".\n", ".\r", "\x00",
		"a\r\n..\r\nb", "\r", "\n", strings.Repeat("y", 8190) + "\r", strings.Repeat("y", 8189) + "\r\n.",
	} {
		f.Add(false, []byte(seed))
		f.Add(true, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, lmtp bool, body []byte) {
		whole := append(append([]byte("\r\n"), body...), "\r\n.\r\n"...)
		if bytes.Index(whole, []byte("\r\n.\r\n")) != len(whole)-5 {
			t.Skip("the body has the end of a message")
		}
		kind, hello := MX, "EHLO"
		if lmtp {
			kind, hello = LMTP, "LHLO"
		}
		store := &fakeStore{}
		dialogue := hello + " x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA" + string(whole) + "QUIT\r\n"
		var answers string
		converse(fuzzServer(store), kind, [][]byte{[]byte(dialogue)}, func(_ int, answer string) { answers += answer })
		_, after, found := strings.Cut(answers, "\r\n354 ")
		if !found {
			t.Fatalf("DATA was answered with %q", answers)
		}
		lines := strings.Split(strings.TrimSuffix(after, "\r\n"), "\r\n")
		hungUp := len(lines) == 2 && strings.HasPrefix(lines[1], "552 ") && len(body) > 10_000
		if !hungUp && (len(lines) != 3 || !strings.HasPrefix(lines[2], "221 ")) {
			t.Fatalf("the message was answered with %q", lines[1:])
		}
		messages := store.take()
		if accepted := strings.HasPrefix(lines[1], "250 "); len(messages) > 1 || (len(messages) == 1) != accepted {
			t.Fatalf("%d messages and %q", len(messages), lines[1:])
		}
		if len(messages) == 1 && !lmtp && !strings.HasSuffix(messages[0].octets, unstuffed(string(body)+"\r\n")) {
			t.Fatalf("stored %q", messages[0].octets)
		}
	})
}

// unstuffed takes the doubled dots off, the plain way.
func unstuffed(body string) string {
	lines := strings.SplitAfter(body, "\r\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], ".")
	}
	return strings.Join(lines, "")
}
