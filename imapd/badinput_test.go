package imapd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/imapd"
)

// everyCommand is the whole command set; a command that is new is added here.
func everyCommand() []string {
	return []string{"CAPABILITY", "NOOP", "LOGOUT", "ID", "STARTTLS", "LOGIN", "AUTHENTICATE", "UNAUTHENTICATE", "GENURLAUTH", "URLFETCH", "RESETKEY", "ENABLE", "SELECT", "EXAMINE",
		"CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST", "LSUB", "NAMESPACE", "STATUS", "APPEND", "IDLE", "GETQUOTA", "SETQUOTA", "GETMETADATA", "SETMETADATA", "NOTIFY", "COMPRESS", "CANCELUPDATE",
		"GETQUOTAROOT", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "FETCH", "STORE", "SEARCH", "ESEARCH", "SORT", "THREAD", "COPY", "MOVE", "REPLACE",
		"UID EXPUNGE", "UID FETCH", "UID STORE", "UID SEARCH", "UID SORT", "UID THREAD", "UID COPY", "UID MOVE", "UID REPLACE"}
}

// wrongArguments are arguments that no command takes.
func wrongArguments() map[string]string {
	return map[string]string{
		"nothing readable":           " )",
		"10,000 parentheses":         " " + strings.Repeat("(", 10000),
		"10,000 closed parentheses":  " " + strings.Repeat("(", 10000) + "x" + strings.Repeat(")", 10000),
		"a literal too long":         " {100000000}",
		"a literal of 24 digits":     " {999999999999999999999999}",
		"a literal too long unasked": " {70000+}\r\n" + strings.Repeat("x", 70000),
		"a negative literal":         " {-1}",
		"a literal of nothing":       " {}",
		"a literal that is cut off":  " {5",
		"a quote that does not end":  ` "abc`,
		"a wrong escape":             ` "a\bc"`,
		"NUL":                        " a\x00b",
		"NUL in quotes":              " \"a\x00b\" x",
		"NUL in a literal":           " {3+}\r\na\x00b x",
		"octets above 0x7f":          " \xff\xfe\xc0\x80",
		"a lone CR":                  " a\rb",
		"a long line":                " " + strings.Repeat("x", 70000),
		"a long quote":               ` "` + strings.Repeat("x", 70000) + `"`,
	}
}

// bad sends a command and expects how its answer begins, one of want, and that the session lives on.
func (w *wire) bad(what, command string, want ...string) {
	w.t.Helper()
	if err := w.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	began := time.Now()
	if _, err := w.Write([]byte("t " + command + "\r\n")); err != nil {
		w.t.Fatal(err)
	}
	got := ""
	for ok := false; !ok; got, ok = strings.CutPrefix(got, "t ") {
		var err error
		if got, err = w.r.ReadString('\n'); err != nil {
			w.t.Fatalf("%s: %.60q: %v", what, command, err)
		}
	}
	fits := false
	for _, p := range want {
		fits = fits || strings.HasPrefix(got, p)
	}
	if took := time.Since(began); took > 2*time.Second {
		w.t.Logf("%s: %.40q took %v", what, command, took)
	}
	if !fits || strings.Contains(got, "SERVERBUG") {
		w.t.Errorf("%s: %.60q was answered %.200q, want %q", what, command, got, want)
	}
	if got := w.do("NOOP"); got != "t OK NOOP completed" {
		w.t.Fatalf("after %s: %.60q NOOP is answered %.200q", what, command, got)
	}
}

// selected is a session in a mailbox of three messages.
func (h *house) selected() *wire {
	h.t.Helper()
	for i := range 3 {
		h.deliver(fmt.Sprintf("Subject: %d\r\n\r\nHello.\r\n", i))
	}
	w := h.dialTLS()
	w.do(login1)
	w.do("SELECT INBOX")
	return w
}

// TestWrongArguments gives every command what none takes.
func TestWrongArguments(t *testing.T) {
	w := newHouse(t).selected()
	for what, arguments := range wrongArguments() {
		for _, c := range everyCommand() {
			w.bad(what, c+arguments, "BAD", "NO [")
		}
	}
	for _, c := range []string{"SEARCH ", "UID SEARCH ALL ", "SEARCH RETURN ", "FETCH 1 ", "UID FETCH 1 ", "STORE 1 FLAGS ", "STATUS INBOX ", "APPEND INBOX ", `LIST "" `, "LIST ",
		`LIST "" * RETURN `, "ID ", "SORT ", "SORT (DATE) UTF-8 ", "THREAD REFS UTF-8 ", "CREATE x ", "SELECT INBOX ", "SELECT INBOX (QRESYNC ", "FETCH 1 (BODY[HEADER.FIELDS ", "FETCH 1 FLAGS ",
		"REPLACE 1 INBOX "} {
		w.bad("nested deeply", c+strings.Repeat("(", 10000), "BAD")
		w.bad("nested deeply", c+strings.Repeat("(", 10000)+"x"+strings.Repeat(")", 10000), "BAD")
	}
	for _, c := range everyCommand() {
		switch c {
		case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "UNAUTHENTICATE", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE":
			w.bad("one too many", c+" x", "BAD")
		default:
			w.bad("none", c, "BAD")
			w.bad("a space", c+" ", "BAD")
		}
	}
}

