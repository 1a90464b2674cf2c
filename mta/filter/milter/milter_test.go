package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-milter"
	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta/filter"
	"github.com/rookery-mail/rookery/mta/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// packet is one as it goes over the line.
func packet(code byte, data string) []byte {
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(data)))
	return append(append(p, code), data...)
}

// terms are the answer to a negotiation.
func terms(version, actions, protocol uint32) []byte {
	var d []byte
	for _, n := range []uint32{version, actions, protocol} {
		d = binary.BigEndian.AppendUint32(d, n)
	}
	return packet('O', string(d))
}

// fake is a milter that writes down what it hears, and answers by the code of what it hears; what has no answer gets CONTINUE.
type fake struct {
	mu      sync.Mutex
	heard   []string
	answers map[byte][]byte
	silent  string // codes that get no answer
}

func (f *fake) talk(c net.Conn) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		p := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		f.mu.Lock()
		f.heard = append(f.heard, strings.ReplaceAll(string(p), "\x00", "|"))
		f.mu.Unlock()
		answer, ok := f.answers[p[0]]
		switch {
		case ok:
			_, _ = c.Write(answer)
		case p[0] == 'O':
			_, _ = c.Write(terms(6, uint32(actions), 0))
		case strings.IndexByte("DQA"+f.silent, p[0]) < 0:
			_, _ = c.Write(packet('c', ""))
		}
	}
}

func (f *fake) all() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.heard, "\n")
}

func check(t *testing.T, f *fake, m *filter.Message) (filter.Report, error) {
	t.Helper()
	return New(filtertest.Setting(t, filter.Milter, filtertest.Serve(t, f.talk))).Check(t.Context(), m)
}

const folded = "From: Ada <ada@example.org>\nSubject:Tea\n\tat four\nno field\nX: 1\n\nHow are you?\n"

func TestStagesInTheirOrder(t *testing.T) {
	f := &fake{}
	r, err := check(t, f, filtertest.Message(folded))
	if err != nil || r.Word != filter.Pass {
		t.Fatalf("got %+v, %v", r, err)
	}
	var stages []string
	for line := range strings.SplitSeq(f.all(), "\n") {
		if line != "" && strings.IndexByte("CHMRTLNBE", line[0]) >= 0 {
			stages = append(stages, line)
		}
	}
	want := []string{"Cout.example.org|4\x10\xe1192.0.2.7|", "Hout.example.org|", "M<ada@example.org>|SIZE=84|BODY=8BITMIME|", "R<bob@example.net>|", "R<cid@example.net>|", "T",
		"LFrom|Ada <ada@example.org>|", "LSubject|Tea", "LX|1|", "N", "BHow are you?\r", "E"}
	if got := strings.Join(stages, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("heard\n%q\nwant\n%q", stages, want)
	}
	for _, macro := range []string{"DCj|mx.example.net|", "DH{tls_version}|TLSv1.3|{cipher}|TLS_AES_128_GCM_SHA256|{cipher_bits}|128|", "DMi|M1|", "DRi|M1|", "{rcpt_addr}|cid@example.net|", "DTi|M1|", "DNi|M1|", "DEi|M1|"} {
		if !strings.Contains(f.all(), macro) {
			t.Errorf("did not hear %q of\n%s", macro, f.all())
		}
	}
}

func TestStagesThatAreLeftOut(t *testing.T) {
	f := &fake{answers: map[byte][]byte{'O': terms(6, 0, uint32(milter.OptNoConnect|milter.OptNoHelo|milter.OptNoMailReply|milter.OptNoRcptTo|milter.OptNoData|milter.OptNoHeaderReply|milter.OptHeaderLeadingSpace|milter.OptNoEOH|milter.OptNoBody))}, silent: "ML"}
	r, err := check(t, f, filtertest.Message(folded))
	if err != nil || r.Word != filter.Pass {
		t.Fatalf("got %+v, %v", r, err)
	}
	for line := range strings.SplitSeq(f.all(), "\n") {
		if line != "" && strings.IndexByte("CHRTNB", line[0]) >= 0 {
			t.Errorf("heard %q", line)
		}
	}
	if !strings.Contains(f.all(), "LFrom| Ada") || !strings.Contains(f.all(), "LSubject|Tea\n\tat four|") {
		t.Errorf("blanks in front of values are not as they came:\n%s", f.all())
	}
}

