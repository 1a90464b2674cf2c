package message

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// encodedSize is what a message's summary takes of a log entry.
func encodedSize(p *Parsed) int { return p.Envelope.SizeVT() + p.Structure.SizeVT() }

// maxEncoded is what the comment of Limits promises.
const maxEncoded = 256 << 10

// depth counts the levels of the first children.
func depth(part *indexpb.Part) (n int, deepest *indexpb.Part) {
	for deepest = part; len(deepest.Children) > 0; deepest = deepest.Children[0] {
		n++
	}
	return n, deepest
}

func TestNestedDeep(t *testing.T) {
	for name, raw := range map[string]string{
		"multiparts":      strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 1000) + "\ntext",
		"messages":        strings.Repeat("Content-Type: message/rfc822\n\n", 1000) + "\ntext",
		"prefixes":        nestedPrefixes(1000),
		"messages, cut":   strings.Repeat("Content-Type: message/rfc822\n\n", 1000),
		"multiparts, cut": strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			checkParsed(t, Limits{}, []byte(raw))
			n, leaf := depth(parse(Limits{}, []byte(raw), 0).Structure)
			if n != 100 || string(leaf.Subtype) != "octet-stream" {
				t.Errorf("%d levels, then %s/%s", n, leaf.Type, leaf.Subtype)
			}
		})
	}
}

// nestedPrefixes nests multiparts whose boundaries are each the start of the next.
func nestedPrefixes(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		boundary := strings.Repeat("x", i%400+1)
		b.WriteString("Content-Type: multipart/mixed; boundary=" + boundary + "\n\n--" + boundary + "\n")
	}
	return b.String()
}

func TestManyHeaderFields(t *testing.T) {
	var b strings.Builder
	b.WriteString("Subject: first\r\n")
	for range 100_000 {
		b.WriteString("X-Many: value\r\n")
	}
	b.WriteString("To: a@example.org\r\nSubject: second\r\n\r\nbody")
	raw := []byte(b.String())
	p := parse(Limits{}, raw, 4096)
	if string(p.Envelope.Subject) != "first" || len(p.Envelope.To) != 1 || p.Structure.BodyLength != 4 {
		t.Errorf("subject %q, %d recipients, body of %d", p.Envelope.Subject, len(p.Envelope.To), p.Structure.BodyLength)
	}
}

func TestManyParts(t *testing.T) {
	raw := []byte("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 50_000) + "--b--\n")
	p := parse(Limits{}, raw, 4096)
	last := p.Structure.Children[len(p.Structure.Children)-1]
	if n := len(p.Structure.Children); n != 1999 || last.BodyOffset+last.BodyLength != uint64(len(raw)) {
		t.Errorf("%d parts, the last one ends at %d of %d", n, last.BodyOffset+last.BodyLength, len(raw))
	}
	if n := encodedSize(p); n > maxEncoded {
		t.Errorf("%d octets encoded", n)
	}
}

// TestBudgets fills every list that is kept and holds the result against what Limits promises.
func TestBudgets(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{"To", "Cc", "From", "Bcc"} {
		b.WriteString(name + ": " + strings.Repeat("a@b.c,\r\n ", 40_000) + "\r\n")
	}
	b.WriteString("Subject: " + strings.Repeat("x", 1<<20) + "\r\n")
	b.WriteString("Content-Type: multipart/mixed" + strings.Repeat("; a=b", 20_000) + "; boundary=here\r\n\r\n")
	for range 3000 {
		b.WriteString("--here\r\nContent-Type: " + strings.Repeat("y", 200) + "/z; c=d\r\n")
		b.WriteString("Content-Language: " + strings.Repeat("a, ", 500) + "\r\n\r\n\r\n")
	}
	p := parse(Limits{}, []byte(b.String()), 0)
	if n := encodedSize(p); n > maxEncoded {
		t.Errorf("%d octets encoded, want at most %d", n, maxEncoded)
	}
	if len(p.Envelope.To) < 5000 || len(p.Structure.Children) < 1900 {
		t.Errorf("%d recipients, %d parts", len(p.Envelope.To), len(p.Structure.Children))
	}
}

// TestMemory holds the memory of a parser while a line of 256 MiB, a header as large, and a body go by.
func TestMemory(t *testing.T) {
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for name, start := range map[string]string{
		"line in header": "Subject: ",
		"long fold":      "Subject: a\r\n ",
		"garbage":        "no header",
		"body":           "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--",
		"delimiter":      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
	} {
		t.Run(name, func(t *testing.T) {
			p := NewParser(Limits{})
			p.Write([]byte(start))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 256 {
				p.Write(chunk)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
				t.Errorf("allocated %d octets", n)
			}
			if want := uint64(len(start)) + 256<<20; p.Finish().Size != want {
				t.Errorf("size is not %d", want)
			}
		})
	}
}

// TestLinear runs inputs that would take minutes if any reading were quadratic.
func TestLinear(t *testing.T) {
	for _, s := range []string{"(", "\"", `"\"`, "<", "@[", "[", "=?a?q? ", "=?", "a@b,", ":;", "<@a,", "\\", `(\(`} {
		value := []byte(strings.Repeat(s, 1<<20/len(s)))
		Addresses(value)
		ParseDate(value)
		DecodeHeader(value)
		BaseSubject(value)
		MessageIDs(value)
		for _, name := range []string{"To", "Content-Type", "Content-Disposition", "Content-Language", "Date"} {
			parse(Limits{}, []byte(name+": x/y;"+string(value)+"\r\n\r\n"), 0)
		}
	}
}
