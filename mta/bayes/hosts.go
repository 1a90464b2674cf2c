package bayes

import (
	"bytes"
	"net/netip"
	"strings"
)

// maxHosts is how many URLs of a part are looked at.
const maxHosts = 64

// maxHost is the longest host, in octets.
const maxHost = 253

// hosts adds the hosts of the URLs in a text, HTML or not.
func (c *collector) hosts(prefix string, text []byte) {
	var last []byte
	for n := 0; n < maxHosts && !c.full(); n++ {
		i := bytes.Index(text, []byte("://"))
		if i < 0 {
			return
		}
		text = text[i+3:]
		end := bytes.IndexAny(text[:min(len(text), 2*maxHost)], "/?#\\\"'<>() \t\r\n,;")
		if end < 0 {
			end = min(len(text), 2*maxHost)
		}
		if !bytes.Equal(text[:end], last) { // most links of a message lead to the same
			last = text[:end]
			c.host(prefix, last)
		}
		text = text[end:]
	}
}

// host adds the host of an authority (RFC 3986, section 3.2), and the domain it is in.
func (c *collector) host(prefix string, authority []byte) {
	if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	if colon := bytes.LastIndexByte(authority, ':'); colon >= 0 && bytes.IndexByte(authority, ']') < colon {
		authority = authority[:colon]
	}
	if len(authority) == 0 || len(authority) > maxHost {
		return
	}
	c.domain(prefix, string(authority))
}

// domain adds a host, and by its last two labels the domain it is in; of an address its network.
func (c *collector) domain(prefix, host string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if a, ok := literal(host); ok {
		c.addText(prefix+"net:", network(a))
		return
	}
	if host == "" || len(host) > maxHost || strings.ContainsAny(host, " \t\r\n") {
		return
	}
	c.addText(prefix, host)
	if last := strings.LastIndexByte(host, '.'); last > 0 {
		if dot := strings.LastIndexByte(host[:last], '.'); dot > 0 {
			c.addText(prefix+"*", host[dot:])
		}
	}
}

// literal reads an address, or an address literal of SMTP (RFC 5321, section 4.1.3).
func literal(s string) (netip.Addr, bool) {
	if s == "" || s[0] != '[' && (s[0] < '0' || s[0] > '9') && strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	if s[0] == '[' {
		s = strings.TrimSuffix(s[1:], "]")
		s = strings.TrimPrefix(s, "ipv6:")
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// network is who an address belongs to, as far as can be guessed: /24 of IPv4, /48 of IPv6.
func network(a netip.Addr) string {
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}
