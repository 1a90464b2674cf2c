package message

import (
	"io"
	"strings"

	"github.com/rookery-mail/rookery/index/indexpb"
)

// TextOption says how DecodeText reads.
type TextOption uint8

// TextOnly leaves of text/html what a reader sees: no markup, styles, scripts or comments.
const TextOnly TextOption = 1

// DecodeText reads the body of a leaf, as it is in the message, as UTF-8: without its transfer encoding,
// and for text out of its charset. Unknown charsets are read as Windows-1252 where they are not UTF-8.
// Memory is bounded; errors are those of r.
func DecodeText(part *indexpb.Part, r io.Reader, options ...TextOption) io.Reader {
	r = DecodeTransfer(string(part.Encoding), r)
	if string(part.Type) != "text" {
		return r
	}
	charset, _ := ParamValue(part.Params, "charset")
	r = decodeCharset(charset, r)
	for _, o := range options {
		if o == TextOnly && string(part.Subtype) == "html" {
			r = StripHTML(r)
		}
	}
	return r
}

// IsText tells whether DecodeText with TextOnly gives the octets of a leaf as they are, where they are UTF-8.
func IsText(part *indexpb.Part) bool {
	switch strings.ToLower(string(part.Encoding)) {
	case "base64", "quoted-printable":
		return false
	}
	charset, _ := ParamValue(part.Params, "charset")
	return string(part.Type) == "text" && string(part.Subtype) != "html" && lookupCharset(charset) == nil
}
