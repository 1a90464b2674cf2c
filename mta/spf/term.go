package spf

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// finding is whether a term fits, and how it came to.
type finding struct {
	fits bool
	decision
}

// try sees whether a directive fits. The error is a *stop.
func (c *check) try(ctx context.Context, domain string, d directive) (finding, error) {
	f := finding{decision: decision{term: d.text}}
	switch d.kind {
	case mechAll:
		f.fits = true
		return f, nil
	case mechIP4, mechIP6:
		f.fits = d.net.Contains(c.q.Client)
		return f, nil
	}
	if err := c.count(); err != nil {
		return f, err
	}
	target := domain
	if d.domain != nil {
		var err error
		if target, err = c.target(ctx, domain, d.domain); errors.Is(err, errForeign) {
			return f, nil
		} else if err != nil {
			return f, err
		}
	}
	if d.kind == mechInclude {
		return c.include(ctx, target, d)
	}
	if !isName(target) {
		return f, nil // nobody can ask for it (RFC 7208, section 4.8)
	}
	var err error
	f.match, err = c.ask(ctx, target, d)
	f.fits = f.match != ""
	return f, err
}

// ask tells how a mechanism that asks DNS fits; empty: it does not.
func (c *check) ask(ctx context.Context, target string, d directive) (string, error) {
	switch d.kind {
	case mechA:
		return c.addressOf(ctx, target, d)
	case mechMX:
		return c.exchangerOf(ctx, target, d)
	case mechPTR:
		return c.nameIn(ctx, target)
	}
	list, err := c.r.A(ctx, target) // exists (RFC 7208, section 5.7)
	switch {
	case err != nil:
		return "", temporary(err)
	case len(list) == 0:
		return "", c.void()
	}
	return target + " exists", nil
}

// include fits where the policy of another domain lets the client pass (RFC 7208, section 5.2).
func (c *check) include(ctx context.Context, target string, d directive) (finding, error) {
	sub := c.host(ctx, target)
	f := finding{decision: sub}
	switch sub.Result {
	case Pass:
		f.fits = true
		return f, nil
	case TempError:
		return f, &stop{TempError, d.text + ": " + sub.problem}
	case PermError, None:
		return f, permanent("%s: %s", d.text, sub.problem)
	}
	return f, nil
}

// addresses are those of a host, of the client's family.
func (c *check) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if c.q.Client.Is4() {
		return c.r.A(ctx, host)
	}
	return c.r.AAAA(ctx, host)
}

func (d directive) near(client, address netip.Addr) bool {
	bits := d.bits6
	if client.Is4() {
		bits = d.bits4
	}
	p, err := address.Prefix(bits)
	return err == nil && p.Contains(client)
}

// addressOf tells which address of a host the client is near (RFC 7208, section 5.3).
func (c *check) addressOf(ctx context.Context, host string, d directive) (string, error) {
	list, err := c.addresses(ctx, host)
	if err != nil {
		return "", temporary(err)
	}
	if len(list) == 0 {
		return "", c.void()
	}
	for _, a := range list {
		if d.near(c.q.Client, a) {
			return a.String() + " of " + host, nil
		}
	}
	return "", nil
}

// exchangerOf does so for the hosts that take a domain's mail. A domain without any has none: it is not its own (RFC 7208,
// section 5.4).
func (c *check) exchangerOf(ctx context.Context, domain string, d directive) (string, error) {
	hosts, err := c.r.Exchangers(ctx, domain)
	if err != nil {
		return "", temporary(err)
	}
	if len(hosts) > MaxHosts {
		return "", permanent("%s has more than %d MX hosts", domain, MaxHosts)
	}
	found := 0
	for _, host := range hosts {
		if !isName(host) {
			continue
		}
		list, err := c.addresses(ctx, host)
		if err != nil {
			return "", temporary(err)
		}
		found += len(list)
		for _, a := range list {
			if d.near(c.q.Client, a) {
				return a.String() + " of " + host, nil
			}
		}
	}
	if found == 0 {
		return "", c.void()
	}
	return "", nil
}

// nameIn tells which name of the client, that leads back to it, is a domain or below it (RFC 7208, section 5.5). DNS that
// gives no answer makes it fit no name.
func (c *check) nameIn(ctx context.Context, domain string) (string, error) {
	names := c.clientNames(ctx)
	for _, name := range names {
		if within(name, domain) && c.leadsBack(ctx, name) {
			return name, nil
		}
	}
	if len(names) == 0 && !c.mute {
		return "", c.void()
	}
	return "", nil
}

// clientNames are the first names of the client.
func (c *check) clientNames(ctx context.Context) []string {
	if !c.asked {
		c.asked = true
		names, err := c.r.Names(ctx, c.q.Client)
		c.mute = err != nil
		for _, n := range names[:min(len(names), MaxHosts)] {
			c.names = append(c.names, strings.ToLower(strings.TrimSuffix(n, ".")))
		}
	}
	return c.names
}

func (c *check) leadsBack(ctx context.Context, name string) bool {
	back, known := c.known[name]
	if !known && isName(name) {
		list, err := c.addresses(ctx, name)
		back = err == nil && slices.Contains(list, c.q.Client)
		c.known[name] = back
	}
	return back
}

// within reports whether a name is a domain or below it; both are in lower case, but for what macros made.
func within(name, domain string) bool {
	domain = strings.ToLower(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}