// TestWrongNames: a name of a mailbox that is none is refused by each command that takes one, whether
// names are in UTF-7 or UTF-8.
func TestWrongNames(t *testing.T) {
	w := newHouse(t).selected()
	takers := []string{"SELECT %s", "EXAMINE %s", "CREATE %s", "DELETE %s", "RENAME INBOX %s", "RENAME %s Other", "SUBSCRIBE %s", "UNSUBSCRIBE %s",
		"STATUS %s (MESSAGES)", "COPY 1 %s", "MOVE 1 %s", "UID COPY 1 %s", "GETQUOTAROOT %s", `LIST "" %s`, "LSUB \"\" %s", "APPEND %s {3}"}
	for _, name := range []string{`&`, `&Jjo`, `&Jjo!-`, `&2D0-`, `&3QA-`, `&AGE-`, `&AAA-`, `&U,BTFw-&ZeVnLIqe-`, `a&-&b`, "\"b\xc3\xbc\"", "\"\xff\"", "{2+}\r\n\xc3\xbc"} {
		for _, c := range takers {
			w.bad("not UTF-7", fmt.Sprintf(c, name), "BAD")
		}
	}
	made := []string{`""`, `"/"`, `"/a"`, `"a//b"`, `".."`, `"."`, `"a/../b"`, `"../a"`, `"a/.."`, "\"a\x01b\"", "\"a*b\"", `"a` + strings.Repeat("/b", 40) + `"`,
		strings.Repeat("x", 300), strings.Repeat("x/", 600), `"&AAo-"`}
	for _, name := range made {
		w.bad("no name for a mailbox", "CREATE "+name, "NO [CANNOT]", "BAD")
		w.bad("no name for a mailbox", "RENAME INBOX "+name, "NO [CANNOT]", "BAD")
	}
	w.do("ENABLE UTF8=ACCEPT")
	for _, name := range []string{"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "{1+}\r\n\xff", "\"a\u0085\"", "\"a\u2028\""} {
		w.bad("not UTF-8", "CREATE "+name, "BAD", "NO [CANNOT]")
	}
	w.do(`CREATE "b` + "\xc3\xbc" + `"`)
	if got := w.do(`LIST "" *`); strings.Contains(got, "..") {
		t.Error(got)
	}
}

