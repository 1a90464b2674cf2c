package reportbox

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
)

// maxSignatures is how many signatures of a mail are looked at.
const maxSignatures = 5

// came says how a report came by mail: reports have to be signed (RFC 8460, section 5.3), and by whom one is says more
// than what it calls itself.
func (b *Box) came(ctx context.Context, mail []byte) string {
	if b.c.Texts == nil {
		return "mail"
	}
	lookup := func(name string) ([]string, error) {
		texts, err := b.c.Texts(ctx, name)
		for i := range texts {
			texts[i] = forMail(texts[i])
		}
		return texts, err
	}
	list, _ := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{LookupTXT: lookup, MaxVerifications: maxSignatures})
	var signers []string
	for _, v := range list {
		if v.Err == nil && !slices.Contains(signers, v.Domain) {
			signers = append(signers, v.Domain)
		}
	}
	if len(signers) == 0 {
		return "mail without a good signature"
	}
	return "mail signed by " + strings.Join(signers, ", ")
}

// forMail has a key that is for reports about TLS alone (s=tlsrpt) be one that the library takes.
func forMail(record string) string {
	tags := strings.Split(record, ";")
	for i, tag := range tags {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) != "s" {
			continue
		}
		for _, service := range strings.Split(value, ":") {
			if strings.TrimSpace(service) == "tlsrpt" {
				tags[i] = " s=*"
			}
		}
	}
	return strings.Join(tags, ";")
}