func TestDecisions(t *testing.T) {
	for stage := range strings.SplitSeq("C H M T L N B E", " ") {
		for answer, want := range map[string]string{
			"r":                               "refuse",
			"t":                               "defer",
			"d":                               "discard",
			"a":                               "pass",
			"y550 5.7.1 not this\x00":         "refuse: 550 5.7.1 not this",
			"y451 4.7.1 later\x00":            "defer: 451 4.7.1 later",
			"y554 No\x00":                     "refuse: 554 5.7.1 No",
			"y450-4.2.0 a\r\n450 4.2.0 b\x00": "defer: 450 4.2.0 a b",
		} {
			f := &fake{answers: map[byte][]byte{stage[0]: packet(answer[0], answer[1:])}}
			r, err := check(t, f, filtertest.Message(folded))
			got := string(r.Word)
			if r.Reply != nil {
				got += ": " + r.Reply.Error()
			}
			if err != nil || got != want {
				t.Errorf("%q at %s is %s, %v; want %s", answer, stage, got, err, want)
			}
		}
		for _, answer := range []string{"y", "y5", "yabc no\x00", "y250 fine\x00", "y999 no\x00", "z", "f", "4"} {
			f := &fake{answers: map[byte][]byte{stage[0]: packet(answer[0], answer[1:])}}
			if r, err := check(t, f, filtertest.Message(folded)); err == nil {
				t.Errorf("%q at %s is %+v", answer, stage, r)
			}
		}
	}
}

func TestProgressAndSkip(t *testing.T) {
	f := &fake{answers: map[byte][]byte{'B': packet('s', ""), 'E': append(bytes.Repeat(packet('p', ""), 30), packet('c', "")...)}}
	r, err := check(t, f, filtertest.Message(folded+strings.Repeat("more\n", 50_000)))
	if err != nil || r.Word != filter.Pass {
		t.Fatalf("got %+v, %v", r, err)
	}
	if n := strings.Count(f.all(), "\nBHow"); n != 1 || strings.Contains(f.all(), "\nBore") {
		t.Errorf("heard %d pieces of the body", n)
	}
	f = &fake{answers: map[byte][]byte{'E': bytes.Repeat(packet('p', ""), maxPackets+1)}}
	if r, err := check(t, f, filtertest.Message(folded)); !errors.Is(err, ErrBounds) {
		t.Errorf("progress for ever: %+v, %v", r, err)
	}
}

func TestSomeRecipients(t *testing.T) {
	n := 0
	talk := (&fake{}).talk
	s := filtertest.Setting(t, filter.Milter, filtertest.Serve(t, func(c net.Conn) { talk(&second{Conn: c, n: &n}) }))
	r, err := New(s).Check(t.Context(), filtertest.Message(folded))
	if err != nil || r.Word != filter.Pass || len(r.Recipients) != 1 || r.Recipients[0].Recipient != "cid@example.net" || r.Recipients[0].Reply.Error() != "550 5.1.1 nobody" {
		t.Errorf("got %+v, %v", r, err)
	}
	f := &fake{answers: map[byte][]byte{'R': packet('r', "")}}
	if r, err := check(t, f, filtertest.Message(folded)); err != nil || r.Word != filter.Refuse || r.Recipients != nil {
		t.Errorf("all of them: %+v, %v", r, err)
	}
}

// second answers the second recipient otherwise than with CONTINUE.
type second struct {
	net.Conn
	n *int // packets that were answered
}

func (s *second) Write(p []byte) (int, error) {
	if *s.n++; *s.n == 6 { // negotiation, connection, HELO, sender, recipient
		_, err := s.Conn.Write(packet('y', "550 5.1.1 nobody\x00"))
		return len(p), err
	}
	return s.Conn.Write(p)
}

func TestChanges(t *testing.T) {
	index := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	end := bytes.Join([][]byte{
		packet('h', "X-New\x00one\n\ttwo\x00"), packet('p', ""), packet('i', index(0)+"X-Top\x00top\x00"), packet('m', index(1)+"Subject\x00Coffee\x00"), packet('m', index(1)+"X\x00\x00"),
		packet('b', "Another "), packet('b', "body\r\n"), packet('e', "<new@example.org>\x00"), packet('+', "<dan@example.net>\x00"), packet('2', "<eve@example.net>\x00NOTIFY=NEVER\x00"),
		packet('-', "<cid@example.net>\x00"), packet('q', "odd\x00"), packet('c', ""),
	}, nil)
	m := filtertest.Message(folded)
	r, err := check(t, &fake{answers: map[byte][]byte{'E': end}}, m)
	if err != nil || r.Word != filter.Quarantine || r.Detail != "odd" || *r.From != "new@example.org" || fmt.Sprint(r.Added, r.Removed) != "[dan@example.net eve@example.net] [cid@example.net]" {
		t.Fatalf("got %+v, %v", r, err)
	}
	d, err := filter.NewDraft(m.Text, m.Size, m.HeaderSize)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := d.Apply(r.Changes); left != 0 || err != nil {
		t.Fatal(left, err)
	}
	d.Replace(r.Body)
	text, size, _ := d.Text()
	got, err := io.ReadAll(io.NewSectionReader(text, 0, size))
	want := "X-Top: top\nFrom: Ada <ada@example.org>\nSubject: Coffee\nno field\nX-New: one\n\ttwo\n\nAnother body\n"
	if err != nil || string(got) != strings.ReplaceAll(want, "\n", "\r\n") {
		t.Errorf("it became %q, %v", got, err)
	}
}

