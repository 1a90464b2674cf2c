package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/mta"
	"github.com/rookery-mail/rookery/mta/dns"
	"github.com/rookery-mail/rookery/mta/tlspolicy"
)

// Hop takes mail in the place of a domain's own hosts: a smart host.
type Hop struct {
	Route    string   // whose it is, for logs
	Hosts    []string // host or host:port, in the order in which they are tried; port 465 is TLS from the start (RFC 8314)
	Username string   // for AUTH, which is done over TLS alone; empty: none
	Password string
	Level    Level // what TLS must give
}

// Source is where mail goes out. The zero Source is this node, by whatever address the system picks.
type Source struct {
	Node    cluster.NodeID // that has the address; empty: this one
	Address netip.Addr     // not valid: any
	Hello   string         // in EHLO; empty: Config.Hostname
}

// Lane is a place among the attempts that go on, which counts for one receiver.
type Lane interface {
	// Move has the attempt count for another receiver. It reports whether there is room, and else when there may be.
	Move(receiver string) (again time.Time, ok bool)
}

// ErrSource says that a source is not there: its node cannot be reached, or does not have the address.
var ErrSource = errors.New("the address to go out by cannot be used")

// DialFrom connects by TCP from an address of this node.
func DialFrom(ctx context.Context, from Source, to netip.AddrPort) (net.Conn, error) {
	d := new(net.Dialer)
	if from.Address.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Address, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if errors.Is(err, syscall.EADDRNOTAVAIL) && from.Address.IsValid() {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	return conn, err
}

// reaches gives the addresses of a host in the order in which they are tried: those of the kind that the source is, or
// of both kinds by turns, since one may not work at all.
func (s Source) reaches(a dns.Addresses) []netip.Addr {
	switch {
	case !s.Address.IsValid():
		return order(a)
	case s.Address.Is4():
		return a.V4
	}
	return a.V6
}

// target is a host that is to be tried.
type target struct {
	name string
	port uint16
}

// targets finds the hosts of a job. known says that they are certainly those that the mail is for: DNSSEC says so, or the operator. A
// Result is what becomes of all recipients.
func (c *Client) targets(ctx context.Context, job Job) (list []target, known bool, failed *Result) {
	if job.Hop == nil {
		mail, failed := c.hosts(ctx, job.Destination)
		for _, h := range mail.Hosts {
			list = append(list, target{h.Name, c.c.Port})
		}
		return list, mail.Secure, failed
	}
	for _, text := range job.Hop.Hosts {
		host, port, err := HostPort(text, c.c.Port)
		if err != nil {
			return nil, true, &Result{Kind: Temporary, Reply: *mta.Replyf(0, noRoute, "The route %s: %v", job.Hop.Route, err)}
		}
		list = append(list, target{host, port})
	}
	return list, true, nil
}

// HostPort parts host, host:port or [address]:port. Without a port it is the one that is given.
func HostPort(text string, port uint16) (string, uint16, error) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		if _, isAddress := netip.ParseAddr(text); isAddress == nil {
			return text, port, nil
		}
		host, number, err = net.SplitHostPort(text + ":" + strconv.Itoa(int(port)))
	}
	n, err2 := strconv.ParseUint(number, 10, 16)
	if err != nil || err2 != nil || host == "" || n == 0 {
		return "", 0, fmt.Errorf("%q is no host and no host:port", text)
	}
	return host, uint16(n), nil
}

// AddressResolver finds the addresses of a host; *dns.Resolver is one.
type AddressResolver interface {
	Addresses(ctx context.Context, host string) (dns.Addresses, error)
}

// Lookup finds the addresses of a host of a Hop, which may be an address itself.
func Lookup(ctx context.Context, r AddressResolver, host string) (dns.Addresses, error) {
	a, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return r.Addresses(ctx, host)
	case a.Is4():
		return dns.Addresses{V4: []netip.Addr{a}}, nil
	}
	return dns.Addresses{V6: []netip.Addr{a}}, nil
}

// place is where a session of this attempt goes.
func (a *attempt) place(h target, address netip.Addr, need tlspolicy.Need) place {
	p := place{host: h.name, address: netip.AddrPortFrom(address, h.port), source: a.job.Source, need: need.Key()}
	if hop := a.job.Hop; hop != nil {
		p.user, p.secret = hop.Username, hop.Password
	}
	return p
}

// submissions is the port where TLS comes first (RFC 8314, section 3.3).
const submissions = 465

func (p place) implicit() bool { return p.address.Port() == submissions }
