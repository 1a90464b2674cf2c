package tlsrpt

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Prefix is what a domain's record stands under, in front of its name (RFC 8460, section 3).
const Prefix = "_smtp._tls."

// Record is a domain's wish for reports (RFC 8460, section 3).
type Record struct {
	Mail []string // addresses
	Web  []string // URLs, of https
}

// ErrNoRecord says that a domain wants no reports, or says so in a way that cannot be understood.
var ErrNoRecord = errors.New("no TLS reporting record")

// maxPlaces is how many addresses and URLs of a record are used.
const maxPlaces = 4

// ParseRecord reads the texts under a domain's name. There has to be one record among them; errors are ErrNoRecord.
func ParseRecord(texts []string) (Record, error) {
	var found []string
	for _, t := range texts {
		if v, _, _ := strings.Cut(t, ";"); strings.TrimRight(v, " \t") == "v=TLSRPTv1" {
			found = append(found, t)
		}
	}
	if len(found) != 1 {
		return Record{}, fmt.Errorf("%w: %d texts begin with v=TLSRPTv1", ErrNoRecord, len(found))
	}
	var r Record
	for _, tag := range strings.Split(found[0], ";")[1:] {
		name, value, _ := strings.Cut(tag, "=")
		if strings.TrimSpace(name) != "rua" {
			continue
		}
		for _, text := range strings.Split(value, ",") {
			r.add(strings.TrimSpace(text))
		}
	}
	if len(r.Mail)+len(r.Web) == 0 {
		return Record{}, fmt.Errorf("%w: it names neither mailto: nor https:", ErrNoRecord)
	}
	return r, nil
}

func (r *Record) add(text string) {
	if len(r.Mail)+len(r.Web) == maxPlaces || len(text) > 1000 {
		return
	}
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	switch {
	case strings.EqualFold(u.Scheme, "mailto"):
		address, err := url.PathUnescape(u.Opaque)
		at := strings.LastIndexByte(address, '@')
		if err == nil && at > 0 && at < len(address)-1 && !strings.ContainsAny(address, " ,;<>\"\r\n\t\x00") {
			r.Mail = append(r.Mail, address)
		}
	case strings.EqualFold(u.Scheme, "https") && u.Host != "" && u.User == nil:
		r.Web = append(r.Web, u.String())
	}
}