func TestWhatWasNotAgreed(t *testing.T) {
	for name, f := range map[string]*fake{
		"a change that was not granted":  {answers: map[byte][]byte{'O': terms(6, 0, 0), 'E': packet('h', "X\x00y\x00")}},
		"an action that was not offered": {answers: map[byte][]byte{'O': terms(6, 1<<20, 0)}},
		"a stage that was not offered":   {answers: map[byte][]byte{'O': terms(6, 0, 1<<30)}},
		"version 1":                      {answers: map[byte][]byte{'O': terms(1, 0, 0)}},
		"a short answer":                 {answers: map[byte][]byte{'O': packet('O', "\x00\x00")}},
		"a packet that is too long":      {answers: map[byte][]byte{'E': {0x7f, 0xff, 0xff, 0xff, 'c'}}},
		"an empty packet":                {answers: map[byte][]byte{'E': {0, 0, 0, 0}}},
		"bodies without end":             {answers: map[byte][]byte{'E': bytes.Repeat(packet('b', strings.Repeat("x", 60_000)), 100)}},
		"recipients without end":         {answers: map[byte][]byte{'E': bytes.Repeat(packet('+', "<x@example.net>\x00"), maxRecipients+1)}},
		"a field without a value":        {answers: map[byte][]byte{'E': packet('h', "X")}},
		"a place that is cut off":        {answers: map[byte][]byte{'E': packet('m', "ab")}},
	} {
		if e := f.answers['E']; e != nil {
			f.answers['E'] = append(e, packet('c', "")...)
		}
		if r, err := check(t, f, filtertest.Message(folded)); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestOlderVersions(t *testing.T) {
	f := &fake{answers: map[byte][]byte{'O': terms(2, 1, 0), 'E': append(packet('h', "X-Old\x00yes\x00"), packet('a', "")...)}}
	r, err := check(t, f, filtertest.Message(folded))
	if err != nil || r.Word != filter.Pass || len(r.Changes) != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if strings.Contains(f.all(), "\nT\n") {
		t.Error("version 2 heard of DATA")
	}
}

// library is a milter of go-milter's own, which speaks version 2.
type library struct{ milter.NoOpMilter }

func (library) Body(m *milter.Modifier) (milter.Response, error) {
	return milter.RespAccept, m.AddHeader("X-Seen", m.Macros["i"])
}

func TestTheLibrarysOwn(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &milter.Server{NewMilter: func() milter.Milter { return library{} }, Actions: milter.OptAddHeader}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() {
		l.Close()
		<-done
	}()
	r, err := New(filtertest.Setting(t, filter.Milter, l.Addr().String())).Check(t.Context(), filtertest.Message(folded))
	if err != nil || r.Word != filter.Pass || len(r.Changes) != 1 || r.Changes[0].Name != "X-Seen" || strings.TrimSpace(r.Changes[0].Value) != "M1" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestTrouble(t *testing.T) {
	filtertest.Trouble(t, filter.Milter, func(s filter.Setting) filtertest.Checker { return New(s) }, terms(6, uint32(actions), 0))
}

func FuzzTalk(f *testing.F) {
	f.Add(append(terms(6, uint32(actions), 0), bytes.Repeat(packet('c', ""), 20)...))
	f.Add(append(terms(2, 1, 0), append(bytes.Repeat(packet('c', ""), 10), packet('h', "X\x00y\x00")...)...))
	f.Add(append(terms(6, uint32(actions), 1<<10), packet('y', "550 no\x00")...))
	f.Add(append(terms(6, uint32(actions), uint32(protocol)), append(packet('m', "\x00\x00\x00\x01X\x00\x00"), packet('s', "")...)...))
	f.Fuzz(func(t *testing.T, said []byte) {
		m := filtertest.Message(folded)
		draft, err := filter.NewDraft(m.Text, m.Size, m.HeaderSize)
		if err != nil {
			t.Fatal(err)
		}
		w := &wire{Conn: tape{said: bytes.NewReader(said)}, budget: slack}
		r, err := converse(w, m, draft, m.Size)
		if err == nil && (r.Word == "" || len(r.Added) > maxRecipients) {
			t.Errorf("%q is %+v", said, r)
		}
	})
}

// tape is a connection to something that says what it says, whatever it hears.
type tape struct {
	net.Conn
	said *bytes.Reader
}

func (tape) Write(p []byte) (int, error) { return len(p), nil }

func (t tape) Read(p []byte) (int, error) { return t.said.Read(p) }
