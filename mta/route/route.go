// Package route says by which hosts mail goes that does not go to the hosts of its domain: smart hosts, for
// some domains or some senders, and from which addresses. Routes are records of the directory.
package route

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// ErrInvalid says that a route cannot be.
var ErrInvalid = errors.New("not a route")

// NullSender is the pattern of mail without a sender: reports.
const NullSender = "<>"

// Route is a route with its name.
type Route struct {
	Name string
	*directorypb.Route
}

// Table is routes in the order in which they are asked.
type Table []Route

// NewTable orders records that are routes: by order, then by name.
func NewTable(records []*directorypb.MailRecord) Table {
	var t Table
	for _, r := range records {
		if x := r.GetRoute(); x != nil {
			t = append(t, Route{r.Name, x})
		}
	}
	slices.SortFunc(t, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), strings.Compare(a.Name, b.Name))
	})
	return t
}

// Find gives the first route for a sender's mail to a domain, ok false where there is none. The sender is an address, empty
// for the null sender; the domain is in A-labels.
func (t Table) Find(sender, domain string) (r Route, ok bool) {
	sender, domain = strings.ToLower(sender), strings.ToLower(domain)
	for _, r := range t {
		if slices.ContainsFunc(r.Recipients, func(p string) bool { return ofDomain(p, domain) }) &&
			(len(r.Senders) == 0 || slices.ContainsFunc(r.Senders, func(p string) bool { return ofSender(p, sender) })) {
			return r, true
		}
	}
	return Route{}, false
}

// ofDomain reports whether a domain fits a pattern: the domain, .domain for all below it, or *.
func ofDomain(pattern, domain string) bool {
	return pattern == "*" || pattern == domain || strings.HasPrefix(pattern, ".") && strings.HasSuffix(domain, pattern) && len(domain) > len(pattern)
}

// ofSender reports whether a sender fits a pattern: an address, a pattern of its domain, or NullSender.
func ofSender(pattern, sender string) bool {
	if sender == "" {
		return pattern == NullSender
	}
	if strings.Contains(pattern, "@") {
		return pattern == sender
	}
	return ofDomain(pattern, sender[strings.LastIndexByte(sender, '@')+1:])
}

// Prepare checks a route and brings its patterns into the form that they are compared in. The error is ErrInvalid.
func Prepare(name string, r *directorypb.Route) error {
	if name == "" || strings.ContainsAny(name, " /\t\r\n") || len(name) > 64 {
		return fmt.Errorf("%w: the name %q has to be a word of up to 64 characters", ErrInvalid, name)
	}
	if len(r.Recipients) == 0 {
		r.Recipients = []string{"*"}
	}
	for i, p := range r.Recipients {
		p = strings.ToLower(p)
		if r.Recipients[i] = p; p != "*" && !isDomain(strings.TrimPrefix(p, ".")) {
			return fmt.Errorf("%w: the recipients %q: use a domain in A-labels, .domain for all below it, or *", ErrInvalid, p)
		}
	}
	for i, p := range r.Senders {
		p = strings.ToLower(p)
		r.Senders[i] = p
		local, domain, isAddress := strings.Cut(p, "@")
		if !isAddress {
			domain = strings.TrimPrefix(p, ".")
		}
		if p != NullSender && (!isDomain(domain) || isAddress && local == "") {
			return fmt.Errorf("%w: the senders %q: use an address, a domain, .domain for all below it, or %s", ErrInvalid, p, NullSender)
		}
	}
	for i, e := range r.Egress {
		a, err := netip.ParseAddr(e)
		if err != nil {
			return fmt.Errorf("%w: %q is no address to go out by", ErrInvalid, e)
		}
		r.Egress[i] = a.Unmap().String()
	}
	return checkHop(r)
}

// checkHop checks what is said of hosts.
func checkHop(r *directorypb.Route) error {
	switch r.Tls {
	case "":
		if r.Tls = "may"; r.Username != "" {
			r.Tls = "verify"
		}
	case "may", "encrypt", "verify":
	default:
		return fmt.Errorf("%w: TLS %q: use may, encrypt or verify", ErrInvalid, r.Tls)
	}
	switch {
	case (r.Username == "") != (r.Password == ""):
		return fmt.Errorf("%w: a login has a name and a password", ErrInvalid)
	case r.Username != "" && r.Tls == "may":
		return fmt.Errorf("%w: a login is sent over TLS alone: use encrypt or verify", ErrInvalid)
	case r.Username != "" && len(r.Hosts) == 0:
		return fmt.Errorf("%w: a login is for hosts that are named", ErrInvalid)
	case len(r.Hosts) == 0 && r.Tls != "may":
		return fmt.Errorf("%w: what the hosts of a domain must show is said by `rookery tls-rule`", ErrInvalid)
	}
	return nil
}

// isDomain reports whether a text can be a domain in A-labels.
func isDomain(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}
