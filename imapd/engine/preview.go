package engine

import (
	"io"
	"strings"
	"unicode"

	"github.com/rookery-mail/rookery/index/indexpb"
	"github.com/rookery-mail/rookery/index/message"
)

const (
	previewLength = 200      // characters (RFC 8970, section 3.1)
	previewRead   = 16 << 10 // octets of decoded text that are looked at
)

// preview gives the beginning of a message's text, with white space collapsed (RFC 8970). It is empty where
// there is no text. LAZY changes nothing: the text is at hand.
func (d *fetchedMessage) preview() (string, error) {
	part := d.previewPart()
	if part == nil {
		return "", nil
	}
	at := bounded(int64(part.BodyOffset), int64(part.BodyOffset+part.BodyLength), d.body.Size())
	text := message.DecodeText(part, io.NewSectionReader(d.body, at.off, at.n), message.TextOnly)
	b, err := io.ReadAll(io.LimitReader(text, previewRead))
	if err != nil {
		return "", err
	}
	return shorten(string(b)), nil
}

// previewPart is the part that is previewed, nil where there is no text.
func (d *fetchedMessage) previewPart() *indexpb.Part {
	if part := firstText(d.parts(), "plain"); part != nil {
		return part
	}
	return firstText(d.parts(), "html")
}

// shorten keeps the first characters of a text.
func shorten(text string) string {
	var out strings.Builder
	n, space := 0, false
	for _, c := range text {
		if unicode.IsSpace(c) || unicode.IsControl(c) {
			space = n > 0
			continue
		}
		if space {
			n++
		}
		if n++; n > previewLength || c == unicode.ReplacementChar {
			break // a character that the end of what was read cuts, or no text at all
		}
		if space {
			out.WriteByte(' ')
			space = false
		}
		out.WriteRune(c)
	}
	return out.String()
}

// firstText finds the first text of a subtype that is no attachment. Embedded messages have their own.
func firstText(p *indexpb.Part, subtype string) *indexpb.Part {
	kind := string(p.Type)
	if (kind == "text" || kind == "") && (string(p.Subtype) == subtype || kind == "" && subtype == "plain") &&
		string(p.Disposition) != "attachment" {
		return p
	}
	if kind != "multipart" {
		return nil
	}
	for _, c := range p.Children {
		if found := firstText(c, subtype); found != nil {
			return found
		}
	}
	return nil
}
