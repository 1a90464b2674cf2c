package smtpd

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-mail/rookery/mta"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts holds the dialogues of testdata/*.smtp. In them "C: " is a line of the client, "C' "
// octets of it as a Go string, "S: " a line of the server, "D: " a delivery and "M: " a line of the
// message; "Q: " is a recipient that is queued. "kind: " says which listener it is, "queue: yes" that mail goes to other domains too, "checks: yes" that there are checks, "from: header" that the client is a proxy whose
// connections begin with a header, "from: xclient" that it may use XCLIENT. Lines of the client that follow each other are sent
// together.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.smtp")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".smtp"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the dialogue is now\n%s", got)
			}
		})
	}
}

// replay runs the client's part of a transcript and writes down all of it.
func replay(t *testing.T, text string) string {
	var head, blocks []string // blocks are the client's lines as they stand
	var raw [][]byte
	kind, inBlock := MX, false
	var out Queue
	var checks Checks
	var proxies, xclient []netip.Prefix
	for _, line := range strings.SplitAfter(text, "\n") {
		switch {
		case strings.HasPrefix(line, "C"):
			if !inBlock {
				blocks, raw = append(blocks, ""), append(raw, nil)
			}
			inBlock = true
			i := len(blocks) - 1
			blocks[i] += line
			raw[i] = append(raw[i], clientOctets(t, line)...)
		case strings.HasPrefix(line, "kind: "):
			kind = Kind(strings.TrimSpace(line[6:]))
			head = append(head, line)
		case line == "queue: yes\n":
			out = fakeQueue{}
			head = append(head, line)
		case line == "from: header\n":
			proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			head = append(head, line)
		case line == "from: xclient\n":
			xclient = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			head = append(head, line)
		case line == "checks: yes\n":
			checks = new(fakeChecks)
			head = append(head, line)
		case strings.HasPrefix(line, "#"):
			head = append(head, line)
		default:
			inBlock = false
		}
	}
	var b strings.Builder
	b.WriteString(strings.Join(head, ""))
	store := &fakeStore{}
	converse(newServer(store, func(c *Config) { c.Queue, c.Checks, c.Proxies, c.XCLIENT = out, checks, proxies, xclient }), kind, raw, func(i int, answer string) {
		if i > 0 {
			b.WriteString(blocks[i-1])
		}
		writeAnswer(&b, answer, store)
	})
	b.WriteString("S: (closed)\n")
	if store.open != 0 {
		t.Errorf("%d messages were not given back to the store", store.open)
	}
	return b.String()
}

func clientOctets(t *testing.T, line string) []byte {
	line = strings.TrimSuffix(line, "\n")
	if rest, ok := strings.CutPrefix(line, "C' "); ok {
		s, err := strconv.Unquote(rest)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return []byte(s)
	}
	return []byte(strings.TrimPrefix(strings.TrimPrefix(line, "C:"), " ") + "\r\n")
}

func writeAnswer(out *strings.Builder, answer string, store *fakeStore) {
	for line := range strings.SplitSeq(strings.TrimSuffix(answer, "\r\n"), "\r\n") {
		if answer != "" {
			fmt.Fprintf(out, "S: %s\n", line)
		}
	}
	for _, m := range store.take() {
		for _, target := range m.targets {
			fmt.Fprintf(out, "D: account %d for %s", target.Account, target.Address)
			if target.Mailbox != "" {
				fmt.Fprintf(out, " in %s", target.Mailbox)
			}
			fmt.Fprintln(out)
		}
		if e := m.queued; e != nil {
			fmt.Fprintf(out, "Q: of account %d from <%s> envid %q ret %v 8bit %v utf8 %v\n", e.Account, e.Sender, e.Envid, mta.Return(e.Ret), e.EightBit, e.Utf8)
			if e.Priority != 0 || e.DeliverBy != 0 || e.TlsOptional || e.RequireTls {
				fmt.Fprintf(out, "Q: priority %d by%s %s TLS optional %v required %v\n", e.Priority, moment(e.DeliverBy), e.DeliverByMode, e.TlsOptional, e.RequireTls)
			}
			for _, r := range e.Recipients {
				fmt.Fprintf(out, "Q: <%s> by %s notify %q orcpt %q%s\n", r.Address, r.Destination, mta.Notify(r.Notify), r.Orcpt, moment(r.Due))
				if r.Account != 0 {
					fmt.Fprintf(out, "Q: for account %d alone\n", r.Account)
				}
			}
		}
		for line := range bytes.Lines([]byte(m.octets)) {
			text := strings.TrimSuffix(string(line), "\r\n")
			if strings.ContainsAny(text, "\r\n") {
				text = strconv.Quote(text)
			}
			fmt.Fprintf(out, "M: %s\n", text)
		}
	}
}

func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return " at " + time.UnixMilli(ms).UTC().Format(time.DateTime)
}
