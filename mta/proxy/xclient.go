package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rookery-mail/rookery/mta"
)

// Attributes are those of XCLIENT that are known, as EHLO tells them.
const Attributes = "ADDR NAME HELO PORT PROTO LOGIN DESTADDR DESTPORT"

// ErrArgument says that XCLIENT has an argument that it cannot have.
var ErrArgument = errors.New("not an argument of XCLIENT")

// Client is what XCLIENT says of a client. What it does not say is zero, and stays as it was.
type Client struct {
	Addr  netip.Addr
	Port  uint16
	Name  string // by the proxy's DNS; empty also where it has none
	Helo  string
	Proto mta.Protocol // SMTP or ESMTP
	Login string
	Dest  netip.AddrPort // where the client connected to; the port may be there alone
}

// maxValue is the longest value, in octets once it is decoded.
const maxValue = 255

// ParseXCLIENT reads the arguments of XCLIENT: one or more attribute=value, the values xtext. The error is ErrArgument.
func ParseXCLIENT(arg string) (c Client, err error) {
	words := strings.Fields(arg)
	if len(words) == 0 {
		return Client{}, fmt.Errorf("there is none: %w", ErrArgument)
	}
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found {
			return Client{}, fmt.Errorf("%.64q without a value: %w", word, ErrArgument)
		}
		if value, err = mta.DecodeXtext(value); err != nil || len(value) > maxValue || strings.ContainsFunc(value, notPrintable) {
			return Client{}, fmt.Errorf("the value of %.16q: %w", name, ErrArgument)
		}
		if upper := strings.ToUpper(value); upper == "[UNAVAILABLE]" || upper == "[TEMPUNAVAIL]" {
			value = ""
		}
		if err := c.set(strings.ToUpper(name), value); err != nil {
			return Client{}, err
		}
	}
	return c, nil
}

func notPrintable(r rune) bool { return r < ' ' || r == 0x7f }

// set takes one attribute; an empty value is one that the proxy does not know.
func (c *Client) set(name, value string) (err error) {
	switch name {
	case "NAME":
		c.Name = value
	case "HELO":
		c.Helo = value
	case "LOGIN":
		c.Login = value
	case "PROTO":
		c.Proto = mta.Protocol(strings.ToUpper(value))
		if c.Proto != mta.SMTP && c.Proto != mta.ESMTP && value != "" {
			err = fmt.Errorf("protocol %q: %w", value, ErrArgument)
		}
	case "ADDR":
		c.Addr, err = address(value)
	case "PORT":
		c.Port, err = port(value)
	case "DESTADDR":
		var a netip.Addr
		a, err = address(value)
		c.Dest = netip.AddrPortFrom(a, c.Dest.Port())
	case "DESTPORT":
		var p uint16
		p, err = port(value)
		c.Dest = netip.AddrPortFrom(c.Dest.Addr(), p)
	default:
		err = fmt.Errorf("attribute %.16q is not known: %w", name, ErrArgument)
	}
	return err
}

// address reads an address; IPV6: may stand in front of one (RFC 5321, section 4.1.3).
func address(value string) (netip.Addr, error) {
	if value == "" {
		return netip.Addr{}, nil
	}
	bare := value
	if len(value) > 5 && strings.EqualFold(value[:5], "IPV6:") {
		bare = value[5:]
	}
	a, err := netip.ParseAddr(bare)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no address: %w", value, ErrArgument)
	}
	return a.Unmap(), nil
}

func port(value string) (uint16, error) {
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port: %w", value, ErrArgument)
	}
	return uint16(n), nil
}