// TestHugeArguments: what is well formed and too much of it.
func TestHugeArguments(t *testing.T) {
	w := newHouse(t).selected()
	var keywords, numbers, fields strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&keywords, " k%d", i)
		fmt.Fprintf(&numbers, ",%d", 4294967295-i)
		fmt.Fprintf(&fields, " X%d", i)
	}
	words := "(" + keywords.String()[1:] + ")"
	for _, c := range []struct {
		what, command, want string
	}{
		{"10,000 keywords", "STORE 1:3 +FLAGS " + words, "NO [LIMIT]"},
		{"10,000 keywords", "UID STORE 1:* FLAGS " + words[:58000] + ")", "NO [LIMIT]"},
		{"10,000 keywords", "APPEND INBOX " + words[:58000] + ") {7+}\r\nA: b\r\n\r\n", "NO [LIMIT]"},
		{"a long keyword", "STORE 1 +FLAGS (" + strings.Repeat("k", 60000) + ")", "NO [CANNOT]"},
		{"a keyword of 129 octets", "STORE 1 +FLAGS (" + strings.Repeat("k", 129) + ")", "NO [CANNOT]"},
		{"an unknown system flag", `STORE 1 +FLAGS (\NoSuch)`, "NO [CANNOT]"},
		{"a number of no message", "FETCH 4294967295:1 FLAGS", "BAD"},
		{"a number of no message", "STORE 4294967295:1 FLAGS (x)", "BAD"},
		{"a number of no message", "COPY 4294967295:1 INBOX", "BAD"},
		{"a UID range downwards", "UID FETCH 4294967295:1 UID", "OK"},
		{"a UID range downwards", "UID SEARCH UID 4294967295:1", "OK"},
		{"a number too large", "UID FETCH 4294967296:1 UID", "BAD"},
		{"a number too large", "UID FETCH 1:99999999999999999999999 UID", "BAD"},
		{"number 0", "UID FETCH 0:1 UID", "BAD"},
		{"thousands of UIDs", "UID FETCH 1" + numbers.String()[:58000], "BAD"},
		{"thousands of UIDs", "UID FETCH 1" + numbers.String()[:57992] + " UID", "OK"},
		{"all again and again", "UID FETCH 1" + strings.Repeat(",1:*", 15000) + " UID", "OK"},
		{"all again and again", "UID COPY 1" + strings.Repeat(",1:*", 15000) + " INBOX", "OK"},
		{"a search program of 1 MiB", "SEARCH" + strings.Repeat(" ALL", 1<<18), "BAD"},
		{"a search program of 1 MiB", "UID SEARCH" + strings.Repeat(" OR SEEN", 1<<17) + " ALL ALL", "BAD"},
		{"a search program of literals", "SEARCH" + strings.Repeat(" BODY {1000+}\r\n"+strings.Repeat("b", 1000), 1000), "NO [TOOBIG]"},
		{"a search for 60,000 octets", "SEARCH BODY {60000+}\r\n" + strings.Repeat("b", 60000), "OK"},
		{"deep logic", "SEARCH " + strings.Repeat("NOT ", 10000) + "ALL", "BAD"},
		{"a charset", "SEARCH CHARSET X-NONE BODY x", "NO [BADCHARSET"},
		{"a deep part", "FETCH 1 BODY[1" + strings.Repeat(".1", 20000) + "]", "BAD"},
		{"a part 0", "FETCH 1 BODY[0]", "BAD"},
		{"a part too large", "FETCH 1 BODY[4294967296]", "BAD"},
		{"a partial too large", "FETCH 1 BODY[]<99999999999999999999.1>", "BAD"},
		{"a partial beyond", "FETCH 1 BODY[]<9223372036854775807.4294967295>", "OK"},
		{"a partial of nothing", "FETCH 1 BODY[]<0.0>", "BAD"},
		{"10,000 fields", "FETCH 1 BODY[HEADER.FIELDS (" + fields.String()[1:50000] + ")]", "OK"},
		{"8,000 items", "FETCH 1:3 (UID" + strings.Repeat(" BODY[]", 8000) + ")", "BAD"},
		{"a message too large", "APPEND INBOX {4294967296}", "NO [TOOBIG]"},
		{"a message of nothing", "APPEND INBOX {0+}\r\n", "NO [CANNOT]"},
		{"1,000 messages", "APPEND INBOX" + strings.Repeat(" {9+}\r\nA: b\r\n\r\nx", 1000), "NO [MESSAGELIMIT 500]"},
		{"a date that is none", `APPEND INBOX "31-Feb-2026 25:61:61 +9999" {3}`, "BAD"},
		{"a search for a date that is none", "SEARCH BEFORE 99-Foo-0000", "BAD"},
		{"a mod-sequence too large", "FETCH 1 FLAGS (CHANGEDSINCE 18446744073709551616)", "BAD"},
		{"a window beyond", "UID FETCH 1:* FLAGS (PARTIAL -4294967295:-4294967294)", "OK"},
		{"a window of 0", "UID SEARCH RETURN (PARTIAL 0:5) ALL", "BAD"},
		{"a long sort", "SORT (" + strings.Repeat("REVERSE ", 7000) + "DATE) UTF-8 ALL", "BAD"},
		{"an algorithm that is none", "THREAD FROBNICATE UTF-8 ALL", "BAD"},
		{"20,000 wildcards", `LIST "" "` + strings.Repeat("*%", 20000) + `"`, "OK"},
		{"10,000 patterns", `LIST "" (` + strings.Repeat("* ", 10000) + `x)`, "BAD"},
		{"an ID of 10,000 fields", `ID (` + strings.Repeat(`"a" "b" `, 8000) + `"c" NIL)`, "BAD"},
		{"a quota root that is none", `GETQUOTA "nobody's"`, "NO [NONEXISTENT]"},
	} {
		w.bad(c.what, c.command, c.want)
	}
}

// TestUnfinished: who does not finish a literal or a line loses the connection, and nobody else does.
func TestUnfinished(t *testing.T) {
	h := newHouse(t, func(c *imapd.Config) { c.Limits.Command = 2 * time.Second })
	other := h.selected()
	var cut []*wire
	for _, start := range []string{"a SEARCH BODY {100}", "a SEARCH BODY {100+}\r\nabc", "a APPEND INBOX {100}", "a APPEND INBOX {1000000+}\r\nabc",
		"a AUTHENTICATE PLAIN", "a FETCH 1 (", "a SEARCH {1000000+}"} {
		w := h.dialTLS()
		w.do(login1)
		w.do("SELECT INBOX")
		if _, err := w.Write([]byte(strings.TrimSuffix(start, "("))); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(start, "(") {
			w.say("")
		}
		if start == "a AUTHENTICATE PLAIN" {
			w.until("a BAD") // already logged in
			continue
		}
		cut = append(cut, w)
	}
	for _, w := range cut {
		w.until("* BYE")
		w.ends()
	}
	if got := other.do("NOOP"); got != "t OK NOOP completed" {
		t.Error(got)
	}
}

// TestOutOfStep: where the end of a command cannot be found the client is told so and cut off, and may
// come again.
func TestOutOfStep(t *testing.T) {
	h := newHouse(t)
	for _, line := range []string{"a FETCH {99999999999999999999+}", "a APPEND INBOX {99999999999+}", "a NOOP {4294967296+}"} {
		w := h.dialTLS()
		w.do(login1)
		w.say("%s", line)
		w.until("* BYE [TOOBIG]")
		w.ends()
	}
	w := h.dialTLS()
	w.do(login1)
	for range 20 {
		w.say("? ?")
	}
	w.until("* BYE")
	w.ends()
}
