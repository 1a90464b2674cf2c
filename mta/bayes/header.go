package bayes

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/index/message"
)

// Bounds of what is read of a header.
const (
	maxFields    = 200
	maxValue     = 4 << 10 // octets of a field's value
	maxAddresses = 20      // of a field
)

// header adds the tokens of a header.
func (c *collector) header(header []byte) {
	names := fields() // that are looked at
	var seen [len(names)]int
	count := func(name string) int { return seen[slices.Index(names[:], name)] }
	all, recipients := 0, 0
	for written, field := range message.Fields(header) {
		if all++; all > maxFields {
			break
		}
		n := slices.IndexFunc(names[:], func(name string) bool { return len(name) == len(written) && strings.EqualFold(name, written) })
		if n < 0 {
			continue
		}
		seen[n]++
		value := field[bytes.IndexByte(field, ':')+1:]
		value = bytes.TrimSpace(value[:min(len(value), maxValue)])
		switch name := names[n]; {
		case name == "to", name == "cc":
			recipients += len(message.Addresses(unfolded(value)))
		case seen[n] > 1:
		case name == "received": // ours, or of whom we trust; what is below can be invented
			c.client(value)
		default:
			c.field(name, value)
		}
	}
	c.addText("received:", strconv.Itoa(min(count("received"), 9)))
	c.addText("recipients:", magnitude(recipients))
	for _, name := range [...]string{"from", "to", "date", "subject", "message-id"} {
		if count(name) == 0 {
			c.addText("missing:", name)
		}
	}
	if count("from") > 1 {
		c.addText("from:", "twice")
	}
}

// fields are the names of those that say something, whatever is in them.
func fields() [20]string {
	return [...]string{"received", "from", "to", "cc", "date", "subject", "message-id", "reply-to", "return-path", "sender", "list-id", "list-unsubscribe",
		"list-post", "feedback-id", "auto-submitted", "precedence", "importance", "x-priority", "x-mailer", "user-agent"}
}

// field adds the tokens of a field that is there for the first time.
func (c *collector) field(name string, value []byte) {
	switch name {
	case "from":
		c.from(value)
	case "reply-to", "return-path", "sender":
		c.addresses(name+":", value)
	case "subject":
		c.phrase("subject:", value, true)
	case "message-id":
		if at := bytes.LastIndexByte(value, '@'); at >= 0 {
			c.domain("message-id:@", strings.TrimSuffix(string(value[at+1:]), ">"))
		}
	case "list-id":
		if open := bytes.LastIndexByte(value, '<'); open >= 0 {
			c.addText("list-id:", strings.ToLower(strings.TrimSuffix(string(value[open+1:]), ">")))
		}
	case "list-unsubscribe":
		c.addText("list:", "unsubscribe")
		c.hosts("unsubscribe:", value)
	case "list-post", "feedback-id", "auto-submitted":
		c.addText("has:", name)
	case "precedence", "importance", "x-priority":
		c.phrase(name+":", value[:min(len(value), keptWord)], false)
	case "x-mailer", "user-agent":
		c.phrase("mailer:", value[:min(len(value), keptWord)], false)
	}
}

// from adds who a message says it is from: the address, its domain, and the words of the name.
func (c *collector) from(value []byte) {
	list := message.Addresses(unfolded(value))
	for _, a := range list[:min(len(list), maxAddresses)] {
		c.addText("from:", strings.ToLower(string(a.Mailbox)+"@"+string(a.Host)))
		c.domain("from:@", string(a.Host))
		c.phrase("from:", a.Name, false)
		if bytes.IndexByte(a.Name, '@') >= 0 {
			c.addText("from:", "address in the name")
		}
	}
}

func (c *collector) addresses(prefix string, value []byte) {
	if string(value) == "<>" {
		c.addText(prefix, "<>")
		return
	}
	list := message.Addresses(unfolded(value))
	for _, a := range list[:min(len(list), maxAddresses)] {
		c.domain(prefix+"@", string(a.Host))
	}
}

// phrase adds the words of a text that may have encoded words.
func (c *collector) phrase(prefix string, raw []byte, pairs bool) {
	s := splitter{c: c, prefix: prefix, pairs: pairs, word: make([]byte, 0, keptWord)}
	s.feed([]byte(message.DecodeHeader(raw)))
	s.finish()
}

// client adds what the first Received field says of who brought the message: the name it gave, and its network.
func (c *collector) client(value []byte) {
	words := strings.Fields(strings.ToLower(string(value)))
	if len(words) < 2 || words[0] != "from" {
		c.addText("received:", "no client")
		return
	}
	c.domain("helo:", words[1])
	end := slices.Index(words, "by")
	for _, w := range words[2:max(end, 2)] {
		if a, ok := literal(strings.Trim(w, "()")); ok {
			c.addText("client:", network(a))
			return
		}
		c.domain("client:", strings.Trim(w, "()"))
	}
}

// magnitude is a count about as large.
func magnitude(n int) string {
	for _, bound := range [...]int{0, 1, 3, 10, 30} {
		if n <= bound {
			return "up to " + strconv.Itoa(bound)
		}
	}
	return "many"
}

// unfolded is a field's value without line ends.
func unfolded(value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 {
		return value
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r"), nil), []byte("\n"), nil)
}
